"""Perceptual hash of an image: 64 signs of its coarsest frequencies, and the copies that it has to survive.

The hash is the DCT one of Zauner (2010) as ``imagehash.phash`` computes it, bit for bit. That package would add
SciPy and PyWavelets to every installation for these few lines, so they stand here and are tested against SciPy.
Difference hashes (dHash) are not offered: films of one body region look alike to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

HASH, BITS, THUMBNAIL = 8, 64, 32
CROPS = (0.0, 0.02, 0.04, 0.06, 0.08)
"""Share cut off each side of the evaluation image in turn, for a training copy may be a crop of it."""
FRAMES = 2
"""Without and with its black border."""
_BLACK, _WORK = 16, 256
Bits = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


def hashes(pixels: Pixels, crops: Sequence[float] = (0.0,), *, mirrored: bool = False) -> tuple[Bits, Pixels]:
    """Hash and thumbnail of an image, or of crops of it and of their mirror images.

    A black border is cut off, for padding to a square adds one; but where it ends depends on a few faint pixels, so
    the image is hashed with it too.

    Args:
        pixels: (H, W, 3) or (H, W).
        crops: shares cut off each side.
        mirrored: also the mirror image of every crop.

    Returns:
        Bits (F, V, 64) and grey thumbnails (F, V, 32, 32): F is without and with the border, V the variants.
    """
    from PIL import Image

    whole = Image.fromarray(pixels).convert("L")
    thumbnails: list[Pixels] = []
    for grey in (whole.crop(content_box(np.asarray(whole))), whole):
        # Resizing a whole film for every crop would cost more than decoding it; none needs more than this.
        factor = max(1, min(grey.size) // _WORK)
        small = grey.reduce(factor) if factor > 1 else grey
        width, height = small.size
        for crop in crops:
            box = (crop * width, crop * height, (1 - crop) * width, (1 - crop) * height)
            cut = np.asarray(small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, box=box))
            thumbnails += [cut, cut[:, ::-1]] if mirrored else [cut]
    bits = np.stack([phash(small) for small in thumbnails]).reshape(FRAMES, -1, BITS)
    return bits, np.stack(thumbnails).reshape(FRAMES, -1, THUMBNAIL, THUMBNAIL)


def phash(small: Pixels) -> Bits:
    """Bits (64,) of a grey (32, 32) image: which of its 8 × 8 lowest frequencies exceed their median."""
    basis = _dct_rows()
    low = basis @ small.astype(np.float64) @ basis.T
    bits: Bits = (low > np.median(low)).ravel()
    return bits


@cache
def _dct_rows() -> NDArray[np.float64]:
    """(8, 32): the first rows of the type-II discrete cosine transform, without normalisation as in SciPy."""
    frequency, place = np.arange(HASH)[:, None], np.arange(THUMBNAIL)[None, :]
    return 2 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * THUMBNAIL))


def content_box(grey: Pixels) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a grey (H, W) image without its black border.

    The whole image where next to nothing would be left.
    """
    height, width = grey.shape
    rows, columns = (np.flatnonzero((grey > _BLACK).any(axis)) for axis in (1, 0))
    if rows.size <= height // 4 or columns.size <= width // 4:
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def distances(first: Bits, second: Bits) -> NDArray[Any]:
    """Number of different bits of every pair: (A, 64) and (B, 64) give (A, B)."""
    left, right = (np.where(bits, np.float32(1), np.float32(-1)) for bits in (first, second))
    return ((BITS - left @ right.T) / 2).round().astype(np.uint8)


def correlation(first: Pixels, second: Pixels) -> float:
    """Pearson correlation of two thumbnails: near 1 for one picture, however bright; 0 if one of them is flat."""
    a, b = (image.astype(np.float64) - image.mean() for image in (first, second))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / scale if scale else 0.0
