"""Grey values to 8 bits: modality transform, value-of-interest transform, presentation.

The order and the formulas are those of DICOM PS3.3 C.11: stored value, modality LUT or rescale, VOI LUT
or window (C.11.2.1.2 and C.11.2.1.3), presentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A DICOM look-up table: ``values[i]`` stands for input ``first + i``; both ends are extended."""

    first: int
    values: Floats
    top: float

    def __call__(self, x: Floats) -> Floats:
        """Look up the nearest entry for each value."""
        index = np.clip(np.rint(np.nan_to_num(x)) - self.first, 0, len(self.values) - 1)
        found: Floats = self.values[index.astype(np.int64)]
        return found


@dataclass(frozen=True, slots=True)
class Window:
    """A window in modality units.

    Attributes:
        centre, width: as in the standard.
        function: ``"LINEAR"``, ``"LINEAR_EXACT"`` or ``"SIGMOID"``.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    def is_valid(self) -> bool:
        """Whether both numbers are finite and the width is above 0."""
        return math.isfinite(self.centre) and math.isfinite(self.width) and self.width > 0


def apply_window(x: Floats, window: Window) -> Floats:
    """Map modality values to 0…255 (not rounded), shape kept.

    LINEAR maps ``c - 0.5 - (w-1)/2`` to 0 and ``c - 0.5 + (w-1)/2`` to 255; it is defined for widths of at
    least 1, so a narrower one is read as LINEAR_EXACT, which such files mean.
    """
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        return 255.0 / (1.0 + np.exp(np.clip(-4.0 * (x - centre) / width, -700.0, 700.0)))
    if window.function != "LINEAR_EXACT" and width >= 1.0:
        centre, width = centre - 0.5, width - 1.0
    if width == 0.0:
        return np.where(x > centre, 255.0, 0.0)
    return np.clip((x - centre) / width + 0.5, 0.0, 1.0) * 255.0


def range_window(low: float, high: float) -> Window:
    """The window that maps ``low`` to 0 and ``high`` to 255."""
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def percentile_window(values: Floats, counts: NDArray[np.int64] | None, span: tuple[float, float]) -> Window:
    """Window from the 1st to the 99th percentile (nearest rank).

    Args:
        values: values (n,) in modality units.
        counts: how often each occurs (n,), or None where ``values`` are the pixels themselves.
        span: lowest and highest value the format can hold, used where all values are equal.
    """
    if counts is None:
        values = np.sort(values)
        seen = np.arange(1, len(values) + 1)
    else:
        order = np.flatnonzero(counts)[np.argsort(values[counts > 0], kind="stable")]
        values, seen = values[order], np.cumsum(counts[order])
    if not len(values):
        return range_window(*span)
    low, high = (values[np.searchsorted(seen, seen[-1] * p / 100.0)] for p in PERCENTILES)
    if high <= low:
        low, high = values[0], values[-1]
    return range_window(float(low), float(high)) if high > low else range_window(*span)


def to_byte(y: Floats) -> NDArray[np.uint8]:
    """Round 0…255 half up and store in 8 bits."""
    return np.floor(np.clip(np.nan_to_num(y), 0.0, 255.0) + 0.5).astype(np.uint8)
