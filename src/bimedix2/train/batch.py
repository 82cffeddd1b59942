"""From a pack to tensors: ids, labels, positions and the mask that keeps its conversations apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .packs import Pack


class Batch(NamedTuple):
    """Tensors of one pack (B = 1 row of T tokens).

    Attributes:
        input_ids: (1, T).
        position_ids: (1, T), going on from the prefix in every segment.
        segments: (T,), 0 for the shared prefix.
        targets: (T,), the token to predict *at* each position, -100 where none.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    targets: Tensor


def to_batch(pack: Pack) -> Batch:
    """Lay a pack out as one row."""
    first = pack.samples[0]
    ids, positions = list(first.input_ids[: first.prefix]), list(range(first.prefix))
    segments, targets = [0] * first.prefix, [-100] * first.prefix
    for number, sample in enumerate(pack.samples, start=1):
        own, labels = sample.input_ids[sample.prefix :], sample.labels[sample.prefix :]
        ids.extend(own)
        positions.extend(range(sample.prefix, len(sample.input_ids)))
        segments.extend([number] * len(own))
        # Shift inside the segment: the last token of a segment predicts nothing, above all not its neighbour.
        targets.extend([*labels[1:], -100])
    row = [torch.tensor(values) for values in (ids, positions, segments, targets)]
    return Batch(row[0][None], row[1][None], row[2], row[3])


def attention_masks(batch: Batch, dtype: torch.dtype, sliding_window: int | None) -> Any:
    """Additive mask(s) (1, 1, T, T): 0 where a query may look, the lowest number elsewhere.

    Args:
        batch: one pack.
        dtype: dtype of the attention scores.
        sliding_window: for models with local layers; then a dict with both kinds, as transformers takes it.
    """
    segments, positions = batch.segments, batch.position_ids[0]
    index = torch.arange(len(segments))
    allowed = (index[:, None] >= index[None]) & ((segments[:, None] == segments[None]) | (segments[None] == 0))
    full = _additive(allowed, dtype)
    if sliding_window is None:
        return full
    near = positions[:, None] - positions[None] < sliding_window
    return {"full_attention": full, "sliding_attention": _additive(allowed & near, dtype)}


def _additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    mask = torch.zeros(allowed.shape, dtype=dtype)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[None, None]
