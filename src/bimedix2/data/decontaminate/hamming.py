"""Which 64-bit numbers of a large set differ from a given one in few bits, without looking at all of them.

Cut into four bands of 16 bits, two numbers that differ in at most 7 (11) bits differ in at most 1 (2) bits in one of
the bands; only those are looked at (multi-index hashing, Norouzi, Punjani and Fleet 2012).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .prints import Codes, different_bits

BANDS, WIDTH = 4, 16
MOST_BITS = 11
Places = NDArray[np.int64]
_BLOCK = 1 << 20


class HammingIndex:
    """Numbers by the value of each of their bands: 16 bytes a number beside the numbers.

    Args:
        codes: (N,) numbers.
    """

    def __init__(self, codes: Codes) -> None:
        self.codes = codes
        self._order: list[NDArray[np.int32]] = []
        self._start: list[NDArray[np.int64]] = []
        for band in range(BANDS):
            values = _band(codes, band)
            self._order.append(np.argsort(values, kind="stable").astype(np.int32))
            counts = np.bincount(values, minlength=1 << WIDTH)
            self._start.append(np.concatenate([[0], np.cumsum(counts)]))

    def near(self, asked: Codes, most: int) -> tuple[Places, Places, Places]:
        """(asked, known, bits) of all pairs that differ in at most ``most`` bits, each once, in order.

        Args:
            asked: (Q,) numbers; take a thousand at a time, or memory grows with Q.
            most: 0 to 11.
        """
        if most > MOST_BITS:
            raise ValueError(f"at most {MOST_BITS} bits can be looked for, not {most}")
        masks = _masks(most // BANDS)
        found: list[tuple[Places, Places, Places]] = []
        for band in range(BANDS):
            probes = _band(asked, band)[:, None] ^ masks[None]
            starts, ends = self._start[band][probes].ravel(), self._start[band][probes + 1].ravel()
            found += self._looked_at(asked, band, starts, ends, len(masks), most)
        if not found:
            nothing = np.empty(0, np.int64)
            return nothing, nothing, nothing
        one, other, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        _, first = np.unique(one * max(1, len(self.codes)) + other, return_index=True)
        return one[first], other[first], bits[first]

    def _looked_at(
        self, asked: Codes, band: int, starts: Places, ends: Places, probes: int, most: int
    ) -> list[tuple[Places, Places, Places]]:
        """Compare with everything in the buckets, a bounded number of pairs at a time."""
        counts = ends - starts
        kept: list[tuple[Places, Places, Places]] = []
        filled = np.flatnonzero(counts)
        totals = np.cumsum(counts[filled])
        first = 0
        while first < len(filled):
            done = int(totals[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(totals, done + _BLOCK, "right")))
            rows = filled[first:last]
            size = counts[rows]
            place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size) + np.repeat(starts[rows], size)
            one, other = np.repeat(rows // probes, size), self._order[band][place].astype(np.int64)
            bits = different_bits(asked[one], self.codes[other])
            near = bits <= most
            kept.append((one[near], other[near], bits[near]))
            first = last
        return kept


def _band(codes: Codes, band: int) -> NDArray[np.int64]:
    return ((codes >> np.uint64(WIDTH * band)) & np.uint64(0xFFFF)).astype(np.int64)


def _masks(radius: int) -> NDArray[np.int64]:
    """All patterns of up to ``radius`` of 16 bits."""
    return np.array(
        [sum(1 << bit for bit in bits) for count in range(radius + 1) for bits in combinations(range(WIDTH), count)],
        np.int64,
    )
