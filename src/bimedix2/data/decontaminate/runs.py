"""Runs of eight words: how much of a test item's text stands word for word somewhere in a training record.

A question inside a longer prompt or dialogue differs from it as a whole, but its runs of words are all there (Tülu 3,
arXiv 2411.15124, decontaminates so). Of each test text the 32 runs with the smallest hashes are kept: a fixed random
sample, from which the share found is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

GRAM, SAMPLE = 8, 32
Hashes = NDArray[np.uint32]
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MOST_WORDS = 1_000_000


class RunHasher:
    """Hashes runs of words; remembers the hashes of words, a million at most."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {}

    def of(self, text: str) -> Hashes:
        """Hashes of all runs of a canonical text in order; none for fewer than eight words."""
        words = text.split()
        count = len(words) - GRAM + 1
        if count < 1:
            return np.empty(0, np.uint32)
        if len(self._words) > _MOST_WORDS:
            self._words.clear()
        known = self._words
        numbers = np.fromiter((known.get(word) or self._learn(word) for word in words), np.uint64, len(words))
        total = np.zeros(count, np.uint64)
        for place in range(GRAM):
            total = total * _PRIME + numbers[place : place + count]
        return ((total ^ (total >> np.uint64(29))) * _PRIME >> np.uint64(32)).astype(np.uint32)

    def _learn(self, word: str) -> int:
        digest = blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest()
        self._words[word] = number = int.from_bytes(digest, "big") | 1
        return number


def sample(hashes: Hashes, common: Hashes) -> Hashes:
    """The 32 smallest of a text's runs, but for common ones.

    Args:
        hashes: of the runs, sorted, each once.
        common: runs that many texts have, sorted.
    """
    return hashes[~np.isin(hashes, common, assume_unique=True)][:SAMPLE]


def joined(parts: Sequence[Hashes]) -> Hashes:
    """One array of several."""
    return np.concatenate(parts) if parts else np.empty(0, np.uint32)
