"""Export a loaded model as one plain Hugging Face folder that transformers, vLLM and others read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import atomic_folder
from ..errors import ModelError
from .bundle import Bundle
from .keys import KeyStyle, module_to_file
from .processor import write_processor
from .tensors import ShardWriter

if TYPE_CHECKING:
    from torch import Tensor


def export_hf(bundle: Bundle, target: str | Path, *, key_style: KeyStyle = "classic") -> Path:
    """Write weights (adapter merged), configuration, tokenizer and processor files to ``target``.

    An adapter on ``bundle.model`` is folded in only in what is written: the bundle stays as it is.

    Args:
        bundle: the model.
        target: folder to write; must not exist or be empty, and appears only when complete.
        key_style: ``"classic"`` are the names that vLLM reads (``language_model.model.layers…``,
            ``vision_tower.vision_model…``); ``"native"`` are those that transformers 5 writes.

    Returns:
        ``target``.

    Raises:
        ModelError: ``target_exists`` or ``noop_adapter``.
        AssetError: ``no_disk_space``; nothing is left behind.
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(
            f"{target} exists already. Choose a new folder, or delete this one first.",
            f"المجلد {target} موجود بالفعل. اختر مجلدا جديدا أو احذف هذا أولا.",
            code="target_exists",
        )
    weights = merged_weights(bundle, key_style)
    # A tied or merged tensor is counted at most once: this is an upper bound of what is written.
    needed = sum(p.numel() * p.element_size() for p in _plain(bundle.model).parameters())
    with atomic_folder(target, int(needed * 1.02)) as scratch:
        writer = ShardWriter(scratch)
        for name, tensor in weights.items():
            writer.add(name, tensor().to("cpu"))
        writer.close()
        _write_config(bundle, scratch)
        bundle.tokenizer.save_pretrained(scratch)
        bundle.manifest().write(scratch, tokens_per_image=bundle.tokens_per_image)
        write_processor(scratch, bundle.manifest(), _plain(bundle.model).config, bundle.tokenizer.backend_tokenizer)
    return target
