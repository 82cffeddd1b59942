"""64-bit keys and ranks that depend on their arguments alone, on every machine and in every process."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
_CHUNK = 1 << 16


def key_of(text: str) -> int:
    """A 64-bit key; among ten million texts the chance that any two share one is 3e-6. Never 0, which is "none"."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little") or 1


def ranks(keys: Keys, seed: int, purpose: str) -> Keys:
    """A pseudo-random rank for every key; sorting by it is a shuffle.

    The mixing is SplitMix64's finaliser (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195).
    """
    start = np.uint64(key_of(f"{seed}|{purpose}"))
    found = np.empty(len(keys), np.uint64)
    for place in range(0, len(keys), _CHUNK):  # in parts, for every line makes a copy
        mixed = keys[place : place + _CHUNK] ^ start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found[place : place + _CHUNK] = mixed ^ (mixed >> np.uint64(31))
    return found
