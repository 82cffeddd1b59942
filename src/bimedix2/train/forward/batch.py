"""From a pack to tensors: ids, positions, targets, who may attend to whom, which images.

Shape letters: T tokens of a row, S spans, N distinct images, K images as they are shown, P tokens of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bimedix2.train.plan.packs import Pack
from bimedix2.train.samples.table import SampleTable

from .attention import Spans

IGNORED = -100


class Tokens(Protocol):
    """Where a sample's tokens come from (:class:`bimedix2.train.samples.store.TokenStore`)."""

    table: SampleTable

    def ids(self, row: int) -> NDArray[np.int32]:
        """(length,) token ids."""

    def supervised(self, row: int) -> NDArray[np.bool_]:
        """(length,) whether each token is predicted."""


Pixels = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Batch:
    """Tensors of one pack.

    Attributes:
        input_ids: (1, T).
        position_ids: (1, T), going on from the prefix in every segment.
        targets: (T,), the token to predict *at* each position, -100 where none.
        supervised: (M,), the positions that have a target.
        cells: (T,), cell of each position's sample.
        spans: what may attend to what.
        pixels: (N, S, S, 3) uint8, each image once, or (0, S, S, 3).
        shown: (K,) index into ``pixels`` for every block of image tokens, in the order of the row.
    """

    input_ids: Tensor
    position_ids: Tensor
    targets: Tensor
    supervised: Tensor
    cells: Tensor
    spans: Spans
    pixels: Tensor
    shown: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device; the copy does not block where memory is pinned."""
        if device.type == "cpu":
            return self
        moved = {
            field.name: getattr(self, field.name).pin_memory().to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, **moved, spans=self.spans.to(device))


class _Row:
    """Columns of a row while its blocks are laid out."""

    def __init__(self) -> None:
        self.ids: list[NDArray[np.int32]] = []
        self.positions: list[NDArray[np.int64]] = []
        self.targets: list[NDArray[np.int64]] = []
        self.cells: list[NDArray[np.int64]] = []
        self.sizes: list[int] = []
        self.prefixes: list[int] = []

    def add(self, ids: NDArray[np.int32], targets: NDArray[np.int64], start: int, cell: int, prefix: int = -1) -> int:
        """Append one span and return its number.

        Args:
            ids, targets: of the span.
            start: its first position.
            cell: of its sample.
            prefix: number of the span that it may also see.
        """
        size = len(ids)
        self.ids.append(ids)
        self.positions.append(np.arange(start, start + size))
        self.targets.append(targets)
        self.cells.append(np.full(size, cell))
        self.sizes.append(size)
        self.prefixes.append(prefix)
        return len(self.sizes) - 1


def build_batch(pack: Pack, tokens: Tokens, pixels: Pixels | None, side: int) -> Batch:
    """Lay a pack out as one row.

    Args:
        pack: what goes in.
        tokens: token store.
        pixels: image index -> (side, side, 3) uint8.
        side: edge of an image in pixels.
    """
    row, images = _Row(), list[int]()
    for block in pack.blocks:
        images.extend(int(image) for image in tokens.table.images(block.rows[0]))
        _add_block(row, block.rows, tokens)
    distinct = list(dict.fromkeys(images))
    stack = np.empty((len(distinct), side, side, 3), dtype=np.uint8)
    for place, image in enumerate(distinct):
        assert pixels is not None
        stack[place] = pixels(image)
    targets = np.concatenate(row.targets)
    return Batch(
        input_ids=torch.from_numpy(np.concatenate(row.ids).astype(np.int64))[None],
        position_ids=torch.from_numpy(np.concatenate(row.positions))[None],
        targets=torch.from_numpy(targets),
        supervised=torch.from_numpy(np.flatnonzero(targets != IGNORED)),
        cells=torch.from_numpy(np.concatenate(row.cells)),
        spans=Spans.of(row.sizes, row.prefixes),
        pixels=torch.from_numpy(stack),
        shown=torch.tensor([distinct.index(image) for image in images], dtype=torch.long),
    )


def _add_block(row: _Row, rows: tuple[int, ...], tokens: Tokens) -> None:
    table = tokens.table
    size, prefix = int(table.prefix[rows[0]]), -1
    if size:
        shared = np.full(size, IGNORED, dtype=np.int64)
        prefix = row.add(tokens.ids(rows[0])[:size], shared, 0, int(table.cell[rows[0]]))
    for index in rows:
        ids = tokens.ids(index)
        labels = np.where(tokens.supervised(index), ids, IGNORED).astype(np.int64)
        # Shift inside the segment: its last token predicts nothing, above all not its neighbour's first.
        targets = np.append(labels[size + 1 :], IGNORED)
        row.add(ids[size:], targets, size, int(table.cell[index]), prefix)
