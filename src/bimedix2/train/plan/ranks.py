"""Shuffles that depend on their arguments alone: the same on every machine, process and library version."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bimedix2.train.samples.table import stable_hash

U64 = NDArray[np.uint64]


def ranks(keys: U64, *salt: object) -> U64:
    """A pseudo-random 64-bit rank for every key; sorting by it is a shuffle.

    Args:
        keys: (N,) uint64.
        salt: whatever makes this shuffle differ from others (seed, epoch, purpose).

    The mixing is SplitMix64's finaliser (Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195).
    """
    mixed = keys ^ np.uint64(stable_hash(*salt))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def fractions(keys: U64, *salt: object) -> NDArray[np.float64]:
    """A pseudo-random number in [0, 1) for every key."""
    return (ranks(keys, *salt) >> np.uint64(11)).astype(np.float64) / 2.0**53
