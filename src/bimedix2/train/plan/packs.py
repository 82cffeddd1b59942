"""Packs: several conversations in one row, each blind to the others; those about one image share it.

A pack is a row of blocks. A block is ``prefix | segment | segment | …``: the prefix (turn header and image tokens)
is the same for every conversation about an image, so it is computed once; each segment sees its block's prefix and
itself alone, and its positions go on from the prefix. A conversation without an image is a block with one segment
and no prefix. The result equals training on each conversation by itself.

Worked example, a block with prefix length 3 and segments of 2 and 3 tokens, then a text of 2 tokens::

    index        0 1 2 | 3 4 | 5 6 7 | 8 9
    segment      0 0 0 | 1 1 | 2 2 2 | 3 3
    position     0 1 2 | 3 4 | 3 4 5 | 0 1
    7 may see    0 1 2         5 6 7
    9 may see                          8 9
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bimedix2.train.samples.table import SampleTable

from .ranks import U64, ranks

# Blocks are fitted together within a window of the shuffled order: large enough for full packs, small enough that
# an epoch stays shuffled.
_WINDOW = 512


class Block(NamedTuple):
    """Rows of the sample table that share a prefix (one row where they share none), and what they cost."""

    rows: tuple[int, ...]
    tokens: int
    images: int


class Pack(NamedTuple):
    """Blocks that fit the token budget together."""

    blocks: tuple[Block, ...]

    @property
    def rows(self) -> list[int]:
        """Every sample, in the order of the tokens."""
        return [row for block in self.blocks for row in block.rows]

    @property
    def tokens(self) -> int:
        """Length of the row."""
        return sum(block.tokens for block in self.blocks)


def pack_epoch(
    table: SampleTable,
    rows: NDArray[np.int64],
    uses: NDArray[np.int64],
    *,
    budget: int,
    images: int,
    seed: int,
    epoch: int,
) -> list[Pack]:
    """Packs of one epoch in training order: a pure function of its arguments.

    Args:
        table: all samples.
        rows: (R,) samples of the epoch.
        uses: (R,) how often each occurs.
        budget: most tokens of a pack; every sample must fit it.
        images: most images of a pack; 0 sets no bound.
        seed, epoch: choose packing and order.

    Returns:
        Packs; every sample occurs as often as ``uses`` says, no pack is over the budget.
    """
    blocks = list(_blocks(table, rows, uses, budget, (seed, epoch)))
    first: U64 = np.array([table.key[block.rows[0]] for block in blocks], dtype=np.uint64)
    copies: U64 = np.arange(len(blocks), dtype=np.uint64)  # the same sample can lead several blocks
    order = np.argsort(ranks(first + copies, seed, epoch, "block"), kind="stable")
    packs: list[Pack] = []
    for start in range(0, len(order), _WINDOW):
        window = [blocks[index] for index in order[start : start + _WINDOW]]
        packs.extend(_fit(window, budget, images))
    keys: U64 = np.array([table.key[pack.blocks[0].rows[0]] for pack in packs], dtype=np.uint64)
    shuffled = np.argsort(ranks(keys + copies[: len(packs)], seed, epoch, "pack"), kind="stable")
    return [packs[index] for index in shuffled]


def _blocks(
    table: SampleTable, rows: NDArray[np.int64], uses: NDArray[np.int64], budget: int, salt: tuple[int, int]
) -> Iterator[Block]:
    """Blocks in an order that depends on the samples alone, not on the order of ``rows``."""
    counts = table.image_count()
    for copy in range(int(uses.max(initial=0))):
        used = rows[uses > copy]
        order = np.lexsort((ranks(table.key[used], *salt, "member", copy), table.prefix_key[used]))
        row: list[int] = []
        tokens, key = 0, 0
        for index in used[order].tolist():
            prefix, own_key = int(table.prefix[index]), int(table.prefix_key[index])
            own = int(table.length[index]) - prefix
            if row and (own_key == 0 or own_key != key or tokens + own > budget):
                yield Block(tuple(row), tokens, int(counts[row[0]]))
                row = []
            tokens = (tokens if row else prefix) + own
            key = own_key
            row.append(index)
        if row:
            yield Block(tuple(row), tokens, int(counts[row[0]]))


def _fit(blocks: Iterable[Block], budget: int, images: int) -> list[Pack]:
    """Best fit decreasing: each block goes where it leaves the least room (Johnson 1973), if its images fit too."""
    contents: list[list[Block]] = []
    room: list[tuple[int, int]] = []  # (free tokens, pack), sorted
    shown: list[int] = []
    for block in sorted(blocks, key=lambda item: -item.tokens):
        place = bisect_left(room, (block.tokens, -1))
        while place < len(room) and images and shown[room[place][1]] + block.images > max(images, block.images):
            place += 1
        if place < len(room):
            free, number = room.pop(place)
        else:
            free, number = budget, len(contents)
            contents.append([])
            shown.append(0)
        contents[number].append(block)
        shown[number] += block.images
        insort(room, (free - block.tokens, number))
    return [Pack(tuple(content)) for content in contents]
