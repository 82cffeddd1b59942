"""Where training of a LLaVA starts: a language model, a CLIP tower and a new projector between them, as one folder."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bimedix2.errors import ModelError

from .bundle import read_json
from .convert import convert_llava
from .hub import fetch, is_hub_id
from .tensors import folder_tensors, save_tensors, weight_files

# Language models that the original LLaVA layout, and with it the converter, can hold.
_KINDS = {"llama": "llava_llama", "phi3": "llava_phi3"}
# Settings of the published scripts (LLaVA++ and BiMediX2): last but one layer, class token dropped, pictures padded.
_MULTIMODAL = {
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_select_layer": -2,
    "mm_vision_select_feature": "patch",
    "mm_use_im_start_end": False,
    "mm_use_im_patch_token": False,
    "image_aspect_ratio": "pad",
}
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


def compose_llava(language: str | Path, encoder: str | Path, target: str | Path, *, seed: int = 0) -> Path:
    """Write a LLaVA folder whose projector has learnt nothing yet.

    Args:
        language: folder or hub id of a Llama 3 or Phi-3 instruction model.
        encoder: folder or hub id of a CLIP model, such as ``openai/clip-vit-large-patch14-336``.
        target: folder to write; appears only when complete.
        seed: of the projector, which starts as PyTorch's linear layers do.

    Returns:
        ``target``.

    Raises:
        ModelError: ``unsupported_model``, ``wrong_keys``, ``pickle_refused`` … of either part.
        AssetError: no disk space; nothing is left behind.
    """
    model, tower = _folder(str(language)), _folder(str(encoder))
    config, vision = read_json(model / "config.json"), read_json(tower / "config.json")
    kind = _KINDS.get(str(config.get("model_type")))
    if kind is None:
        raise ModelError(
            f"{language} holds a model of type {config.get('model_type')!r}; {' or '.join(_KINDS)} can get an encoder.",
            f"نوع النموذج في {language} هو {config.get('model_type')!r}؛ المدعوم: {'، '.join(_KINDS)}.",
            code="unsupported_model",
        )
    width = int(vision.get("vision_config", vision).get("hidden_size", 0))
    name = f"{Path(str(language)).name} + {Path(str(encoder)).name}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, file in enumerate(weight_files(model)):
            (folder / f"model-{number:05d}.safetensors").symlink_to(file.resolve())
        for file in (model / name for name in _TOKENIZER):
            if file.is_file():
                (folder / file.name).symlink_to(file.resolve())
        dtype = folder_tensors(model)["model.embed_tokens.weight"].dtype
        save_tensors(_projector(width, int(config["hidden_size"]), dtype, seed), folder / "model-projector.safetensors")
        fields = {**config, **_MULTIMODAL, "model_type": kind, "mm_hidden_size": width, "mm_vision_tower": str(tower)}
        (folder / "config.json").write_text(json.dumps(fields), encoding="utf-8")
        return convert_llava(folder, target, vision_tower=tower, name=name)


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.exists() and is_hub_id(name):
        return fetch(name)
    if not (path / "config.json").is_file():
        raise ModelError(
            f"{name} is neither a folder with config.json nor a hub id. Give one of both.",
            f"{name} ليس مجلدا فيه config.json ولا معرفا في المنصة. أعط أحدهما.",
            code="model_not_found",
        )
    return path


def _projector(width: int, hidden: int, dtype: str, seed: int) -> dict[str, Any]:
    """LLaVA's two linear layers, C -> D -> D, under their original names."""
    import torch
    from torch import nn

    kinds = {"BF16": torch.bfloat16, "F16": torch.float16}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
    state = layers.to(kinds.get(dtype, torch.float32)).state_dict()
    return {f"model.mm_projector.{key}": value.contiguous() for key, value in state.items()}
