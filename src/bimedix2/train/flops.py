"""Arithmetic of a training step, and the share of the device's peak that it reaches (model FLOPs utilisation).

Counted is what the model needs, as in the PaLM paper (arXiv 2204.02311, appendix B): neither recomputed layers nor the
packs that a process repeats for lack of its own. A multiply-add is two operations. What is frozen has no weight
gradients: 2 operations forward and 2 backward for each weight and token, and 2 more where the weight trains. Softmax,
norms and activations are left out; they are far below a percent.

Letters: T tokens, M supervised tokens, N distinct images, D and V width and vocabulary of the language model, H heads
of width d.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bimedix2.model import Bundle

    from .plan.packs import Pack
    from .samples.table import SampleTable

# Dense bf16 operations a second with fp32 sums, from the makers' data sheets: what they print "with sparsity" halved,
# and for two-die cards the figure of one die, which is one device to PyTorch.
_PEAKS = (
    (r"\bB200\b", 2250e12),
    (r"\bH[12]00\b.*\bNVL\b", 835e12),
    (r"\bH100\b.*\bPCIe\b", 756e12),
    (r"\bG?H[12]00\b", 989.4e12),
    (r"\bA[18]00\b", 312e12),
    (r"\bA40\b", 149.7e12),
    (r"\bA30\b", 165e12),
    (r"\bA10\b", 125e12),
    (r"\bL40S\b", 362e12),
    (r"\bL4\b", 121e12),
    (r"\bRTX 4090\b", 165.2e12),
    (r"\bMI300X\b", 1307.4e12),
    (r"\bMI250X\b", 191.5e12),
    (r"\bMI2[15]0\b", 181e12),
)


def peak_flops(device_name: str) -> float | None:
    """Peak bf16 operations a second of a device, or ``None`` if it is not known.

    Args:
        device_name: as ``torch.cuda.get_device_name`` gives it. Part of a card (MIG) is not known.
    """
    if "MIG" in device_name:
        return None
    return next((peak for pattern, peak in _PEAKS if re.search(pattern, device_name)), None)


@dataclass(frozen=True)
class ModelFlops:
    """Operations, forward and backward, by what they are proportional to.

    Attributes:
        token: of the decoder layers' matrices, for each of the T tokens.
        attention: for each layer, (operations for each pair of a query and a key, its sliding window or ``None``).
        supervised: of the head, for each of the M supervised tokens.
        image: of encoder and projector, for each of the N distinct images.
    """

    token: float
    attention: tuple[tuple[float, int | None], ...]
    supervised: float
    image: float

    @classmethod
    def of(cls, bundle: Bundle) -> ModelFlops:
        """Of a model whose parameters have their final ``requires_grad``."""
        model: Any = bundle.model
        language = model.model.language_model
        rows, width = model.lm_head.weight.shape
        return cls(
            token=_matrices(language, inputs=True),
            attention=tuple(_attention(layer.self_attn) for layer in language.layers),
            supervised=4.0 * rows * width,
            image=_encoder(bundle) + _projector(bundle),
        )


def step_flops(flops: ModelFlops, packs: Sequence[Pack], table: SampleTable) -> float:
    """Operations of the packs of an optimiser step.

    Args:
        flops: of the model.
        packs: of all processes.
        table: the samples that they consist of.
    """
    rows = np.array([row for pack in packs for row in pack.rows])
    queries, seen = spans(packs, table)
    images = sum(len({int(i) for block in pack.blocks for i in table.images(block.rows[0])}) for pack in packs)
    pairs = {window: attended(queries, seen, window) for _, window in flops.attention}
    return float(
        flops.token * sum(pack.tokens for pack in packs)
        + sum(cost * pairs[window] for cost, window in flops.attention)
        + flops.supervised * int(table.supervised[rows].sum())
        + flops.image * images
    )


def spans(packs: Sequence[Pack], table: SampleTable) -> tuple[Any, Any]:
    """Tokens of every span of the packs, and tokens of the prefix that it sees besides itself: two int arrays."""
    found = []
    for block in (block for pack in packs for block in pack.blocks):
        prefix = int(table.prefix[block.rows[0]])
        found.extend([(prefix, 0)] if prefix else [])
        found.extend((int(table.length[row]) - prefix, prefix) for row in block.rows)
    columns = np.array(found, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def attended(queries: Any, seen: Any, window: int | None) -> int:
    """Pairs of a query and a key that it looks at, summed over spans.

    Query i of a span (from 0) looks at the ``seen`` tokens before the span and at i + 1 of its own, and at no more
    than ``window`` altogether.
    """
    every = int((queries * seen + queries * (queries + 1) // 2).sum())
    if window is None:
        return every
    # Queries with more than a window before them, and how much too far each of them would look: 1, 2, 3, ...
    far = np.minimum(np.maximum(queries + seen - window, 0), queries)
    most = np.maximum(queries + seen - window, 0)
    return every - int((far * (2 * most - far + 1) // 2).sum())


class Meter:
    """Model FLOPs utilisation of the steps of a stage.

    Args:
        bundle: the model, its parameters with their final ``requires_grad``.
        table: the samples.
        device: where this process computes.
        world: number of processes, each with a device of the same kind.

    Attributes:
        peak: operations a second of all devices together, or ``None`` where that is not known.
    """

    def __init__(self, bundle: Bundle, table: SampleTable, device: torch.device, world: int) -> None:
        self.table = table
        self.peak = _peak(bundle, device, world)
        self.flops = ModelFlops.of(bundle) if self.peak else None

    def row(self, packs: Sequence[Pack], seconds: float) -> dict[str, float]:
        """``{"mfu": share of the peak}``, or nothing where the peak is not known."""
        if self.peak is None or self.flops is None:
            return {}
        return {"mfu": round(step_flops(self.flops, packs, self.table) / (seconds * self.peak), 4)}


def _peak(bundle: Bundle, device: torch.device, world: int) -> float | None:
    import torch

    if device.type != "cuda" or bundle.dtype.itemsize != 2:  # the peaks are those of 16-bit factors
        return None
    found = peak_flops(torch.cuda.get_device_name(device))
    return None if found is None else found * world


def _matrices(module: nn.Module, *, inputs: bool) -> float:
    """For each token; ``inputs``: whether a gradient has to reach the first of them."""
    from torch import nn

    total, wanted = 0.0, inputs
    for layer in module.modules():
        if isinstance(layer, nn.Linear):  # also the 4-bit ones, whose packed weights tell nothing about their shape
            total += 2.0 * layer.in_features * layer.out_features * (1 + wanted + layer.weight.requires_grad)
        # A norm that trains needs a gradient of what comes after it, too.
        wanted = wanted or any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    return total


def _attention(layer: Any) -> tuple[float, int | None]:
    """Scores and weighted sum: 2 x 2 H d forward, twice that backward."""
    window = getattr(layer, "sliding_window", getattr(layer.config, "sliding_window", None))
    return 12.0 * layer.config.num_attention_heads * layer.head_dim, window


def _encoder(bundle: Bundle) -> float:
    """For each image: patch embedding, and the blocks that are used; every token of an image sees every other."""
    from bimedix2.model.encoder import CLASS_TOKEN, encoder_blocks, used_blocks, vision_tower

    config = vision_tower(bundle.model).config
    patches: int = (bundle.image_policy.size // config.patch_size) ** 2
    tokens = patches + CLASS_TOKEN[config.model_type]
    total: float = 2.0 * 3 * config.patch_size**2 * config.hidden_size * patches
    for block in encoder_blocks(bundle.model)[: used_blocks(bundle.model)]:
        trains = any(parameter.requires_grad for parameter in block.parameters())
        own = 4.0 * config.hidden_size * tokens**2
        total += tokens * _matrices(block, inputs=trains) + own * (3 if trains else 1)
    return total


def _projector(bundle: Bundle) -> float:
    from bimedix2.model.encoder import vision_tower

    model: Any = bundle.model
    from_encoder = any(parameter.requires_grad for parameter in vision_tower(model).parameters())
    return float(bundle.tokens_per_image) * _matrices(model.model.multi_modal_projector, inputs=from_encoder)
