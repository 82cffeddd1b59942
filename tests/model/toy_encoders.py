"""Tiny random vision encoders on disk, as the hub holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from toy_checkpoints import spread
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

SIDE, PATCH, LAYERS, WIDTH = 42, 14, 3, 24
_VISION: dict[str, Any] = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip
_MLP: dict[str, Any] = {**_VISION, "intermediate_size": 32}
_TEXT: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 40,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
# As in the published repositories: CLIP and DINOv2 crop (DINOv2 from a larger picture), SigLIP squeezes.
_CLIP = {
    "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": SIDE}, "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE}, "resample": 3, "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
}  # fmt: skip
_SIGLIP = {
    "image_processor_type": "SiglipImageProcessor", "size": {"height": SIDE, "width": SIDE}, "resample": 2,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}  # fmt: skip
_DINO = _CLIP | {
    "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 48}, "image_mean": [0.485, 0.456, 0.406],
}  # fmt: skip


@dataclass
class Source:
    """An encoder on disk and in memory."""

    folder: Path
    tower: Any
    policy: dict[str, Any]
    tokens: int

    def states(self, pixels: torch.Tensor, layer: int = -2) -> torch.Tensor:
        """What the encoder itself says, class token included."""
        return self.tower(pixels, output_hidden_states=True).hidden_states[layer]


def write(folder: Path, model: Any, tower: Any, policy: dict[str, Any]) -> Source:
    spread(model, 5).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(policy))
    return Source(folder, tower, policy, (SIDE // PATCH) ** 2)


def make(kind: str, folder: Path) -> Source:
    """One encoder of each class, alone or inside the whole model that the hub holds."""
    if kind == "clip":
        model: Any = CLIPModel(CLIPConfig(vision_config=_MLP, text_config=_TEXT))
        return write(folder, model, model.vision_model, _CLIP)
    if kind == "clip_vision":
        model = CLIPVisionModel(CLIPVisionConfig(**_MLP))
        return write(folder, model, model, _CLIP)
    if kind == "siglip":
        model = SiglipModel(SiglipConfig(vision_config=_MLP, text_config=_TEXT))
        return write(folder, model, model.vision_model, _SIGLIP)
    if kind == "siglip_vision":
        model = SiglipVisionModel(SiglipVisionConfig(**_MLP))
        return write(folder, model, model, _SIGLIP)
    if kind == "dinov2_classifier":
        model = Dinov2ForImageClassification(Dinov2Config(**_VISION))
        return write(folder, model, model.dinov2, _DINO)
    model = Dinov2Model(Dinov2Config(**_VISION))
    return write(folder, model, model, _DINO)


def make_naflex(folder: Path) -> Path:
    """SigLIP 2 of many resolutions, which takes lists of patches with their shapes, not pictures."""
    config = Siglip2VisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    model: Any = Siglip2VisionModel(config)
    return write(folder, model, model, _SIGLIP).folder


KINDS = ["clip", "clip_vision", "siglip", "siglip_vision", "dinov2", "dinov2_classifier"]
