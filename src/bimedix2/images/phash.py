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
FINE = 16
CROPS = (0.0, 0.02, 0.04, 0.06, 0.08)
"""Share cut off each side of the evaluation image in turn, for a training copy may be a crop of it."""
FRAMES = 2
"""Without and with its black border."""
_BLACK, _WORK = 16, 256
Bits = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]


def thumbnails(pixels: Pixels, boxes: Sequence[Box]) -> Pixels:
    """Grey thumbnails (F, V, 32, 32) of parts of an image: F is without and with its black border, V the boxes.

    A black border is cut off, for padding to a square adds one; but where it ends depends on a few faint pixels, so
    the image is taken with it too.

    Args:
        pixels: (H, W, 3) or (H, W).
        boxes: shares cut off the left, top, right and bottom.
    """
    from PIL import Image

    whole = Image.fromarray(pixels).convert("L")
    found: list[Pixels] = []
    for grey in (whole.crop(content_box(np.asarray(whole))), whole):
        # Resizing a whole film for every crop would cost more than decoding it; none needs more than this.
        factor = max(1, min(grey.size) // _WORK)
        small = grey.reduce(factor) if factor > 1 else grey
        width, height = small.size
        for left, top, right, bottom in boxes:
            box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
            found.append(np.asarray(small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, box=box)))
    return np.stack(found).reshape(FRAMES, -1, THUMBNAIL, THUMBNAIL)


def hashes(pixels: Pixels, crops: Sequence[float] = (0.0,), *, mirrored: bool = False) -> tuple[Bits, Pixels]:
    """Hash and thumbnail of an image, or of crops of it and of their mirror images.

    Args:
        pixels: (H, W, 3) or (H, W).
        crops: shares cut off each side.
        mirrored: also the mirror image of every crop.

    Returns:
        Bits (F, V, 64) and grey thumbnails (F, V, 32, 32): F is without and with the border, V the variants.
    """
    small = thumbnails(pixels, [(crop, crop, crop, crop) for crop in crops])
    if mirrored:
        small = np.stack([small, small[..., ::-1]], axis=2).reshape(FRAMES, -1, THUMBNAIL, THUMBNAIL)
    bits = np.stack([phash(one) for one in small.reshape(-1, THUMBNAIL, THUMBNAIL)]).reshape(FRAMES, -1, BITS)
    return bits, small


def phash(small: Pixels) -> Bits:
    """Bits (64,) of a grey (32, 32) image: which of its 8 × 8 lowest frequencies exceed their median."""
    basis = _dct_rows()
    low = basis @ small.astype(np.float64) @ basis.T
    bits: Bits = (low > np.median(low)).ravel()
    return bits


def packed_hashes(small: Pixels) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Coarse (N,) and fine (N, 4) hashes of grey thumbnails (N, 32, 32), 64 bits in a number.

    The coarse one is :func:`phash`; the fine one is made in the same way of the 16 × 16 lowest frequencies. Two
    pictures of one kind may agree in the coarse one by chance, hardly in both.
    """
    basis = _dct_rows(FINE)
    low = basis @ small.astype(np.float64) @ basis.T
    coarse, fine = low[:, :HASH, :HASH].reshape(-1, BITS), low.reshape(-1, FINE * FINE)
    return _packed(coarse)[:, 0], _packed(fine)


def _packed(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Which values of a row exceed its median: (N, 64 k) to (N, k)."""
    bits = values > np.median(values, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64)


@cache
def _dct_rows(count: int = HASH) -> NDArray[np.float64]:
    """(count, 32): the first rows of the type-II discrete cosine transform, without normalisation as in SciPy."""
    frequency, place = np.arange(count)[:, None], np.arange(THUMBNAIL)[None, :]
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
