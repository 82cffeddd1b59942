"""The few DICOM attributes this room reads, none about the patient, and safe ways to read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bimedix2.images.grey import Table, Window
from bimedix2.images.messages import refuse

_PIXEL = (
    "SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
    "PixelRepresentation PlanarConfiguration NumberOfFrames PixelData FloatPixelData "
    "DoubleFloatPixelData ExtendedOffsetTable "
    "ExtendedOffsetTableLengths PixelPaddingValue PixelPaddingRangeLimit FloatPixelPaddingValue "
    "SmallestImagePixelValue LargestImagePixelValue"
)
_GREY = (
    "ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence WindowCenter WindowWidth "
    "VOILUTFunction PresentationLUTShape SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
)
_COLOURS = ("Red", "Green", "Blue")
_PALETTE = " ".join(
    f"{c}PaletteColorLookupTableDescriptor {c}PaletteColorLookupTableData Segmented{c}PaletteColorLookupTableData"
    for c in _COLOURS
)
_OTHER = (
    "SOPClassUID Modality ConversionType BurnedInAnnotation PixelSpacing ImagerPixelSpacing "
    "NominalScannedPixelSpacing PixelAspectRatio"
)
KEYWORDS = f"{_PIXEL} {_GREY} {_PALETTE} {_OTHER}".split()

MODALITIES = {
    "CT": "ct",
    "MR": "mri",
    "CR": "xray",
    "DX": "xray",
    "DR": "xray",
    "MG": "xray",
    "PX": "xray",
    "IO": "xray",
    "RG": "xray",
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "XA": "angiography",
    "PT": "pet",
    "GM": "microscopy",
    "SM": "microscopy",
    "XC": "photograph",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def places(dataset: Any, frame: int, sequence: str) -> list[Any]:
    """Where an attribute of one frame may stand: its own functional group, the shared one, the top level."""
    found = []
    for group, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(group)
        if items and index < len(items):
            macro = items[index].get(sequence)
            if macro:
                found.append(macro[0])
    return [*found, dataset]


def numbers(value: Any) -> list[float]:
    """A DICOM number or list of numbers as floats; what cannot be read becomes NaN."""
    if value is None or value == "":
        return []
    values = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value]
    return [_float(item) for item in values]


def _float(item: Any) -> float:
    try:
        return float(item)
    except (TypeError, ValueError):
        return math.nan


def raw(dataset: Any, keyword: str) -> Any:
    """Value of an attribute, or None where it is absent or cannot be read as its type."""
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, OverflowError):
        return math.nan


def first(where: list[Any], keyword: str) -> Any:
    """Value of the first place that has the attribute, or None."""
    return next((raw(place, keyword) for place in where if keyword in place), None)


def whole(dataset: Any, keyword: str, default: int | None = None) -> int:
    """A required whole number.

    Raises:
        ImageError: ``image_unreadable``.
    """
    found = numbers(raw(dataset, keyword))
    if not found and default is not None:
        return default
    if len(found) != 1 or not found[0].is_integer():
        refuse("image_unreadable")
    return int(found[0])


def text(dataset: Any, keyword: str) -> str:
    """A short code string in capitals; empty where absent. Never shown to anybody."""
    value = raw(dataset, keyword)
    return value.strip(" \0").upper() if isinstance(value, str) else ""


def rescale(where: list[Any]) -> tuple[float, float, bool]:
    """(slope, intercept, complete).

    Raises:
        ImageError: ``dicom_bad_rescale`` where the slope is 0 or either is no finite number.
    """
    slope, intercept = (numbers(first(where, k))[:1] for k in ("RescaleSlope", "RescaleIntercept"))
    complete = len(slope) == len(intercept)
    a, b = (slope or [1.0])[0], (intercept or [0.0])[0]
    if a == 0 or not math.isfinite(a) or not math.isfinite(b):
        refuse("dicom_bad_rescale")
    return a, b, complete


def file_window(where: list[Any]) -> tuple[Window | None, bool]:
    """(first window of the file or None, whether what the file says about windows is valid)."""
    centres, widths = (numbers(first(where, k)) for k in ("WindowCenter", "WindowWidth"))
    if not centres and not widths:
        return None, True
    if len(centres) != len(widths):
        return None, False
    function = first(where, "VOILUTFunction")
    name = function.strip() if isinstance(function, str) and function.strip() else "LINEAR"
    window = Window(centres[0], widths[0], name)
    return (window, True) if window.is_valid() else (None, False)


def table(dataset: Any, sequence: str, signed: bool, big_endian: bool) -> tuple[Table | None, bool]:
    """(first look-up table of a LUT sequence or None, whether it is valid). Source: PS3.3 C.11.1.1."""
    items: Any = raw(dataset, sequence)
    if not items:
        return None, True
    if not isinstance(items, Sequence):
        return None, False
    descriptor, data = numbers(raw(items[0], "LUTDescriptor")), raw(items[0], "LUTData")
    if len(descriptor) != 3 or not all(number.is_integer() for number in descriptor):
        return None, False
    entries, start, bits = (int(number) for number in descriptor)
    entries = entries % 65536 or 65536
    start = start - 65536 if signed and start > 32767 else start
    values = _lut_values(data, entries, big_endian)
    if len(values) < entries or not 1 <= bits <= 16:
        return None, False
    return Table(start, values[:entries], float(2**bits - 1)), True


def _lut_values(data: Any, entries: int, big_endian: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    if isinstance(data, bytes):
        wide = len(data) >= 2 * entries
        kind = (">u2" if big_endian else "<u2") if wide else "u1"
        return np.frombuffer(data[: len(data) // 2 * 2 if wide else None], dtype=kind).astype(np.float64)
    values = np.asarray(numbers(data), dtype=np.float64)
    return np.where(values < 0, values + 65536, values) if np.isfinite(values).all() else np.empty(0)


def spacing(dataset: Any, frame: int) -> tuple[float, float] | None:
    """(height, width) of a pixel in any common unit, or None where the file does not say."""
    measures = places(dataset, frame, "PixelMeasuresSequence")
    keys = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
    for keyword in keys:
        found = numbers(first(measures, keyword))
        if len(found) == 2:
            return found[0], found[1]
    return None


def may_show_identity(dataset: Any) -> bool:
    """Whether names or dates may be written into the picture; the attribute alone is often wrong."""
    return (
        text(dataset, "BurnedInAnnotation") == "YES"
        or text(dataset, "Modality") in ("US", "IVUS", "XA")
        or text(dataset, "SOPClassUID").startswith(SECONDARY_CAPTURE)
        or text(dataset, "ConversionType") != ""
    )
