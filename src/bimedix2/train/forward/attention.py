"""Attention over packed rows: each span sees its prefix and, causally, itself; nothing else.

One function stands in for the attention of any transformers decoder. On CUDA it is one variable-length kernel call
(FlashAttention, through ``torch.nn.attention.varlen``); elsewhere a loop of ordinary scaled-dot-product calls, which
is exact, needs no T x T mask and costs what the spans cost (training on conversations of 40 tokens in a row of 1,000
would otherwise spend most of its attention on what is masked).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

NAME = "bimedix2_spans"


@dataclass(frozen=True)
class Spans:
    """Parts of a row and what each may look at.

    Attributes:
        sizes: tokens of every span; spans follow each other without a gap.
        prefixes: number of the span that each may also see whole, or -1.
        keys: (sum over spans of prefix + own length,) rows of the key that each span sees, span after span.
        query_ends: (S + 1,) int32, cumulated lengths of the spans.
        key_ends: (S + 1,) int32, cumulated lengths of what they see.
        longest: (queries, keys) of the longest span.
        shared: whether any span sees a prefix; otherwise ``keys`` are all rows in their order.
    """

    sizes: tuple[int, ...]
    prefixes: tuple[int, ...]
    keys: Tensor
    query_ends: Tensor
    key_ends: Tensor
    longest: tuple[int, int]
    shared: bool
    masks: dict[tuple[int, int, int], Tensor] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, sizes: Sequence[int], prefixes: Sequence[int]) -> Spans:
        """Spans of these sizes; a prefix comes before its spans."""
        ends = np.cumsum(sizes)
        rows = [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        seen = [
            np.append(rows[prefix], own) if prefix >= 0 else own for own, prefix in zip(rows, prefixes, strict=True)
        ]
        lengths = [len(keys) for keys in seen]
        return cls(
            sizes=tuple(sizes),
            prefixes=tuple(prefixes),
            keys=torch.from_numpy(np.concatenate(seen)),
            query_ends=torch.from_numpy(np.append(0, ends).astype(np.int32)),
            key_ends=torch.from_numpy(np.append(0, np.cumsum(lengths)).astype(np.int32)),
            longest=(max(sizes), max(lengths)),
            shared=max(prefixes) >= 0,
        )

    def to(self, device: torch.device) -> Spans:
        """The same with its tensors on a GPU; the copy does not block."""
        names = ("keys", "query_ends", "key_ends")
        moved: dict[str, Any] = {name: getattr(self, name).pin_memory().to(device, non_blocking=True) for name in names}
        return replace(self, **moved, masks={})

    def mask(self, queries: int, keys: int, window: int, device: torch.device) -> Tensor:
        """(queries, keys) bool: query i stands at key ``keys - queries + i``; made once for all layers."""
        known = self.masks.get((queries, keys, window))
        if known is None:
            place = torch.arange(keys - queries, keys, device=device)[:, None]
            other = torch.arange(keys, device=device)[None]
            known = self.masks[queries, keys, window] = (other <= place) & (place - other < window)
        return known


def span_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Spans,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention function in transformers' form.

    Args:
        module: the calling attention layer (not used).
        query: (1, H, T, d).
        key, value: (1, H_kv, T, d); H is a multiple of H_kv.
        attention_mask: must be ``None``; ``spans`` say it all.
        spans: of the row.
        scaling: of the scores; 1 / sqrt(d) if ``None``.
        dropout: on the attention weights.
        sliding_window: positions that a query looks back on, itself included.

    Returns:
        (1, T, H, d), and ``None`` for the weights.
    """
    if query.is_cuda and dropout == 0.0 and query.dtype != torch.float32:
        return _varlen(query, key, value, spans, scaling, sliding_window), None
    return _loop(query, key, value, spans, scaling, dropout, sliding_window), None


def _varlen(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, scaling: float | None, window: int | None
) -> Tensor:
    """One kernel call; causal from the lower right, which is what a span behind its prefix needs."""
    from torch.nn.attention.varlen import varlen_attn

    own, keys, values = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    if spans.shared:  # a prefix is read by each of its segments, so its keys are repeated
        keys, values = keys[spans.keys], values[spans.keys]
    back = -1 if window is None else window - 1
    result: Any = varlen_attn(
        own.contiguous(),
        keys.contiguous(),
        values.contiguous(),
        spans.query_ends,
        spans.key_ends,
        spans.longest[0],
        spans.longest[1],
        scale=scaling,
        window_size=(back, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return result[None]  # type: ignore[no-any-return]


def _loop(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    spans: Spans,
    scaling: float | None,
    dropout: float,
    window: int | None,
) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    # One split, not many slices: the gradient of a slice is a row of zeros with the slice filled in.
    pieces: Any = [torch.split(tensor, list(spans.sizes), dim=2) for tensor in (query, key, value)]
    parts = []
    for own, keys, values, prefix in zip(*pieces, spans.prefixes, strict=True):
        if prefix >= 0:
            keys = torch.cat([pieces[1][prefix], keys], 2)
            values = torch.cat([pieces[2][prefix], values], 2)
        count, seen = own.shape[2], keys.shape[2]
        causal = prefix < 0 and (window is None or seen <= window)
        mask = None if causal else spans.mask(count, seen, window or seen, query.device)
        parts.append(
            scaled_dot_product_attention(own, keys, values, mask, dropout, causal, scale=scaling, enable_gqa=grouped)
        )
    return torch.cat(parts, 2).transpose(1, 2)


def use_span_attention(config: Any) -> None:
    """Make a decoder with this configuration call :func:`span_attention`; its forward then needs ``spans=``."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, span_attention)
    AttentionMaskInterface.register(NAME, _no_mask)
    config._attn_implementation = NAME


def _no_mask(*_: Any, **__: Any) -> None:
    """The model's own mask would be T x T; spans replace it."""
