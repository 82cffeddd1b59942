"""One frame of a DICOM file to RGB. Runs in the child process and needs ``bimedix2[dicom]``.

Only the attributes of ``dicom_fields.KEYWORDS`` are ever read; the data set is never walked or printed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from bimedix2.images import dicom_fields as fields
from bimedix2.images.dicom_scan import BIG_ENDIAN, scan
from bimedix2.images.grey import Floats, Table, Window, apply_window, percentile_window, range_window, to_byte
from bimedix2.images.messages import refuse
from bimedix2.images.sniff import check_size
from bimedix2.images.types import DecodeLimits, DecodeRequest, Rendered

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
SQUARE_TOLERANCE = 0.01
MAX_PIXEL_RATIO = 16.0
BLOCK = 1 << 20


@dataclass(slots=True)
class Opened:
    """One decoded frame and what its file says: ``stored`` are (rows, columns[, 3]) stored values."""

    dataset: Any
    big_endian: bool
    frame: int
    frames: int
    stored: NDArray[Any]
    photometric: str
    notices: list[str]

    @property
    def is_grey(self) -> bool:
        """Whether the values are one grey channel."""
        return self.photometric.startswith("MONOCHROME")


def open_frame(data: bytes, request: DecodeRequest, keywords: Sequence[str] = fields.KEYWORDS) -> Opened:
    """Check a file, read the attributes of ``keywords`` and decode one frame.

    Raises:
        ImageError: with the code of the fault.
    """
    outline = scan(data)
    # Pillow decodes some fragments, whose own header may claim more than Rows and Columns say.
    Image.MAX_IMAGE_PIXELS = request.limits.max_pixels
    dataset = pydicom.dcmread(io.BytesIO(data[: outline.end]), specific_tags=list(keywords))
    frames = max(1, fields.whole(dataset, "NumberOfFrames", 1))
    frame = request.frame or 0
    if not 0 <= frame < frames:
        refuse("image_frame_not_found")
    _check_pixel_module(dataset, request.limits)
    notices = ["multi_frame_first"] if frames > 1 and request.frame is None else []
    stored, photometric = _decode(dataset, outline.syntax, frame)
    return Opened(dataset, outline.syntax == BIG_ENDIAN, frame, frames, stored, photometric, notices)


def render_dicom(data: bytes, request: DecodeRequest) -> Rendered:
    """Decode and render one frame.

    Raises:
        ImageError: with the code of the fault.
    """
    found = open_frame(data, request)
    dataset, notices = found.dataset, found.notices
    window = None
    if found.is_grey:
        grey, window = Grey(dataset, found.frame, found.big_endian, notices).render(found.stored, request)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
    else:
        if request.window is not None:
            refuse("image_bad_window")
        pixels = _colour(dataset, found.stored, found.photometric)
    size = square_size(pixels.shape[:2], fields.spacing(dataset, found.frame), request.limits, notices)
    if size is not None:
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)
    if fields.may_show_identity(dataset):
        notices.append("may_contain_identity")
    modality = fields.MODALITIES.get(fields.text(dataset, "Modality"))
    return Rendered(pixels, modality, window, found.frame, found.frames, notices)


def _check_pixel_module(dataset: Any, limits: DecodeLimits) -> None:
    rows, columns = fields.whole(dataset, "Rows"), fields.whole(dataset, "Columns")
    fault = check_size(columns, rows, limits.max_pixels, limits.max_side, limits.max_aspect)
    if fault is not None:
        refuse(fault)
    allocated = fields.whole(dataset, "BitsAllocated")
    is_float = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
    stored = allocated if is_float else fields.whole(dataset, "BitsStored")
    depths = (32, 64) if is_float else (1, 8, 16, 32)
    if allocated not in depths or not 1 <= stored <= allocated:
        refuse("image_unreadable")
    if fields.whole(dataset, "SamplesPerPixel") not in (1, 3):
        refuse("image_unreadable")


def _decode(dataset: Any, syntax: str, frame: int) -> tuple[NDArray[Any], str]:
    """Stored values (rows, columns[, 3]) of one frame and what they now mean; YBR becomes RGB here."""
    decoder = get_decoder(UID(syntax))
    if not decoder.is_available:
        refuse("dicom_support_missing")
    stored, meta = decoder.as_array(dataset, index=frame)
    photometric = str(meta["photometric_interpretation"])
    if stored.ndim == 2 and photometric.startswith(("MONOCHROME", "PALETTE")):
        return stored, photometric
    if stored.ndim == 3 and stored.shape[2] == 3 and photometric == "RGB":
        return stored, photometric
    return refuse("image_unreadable")


class Grey:
    """The grey pipeline for one frame: what the file says, then ``render``."""

    def __init__(self, dataset: Any, frame: int, big_endian: bool, notices: list[str]) -> None:
        self.notices = notices
        self.big_endian = big_endian
        self.dataset = dataset
        self.frame = frame
        self.signed = fields.whole(dataset, "PixelRepresentation", 0) == 1
        self.lut = self._table("ModalityLUTSequence", self.signed)
        where = fields.places(dataset, frame, "PixelValueTransformationSequence")
        # A modality LUT excludes a rescale (PS3.3 C.11.1), so a stray slope beside one is not looked at.
        self.slope, self.intercept, complete = (1.0, 0.0, True) if self.lut else fields.rescale(where)
        if not complete:
            notices.append("rescale_incomplete")
        self.trusted = complete

    def render(self, stored: NDArray[Any], request: DecodeRequest) -> tuple[NDArray[np.uint8], Any]:
        """(rows, columns) uint8 and the (centre, width) applied, if it was a window."""
        if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
            return self._by_levels(stored, request)
        return self._by_pixels(stored.astype(np.float64), request)

    def _by_levels(self, stored: NDArray[Any], request: DecodeRequest) -> tuple[NDArray[np.uint8], Any]:
        """Transform each possible value once: exact in float64 at the price of a table."""
        low = int(stored.min())
        index = stored.astype(np.int32) - low
        counts = np.bincount(index.ravel())
        levels = np.arange(low, low + len(counts), dtype=np.float64)
        padding = self.padding(levels)
        x = self.modality(levels)
        present = np.where(padding, 0, counts)
        look = self._look(x[present > 0], present[present > 0], request)
        shown = self._present(x, look, padding)
        return shown[index], _pair(look)

    def _by_pixels(self, stored: Floats, request: DecodeRequest) -> tuple[NDArray[np.uint8], Any]:
        padding = self.padding(stored) | ~np.isfinite(stored)
        x = self.modality(stored)
        look = self._look(x[~padding], None, request)
        shown = np.empty(x.shape, dtype=np.uint8)
        rows = max(1, BLOCK // x.shape[1])
        for top in range(0, len(x), rows):
            part = slice(top, top + rows)
            shown[part] = self._present(x[part], look, padding[part])
        return shown, _pair(look)

    def modality(self, values: Floats) -> Floats:
        """Stored values in modality units (HU for CT)."""
        return self.lut(values) if self.lut else values * self.slope + self.intercept

    def padding(self, values: Floats) -> NDArray[np.bool_]:
        """Which values stand for "no measurement here" (PS3.3 C.7.5.1.1.2)."""
        ends = [
            fields.numbers(fields.raw(self.dataset, k))[:1] for k in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        ]
        if not ends[0] or math.isnan(ends[0][0]):
            return np.zeros(values.shape, dtype=np.bool_)
        limits = [self._as_stored(end[0]) for end in ends if end and not math.isnan(end[0])]
        mask: NDArray[np.bool_] = (values >= min(limits)) & (values <= max(limits))
        return mask

    def _as_stored(self, value: float) -> float:
        """Writers disagree on the sign of this attribute; the pixels decide."""
        if self.signed and value > 32767:
            return value - 65536
        return value + 65536 if not self.signed and value < 0 else value

    def _look(self, x: Floats, counts: NDArray[np.int64] | None, request: DecodeRequest) -> Window | Table:
        """The caller's window, else the file's table or window, else percentiles."""
        if request.window is not None:
            return Window(*request.window)
        table = self._table("VOILUTSequence", self.signed or self.intercept < 0)
        if table is not None:
            return table
        window, valid = fields.file_window(fields.places(self.dataset, self.frame, "FrameVOILUTSequence"))
        if not valid:
            self.notices.append("window_invalid")
        if not valid or not self.trusted:
            return range_window(float(x.min()), float(x.max())) if len(x) else Window(0.0, 1.0)
        if window is None:
            self.notices.append("window_from_percentiles")
            return percentile_window(x, counts, self._span())
        return window

    def _span(self) -> tuple[float, float]:
        bits = fields.whole(self.dataset, "BitsStored", 8)
        ends = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if self.signed else (0.0, 2.0**bits - 1)
        return min(self._ends(ends)), max(self._ends(ends))

    def _ends(self, ends: tuple[float, float]) -> list[float]:
        return [float(value) for value in self.modality(np.asarray(ends))]

    def _table(self, sequence: str, signed: bool) -> Table | None:
        table, valid = fields.table(self.dataset, sequence, signed, self.big_endian)
        if not valid:
            self.notices.append("lut_invalid")
        return table

    def _present(self, x: Floats, look: Window | Table, padding: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Window or table, inversion, and black where there is no measurement."""
        y = look(x) * (255.0 / look.top) if isinstance(look, Table) else apply_window(x, look)
        shown = to_byte(255.0 - y if self.inverted() else y)
        shown[padding] = 0
        return shown

    def inverted(self) -> bool:
        """Whether low values are to be shown bright."""
        # MONOCHROME1 images carry the shape INVERSE as well; the two name one inversion, not two.
        photometric = fields.text(self.dataset, "PhotometricInterpretation")
        return photometric == "MONOCHROME1" or fields.text(self.dataset, "PresentationLUTShape") == "INVERSE"


def _pair(look: Window | Table) -> tuple[float, float] | None:
    return (look.centre, look.width) if isinstance(look, Window) else None


def _colour(dataset: Any, stored: NDArray[Any], photometric: str) -> NDArray[np.uint8]:
    if photometric.startswith("PALETTE"):
        mapped = apply_color_lut(stored, dataset)[..., :3]
        # Some writers keep 8-bit entries in 16-bit words.
        bits = 8 if mapped.dtype.itemsize == 1 or mapped.max() <= 255 else 16
        return _to_eight_bits(mapped, bits)
    return _to_eight_bits(stored, fields.whole(dataset, "BitsStored"))


def _to_eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Keep the most significant 8 bits; stretch what has fewer."""
    if bits >= 8:
        return (values >> (bits - 8)).astype(np.uint8)
    return to_byte(values.astype(np.float64) * (255.0 / (2**bits - 1)))


def square_size(
    shape: tuple[int, ...], spacing: tuple[float, float] | None, limits: DecodeLimits, notices: list[str]
) -> tuple[int, int] | None:
    """(width, height) that makes pixels square by stretching their longer side, or None; never flips."""
    if spacing is None:
        return None
    ratio = spacing[0] / spacing[1] if spacing[1] else math.nan
    if not 1 / MAX_PIXEL_RATIO <= ratio <= MAX_PIXEL_RATIO:
        notices.append("pixel_aspect_ignored")
        return None
    if abs(ratio - 1) <= SQUARE_TOLERANCE:
        return None
    height, width = shape[0] * max(1.0, ratio), shape[1] * max(1.0, 1 / ratio)
    shrink = min(1.0, limits.max_side / max(height, width), math.sqrt(limits.max_pixels / (height * width)))
    size = (max(1, math.floor(width * shrink + 0.5)), max(1, math.floor(height * shrink + 0.5)))
    if shrink < 1.0:
        size = (max(1, int(width * shrink)), max(1, int(height * shrink)))
    notices.append("pixels_made_square")
    return size
