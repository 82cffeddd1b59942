"""Grey values before any window as 16-bit codes, for a viewer that windows them itself. Runs in the child."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bimedix2.images.grey import Floats
from bimedix2.images.messages import refuse
from bimedix2.images.types import DecodeRequest

if TYPE_CHECKING:
    from bimedix2.images.dicom import Grey, Opened

PADDING = 65535
"""Code of a pixel without a measurement."""
TOP = 65534


@dataclass(slots=True)
class Levels:
    """Result inside the child: fields as in ``GreyImage``."""

    codes: NDArray[np.uint16]
    low: float
    high: float
    step: float
    padding: int | None
    inverted: bool = False
    windows: tuple[tuple[float, float, str], ...] = ()
    laterality: str | None = None
    frame: int = 0


def render_levels(data: bytes, request: DecodeRequest) -> Levels:
    """16-bit codes of one grey frame.

    Raises:
        ImageError: ``image_not_grey`` for colour and for pictures of 8 bits; else as for the picture.
    """
    if request.format == "dicom":
        return _dicom_levels(data, request)
    from bimedix2.images.raster import sixteen_bit_values

    codes, low, high, step, padding = quantize(sixteen_bit_values(data, request).astype(np.float64), None)
    return Levels(codes, low, high, step, padding)


def _dicom_levels(data: bytes, request: DecodeRequest) -> Levels:
    from bimedix2.images import dicom_fields as fields
    from bimedix2.images.dicom import Grey, open_frame, square_size
    from bimedix2.images.windows import SHOWN_KEYWORDS, laterality, offered_windows

    found = open_frame(data, request, (*fields.KEYWORDS, *SHOWN_KEYWORDS))
    if not found.is_grey:
        refuse("image_not_grey")
    grey = Grey(found.dataset, found.frame, found.big_endian, [])
    shown = grey.render(found.stored, request)[1]
    codes, low, high, step, padding = _codes(found, grey)
    size = square_size(codes.shape, fields.spacing(found.dataset, found.frame), request.limits, [])
    if size is not None:
        codes = _resized(codes, size)
    windows = offered_windows(found.dataset, found.frame, shown)
    side = laterality(found.dataset, found.frame)
    return Levels(codes, low, high, step, padding, grey.inverted(), windows, side, found.frame)


def _codes(found: Opened, grey: Grey) -> tuple[NDArray[np.uint16], float, float, float, int | None]:
    stored = found.stored
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        values = stored.astype(np.float64)
        return quantize(grey.modality(values), grey.padding(values))
    lowest = int(stored.min())
    index = stored.astype(np.int32) - lowest
    counts = np.bincount(index.ravel())
    levels = np.arange(lowest, lowest + len(counts), dtype=np.float64)
    # Levels that no pixel has must not widen the range, so they count as padding here.
    mask = grey.padding(levels)
    table, low, high, step, _ = quantize(grey.modality(levels), mask | (counts == 0))
    return table[index], low, high, step, PADDING if (mask & (counts > 0)).any() else None


def quantize(
    values: Floats, padding: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint16], float, float, float, int | None]:
    """(codes, low, high, step, padding code): exact with a step of 1 for whole numbers that fit in 16 bits."""
    mask = ~np.isfinite(values) if padding is None else padding | ~np.isfinite(values)
    kept = values[~mask]
    low, high = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    whole = high - low <= TOP and bool((kept == np.rint(kept)).all())
    step = 1.0 if whole or high == low else (high - low) / TOP
    if not math.isfinite(step) or not step > 0:
        refuse("image_unreadable")
    codes = np.rint((np.where(mask, low, values) - low) / step).astype(np.uint16)
    codes[mask] = PADDING
    return codes, low, high, step, PADDING if mask.any() else None


def _resized(codes: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Bicubic as for the picture; padding does not bleed into its neighbours."""
    mask = codes == PADDING
    plain: NDArray[Any] = np.where(mask, 0, codes).astype(np.float32)
    values = np.asarray(Image.fromarray(plain).resize(size, Image.Resampling.BICUBIC))
    result: NDArray[np.uint16] = np.clip(np.rint(values), 0, TOP).astype(np.uint16)
    outside = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    result[outside > 0] = PADDING
    return result
