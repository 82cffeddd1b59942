"""DINOv2 ViT-S/14 weights out of the pinned ONNX file.

``vision_table.json`` (made by ``tools/make_vision_table.py``) says where each tensor lies in the file, which
is pinned by hash. The exported graph stores Linear weights transposed and splits the position table.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from transformers import Dinov2Config

_RENAMES = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
}


def dinov2_config() -> Dinov2Config:
    """ViT-S/14: 12 layers, width 384, 6 heads, positions for 37 x 37 patches."""
    from transformers import Dinov2Config

    return Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14)


def vision_state_dict(onnx: bytes) -> dict[str, torch.Tensor]:
    """Weights of ``transformers.Dinov2Model``, float32, named as in its ``state_dict``.

    Args:
        onnx: bytes of the pinned ONNX file.
    """
    import torch

    table = json.loads(files(__package__).joinpath("vision_table.json").read_text(encoding="utf-8"))
    tensors: dict[str, torch.Tensor] = {}
    for name, row in table.items():
        shape = tuple(row["shape"])
        array = np.frombuffer(onnx, dtype="<f4", count=int(np.prod(shape)), offset=row["offset"]).reshape(shape)
        tensors[_rename(name)] = torch.from_numpy((array.T if row["transposed"] else array).copy())
    positions = [tensors.pop("class_position"), tensors.pop("patch_positions")]
    tensors["embeddings.position_embeddings"] = torch.cat(positions, dim=1)
    # Never used at inference (it stands for masked patches in pre-training) but part of the module.
    tensors["embeddings.mask_token"] = torch.zeros(1, 384)
    return tensors


def _rename(name: str) -> str:
    for old, new in _RENAMES.items():
        name = name.replace(old, new)
    return name
