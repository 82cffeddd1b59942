"""Keys and values of all running answers in one preallocated block, a row for each.

Rows are packed at the front and every row starts at slot 0, so the part that a step reads is a view: nothing is copied
when a token is added, one row is copied when an answer joins, and one when a hole is filled after an answer has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

Layers = list[tuple[Tensor, Tensor]]


class KVPool:
    """Keys and values, (rows, heads, capacity, D) for each layer.

    Args:
        rows: answers that can run at a time.
        block: capacity grows by multiples of so many positions.

    Attributes:
        lengths: positions in use of each running row.
        capacity: positions that fit in a row now.
    """

    def __init__(self, rows: int, block: int = 256) -> None:
        self.rows, self.block = rows, block
        self.lengths: list[int] = []
        self.capacity = 0
        self._layers: Layers = []

    @property
    def bytes(self) -> int:
        """Memory taken, whether used or not."""
        return sum(part.nbytes for layer in self._layers for part in layer)

    def join(self, layers: Layers, spare: int) -> int:
        """Copy the keys and values of a prompt into a new row.

        Args:
            layers: (1, heads, T, D) each.
            spare: further positions that the row is sure to need, at least 1.

        Returns:
            The row's number.
        """
        row, length = len(self.lengths), layers[0][0].shape[-2]
        if row >= self.rows:
            raise ValueError("every row is taken")
        self._grow(length + min(spare, self.block), layers)
        for own, given in zip(self._layers, layers, strict=True):
            _fill(own, row, given, length)
        self.lengths.append(length)
        return row

    def leave(self, row: int) -> None:
        """Free a row; the last row takes its number."""
        last = len(self.lengths) - 1
        if row != last:
            length = self.lengths[last]
            for own in self._layers:
                _fill(own, row, (own[0][last : last + 1, :, :length], own[1][last : last + 1, :, :length]), length)
            self.lengths[row] = length
        self.lengths.pop()
        if not self.lengths:
            # One long conversation must not hold its memory for good.
            self._layers, self.capacity = [], 0

    def copy(self, row: int, length: int) -> Layers:
        """The first ``length`` positions of a row, as tensors of their own."""
        own = slice(row, row + 1)
        return [(keys[own, :, :length].clone(), values[own, :, :length].clone()) for keys, values in self._layers]

    def reserve(self, rows: slice) -> None:
        """Make room for one more position in each of ``rows``."""
        self._grow(max(self.lengths[rows]) + 1, self._layers)

    def advance(self, rows: slice) -> None:
        """Count the position that a step has written in each of ``rows``."""
        self.lengths[rows] = [length + 1 for length in self.lengths[rows]]

    def cache(self, rows: slice) -> DynamicCache:
        """A transformers cache that writes one position for each of ``rows`` in place."""
        cache = DynamicCache()
        lengths = self.lengths[rows]
        device = self._layers[0][0].device
        places = (torch.arange(len(lengths), device=device), torch.tensor(lengths, device=device))
        longest = max(lengths) + 1
        cache.layers = [_PoolLayer(keys[rows], values[rows], places, longest) for keys, values in self._layers]
        return cache

    def _grow(self, length: int, like: Layers) -> None:
        if length <= self.capacity:
            return
        # A quarter more each time: copying stays a small part of what is written.
        wanted = max(length, self.capacity + self.capacity // 4)
        capacity = -(-wanted // self.block) * self.block
        used = max(self.lengths, default=0)
        grown: Layers = []
        for number, pair in enumerate(like):
            # Zeros and not whatever was in memory: a masked NaN would still spoil the sum.
            made = [part.new_zeros(self.rows, part.shape[1], capacity, part.shape[-1]) for part in pair]
            if self.lengths:
                for new, old in zip(made, self._layers[number], strict=True):
                    new[: len(self.lengths), :, :used] = old[: len(self.lengths), :, :used]
            grown.append((made[0], made[1]))
        self._layers, self.capacity = grown, capacity


class _PoolLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer of the pool during one step."""

    def __init__(self, keys: Tensor, values: Tensor, places: tuple[Tensor, Tensor], longest: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values = keys, values
        self.is_initialized = True
        self._places, self._longest = places, longest

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_more: Any) -> tuple[Tensor, Tensor]:
        """Write (N, heads, 1, D) and return everything up to the longest row."""
        rows, slots = self._places
        assert self.keys is not None
        assert self.values is not None
        self.keys[rows, :, slots] = key_states[:, :, 0]
        self.values[rows, :, slots] = value_states[:, :, 0]
        return self.keys[:, :, : self._longest], self.values[:, :, : self._longest]


def layers_of(cache: DynamicCache) -> Layers:
    """Keys and values of an ordinary cache."""
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]


def _fill(own: tuple[Tensor, Tensor], row: int, given: tuple[Tensor, Tensor], length: int) -> None:
    for target, source in zip(own, given, strict=True):
        target[row, :, :length] = source[0]
        target[row, :, length:] = 0


def row_masks(
    lengths: Sequence[int], windows: dict[str, int | None], device: torch.device, additive: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Which slots the next token of each row sees, by kind of attention.

    Args:
        lengths: N positions in use, the next token not counted.
        windows: width of the sliding window of each kind; ``None`` sees everything before it.
        device: of the masks.
        additive: give 0 and the least number of this type instead of true and false.

    Returns:
        (N, 1, 1, longest + 1) each.
    """
    at = torch.tensor(lengths, device=device)[:, None]
    slots = torch.arange(max(lengths) + 1, device=device)[None]
    masks: dict[str, Tensor] = {}
    for kind, window in windows.items():
        seen = slots <= at
        if window is not None:
            seen &= slots > at - window
        seen = seen[:, None, None]
        if additive is not None:
            hidden = torch.finfo(additive).min
            seen = torch.zeros_like(seen, dtype=additive).masked_fill_(~seen, hidden)
        masks[kind] = seen
    return masks
