"""What images of test items and of training records are compared by.

A training copy may be a crop of the test image, another crop on each side, so the test image is hashed whole and with
1 or 4 % cut off each side in every combination: 17 parts, each without and with its black border. Of the training
image one hash is enough; its mirror image is hashed too. A pair counts if the coarse hashes (64 bits) and the fine
ones (256 bits) of one part agree: the coarse ones alone take different films of one region for copies.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bimedix2.images.phash import FRAMES, THUMBNAIL, Box, Pixels, packed_hashes, thumbnails

MAX_COARSE, MAX_FINE = 8, 48
"""Most different bits of 64 and of 256; see ``benchmarks/results/decontamination.json``."""
_CUTS = (0.01, 0.04)
PARTS: tuple[Box, ...] = ((0.0, 0.0, 0.0, 0.0), *product(_CUTS, _CUTS, _CUTS, _CUTS))
Codes = NDArray[np.uint64]


class ImageCodes(NamedTuple):
    """Hashes of an image's variants: coarse (V,), fine (V, 4)."""

    coarse: Codes
    fine: Codes


def codes_of_parts(pixels: Pixels) -> ImageCodes:
    """Hashes of all parts of a test image; equal ones once, for most images have no border."""
    return _distinct(thumbnails(pixels, PARTS).reshape(-1, THUMBNAIL, THUMBNAIL))


def training_codes(frames: Pixels, *, mirrored: bool = True) -> ImageCodes:
    """Hashes of a training image, and of its mirror image, from its thumbnails (F, 1, 32, 32)."""
    plain = frames.reshape(FRAMES, THUMBNAIL, THUMBNAIL)
    return _distinct(np.concatenate([plain, plain[..., ::-1]]) if mirrored else plain)


def _distinct(small: Pixels) -> ImageCodes:
    coarse, fine = packed_hashes(small)
    rows = np.unique(np.column_stack([coarse, fine]), axis=0)
    return ImageCodes(rows[:, 0], rows[:, 1:])


def different_bits(first: Codes, second: Codes) -> NDArray[np.int64]:
    """Number of different bits of numbers of 64 bits, summed over the last axis if they have two."""
    apart = np.ascontiguousarray(first ^ second)
    counted = _ONES[apart.view(np.uint16)].reshape(*apart.shape, 4)
    bits: NDArray[np.int64] = counted.sum(-1 if apart.ndim < 2 else (-2, -1), dtype=np.int64)
    return bits


_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)  # NumPy 1 cannot count bits


def no_codes() -> ImageCodes:
    """Of an image that is known by its file's hash alone."""
    return ImageCodes(np.empty(0, np.uint64), np.empty((0, 4), np.uint64))
