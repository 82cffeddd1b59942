"""MinHash of texts: how many character 5-grams two texts share, from 128 numbers of 8 bits each.

Own code and not a library, because hashes of test sets are shipped: they must come out the same in every version for
ever, which no library promises. Nor would one be faster: datasketch does a tenth, rensa as much once Python has cut
the 5-grams for it (``benchmarks/decontamination.py``). Characters and
not words, because one changed word of ten breaks three of eight word triples, but a ninth of the 5-grams, and because
an Arabic word changes its first and last letters with its place in the sentence.

Sources: Broder 1997; Li and König 2010 (keeping the lowest bits); Leskovec, Rajaraman and Ullman, ch. 3 (bands).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GRAM, NUMBERS = 5, 128
Signatures = NDArray[np.uint8]
Keys = NDArray[np.uint64]
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd
_BLOCK = 1 << 17


def _mixed(values: Keys) -> Keys:
    """SplitMix64's last step (Steele, Lea and Flood 2014): every bit of the result depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _permutations() -> tuple[Keys, Keys]:
    """Odd factors and summands of the 128 hash functions, from a counter: no random number generator to change."""
    numbers = _mixed(_PRIME * np.arange(1, 2 * NUMBERS + 1, dtype=np.uint64))
    return numbers[:NUMBERS] | np.uint64(1), numbers[NUMBERS:]


_FACTORS, _SUMMANDS = _permutations()


def gram_hashes(texts: Sequence[str]) -> tuple[Keys, NDArray[np.int64]]:
    """64-bit hashes of all character 5-grams of non-empty texts, and where those of each text start.

    A text is taken between two spaces, so that its first and last word weigh no less; a short one is padded.
    """
    padded = [f" {text} ".ljust(GRAM) for text in texts]
    points = np.frombuffer("".join(padded).encode("utf-32-le", errors="surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    hashed = np.zeros(len(points) - GRAM + 1, np.uint64)
    for place in range(GRAM):
        hashed = hashed * _PRIME + points[place : len(points) - GRAM + 1 + place]
    ends = np.cumsum(lengths)
    inside = np.ones(len(points), bool)  # a gram may not reach into the next text
    for back in range(1, GRAM):
        inside[ends - back] = False
    counts = lengths - GRAM + 1
    return _mixed(hashed[inside[: len(hashed)]]), np.cumsum(counts) - counts


def signatures(texts: Sequence[str]) -> Signatures:
    """(N, 128) of canonical, non-empty texts; texts with the same set of 5-grams have equal rows."""
    found = np.empty((len(texts), NUMBERS), np.uint8)
    start = 0
    while start < len(texts):
        end, size = start, 0
        while end < len(texts) and (end == start or size + len(texts[end]) <= _BLOCK):
            size += len(texts[end])
            end += 1
        grams, starts = gram_hashes(texts[start:end])
        for number in range(NUMBERS):
            least = np.minimum.reduceat((grams * _FACTORS[number] + _SUMMANDS[number]) >> np.uint64(32), starts)
            found[start:end, number] = least.astype(np.uint8)
        start = end
    return found


def similarity(first: Signatures, second: Signatures) -> NDArray[np.float32]:
    """Estimated Jaccard similarity of rows (N, 128) and (N, 128) or (128,); standard error at most 0.044.

    Numbers of 8 bits agree by chance once in 256 times, which is corrected for.
    """
    agree: NDArray[np.float32] = (first == second).mean(-1, dtype=np.float32)
    return (agree * np.float32(256) - np.float32(1)) / np.float32(255)


def rows_a_band(threshold: float) -> int:
    """The longest band that still brings 94 % of the pairs at the threshold together: fewer pairs to look at.

    >>> rows_a_band(0.6), rows_a_band(0.8)
    (4, 8)
    """
    fits = [rows for rows in (4, 8, 16) if 1 - (1 - threshold**rows) ** (NUMBERS // rows) >= 0.94]
    return max(fits, default=4)


def band_keys(found: Signatures, rows: int) -> Keys:
    """(bands, N) of signatures (N, 128), or of some of their bands.

    Texts that agree in all ``rows`` numbers of a band have the same key there.
    """
    parts = found.reshape(len(found), found.shape[1] // rows, rows).astype(np.uint64)
    keys = np.broadcast_to(np.arange(parts.shape[1], dtype=np.uint64), parts.shape[:2])
    for row in range(rows):
        keys = _mixed(keys * _PRIME + parts[:, :, row] + np.uint64(1))
    return np.ascontiguousarray(keys.T)
