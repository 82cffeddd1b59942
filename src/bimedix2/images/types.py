"""What the room takes and gives: decoding limits, the decoded image and its notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """Bounds on what one untrusted image may cost.

    Attributes:
        max_bytes: size of the encoded file, in bytes.
        max_pixels: width times height of one frame.
        max_side: longest side, in pixels.
        max_aspect: longest side divided by shortest side; beyond it the image is a strip of which
            nothing is left after resizing to a square.
        max_seconds: wall clock for reading and decoding one image, not counting the start of the child;
            the child's processor time has the same bound on Linux and macOS.
        max_memory: bytes of address space that decoding may add to an idle child (Linux only).
    """

    max_bytes: int = 128 * MIB
    max_pixels: int = 25_000_000
    max_side: int = 16_384
    max_aspect: float = 32.0
    max_seconds: float = 20.0
    max_memory: int = 1024 * MIB

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "max_side", "max_aspect", "max_seconds", "max_memory"):
            if not getattr(self, name) > 0:
                raise ValueError(f"DecodeLimits.{name} must be above 0, not {getattr(self, name)!r}")


class ImageNotice(str):
    """One thing the caller should know about a decoded image: English text with a code and Arabic text.

    Attributes:
        code: stable name, listed in ``docs/images.md``.
        message_ar: the same text in Arabic.
    """

    __slots__ = ("code", "message_ar")
    code: str
    message_ar: str

    def __new__(cls, code: str, message: str, message_ar: str) -> ImageNotice:
        """A notice; the text itself is the string."""
        notice = super().__new__(cls, message)
        notice.code = code
        notice.message_ar = message_ar
        return notice

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageNotice, (self.code, str(self), self.message_ar)

    def in_language(self, language: str) -> str:
        """The text in ``"ar"`` or ``"en"``."""
        return self.message_ar if language == "ar" else str(self)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecodedImage:
    """Pixels of one frame and what was learnt on the way. No patient attribute is kept.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, read-only, upright, square pixels.
        format: ``"png"``, ``"jpeg"``, ``"webp"`` or ``"dicom"``, from the bytes and never from the name.
        modality: a modality name of the record schema, or None where the file does not say.
        window: (centre, width) that was applied, in modality units (HU for CT), or None for colour and
            for pictures of 8 bits.
        frame: 0-based index of the frame shown.
        frames: number of frames in the file.
        warnings: notices, each a ``str`` with ``.code`` and ``.in_language("ar")``.
        sha256: hex digest of ``"{height}x{width}:"`` followed by the bytes of ``pixels``.
    """

    pixels: NDArray[np.uint8]
    format: str
    modality: str | None
    window: tuple[float, float] | None
    frame: int
    frames: int
    warnings: tuple[ImageNotice, ...]
    sha256: str

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])

    def warning_codes(self) -> tuple[str, ...]:
        """Codes of the notices, in order."""
        return tuple(notice.code for notice in self.warnings)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GreyImage:
    """Grey values of one frame before any window, and what a viewer needs to window them.

    Attributes:
        codes: (height, width) uint16, read-only; a pixel's value is ``low + code * step`` in modality units.
        low, high: least and greatest value outside the padding.
        step: value of one code; 1 wherever the values are whole numbers that fit.
        padding: code of "no measurement here" (to be shown black), or None where no pixel has it.
        inverted: whether low values are to be shown bright (MONOCHROME1).
        windows: (centre, width, name) of the file, first the one it is shown with; then presets for CT.
        laterality: ``"L"``, ``"R"``, ``"B"``, ``"U"`` or None.
        frame: 0-based index.
    """

    codes: NDArray[np.uint16]
    low: float
    high: float
    step: float
    padding: int | None
    inverted: bool
    windows: tuple[tuple[float, float, str], ...]
    laterality: str | None
    frame: int


class ImageReference(Protocol):
    """Anything with the three fields of ``bimedix2.records.schema.ImageRef``."""

    @property
    def path(self) -> str:
        """Path of the file, relative to a root or absolute."""

    @property
    def frame(self) -> int | None:
        """0-based frame, or None for the first."""

    @property
    def window(self) -> tuple[float, float] | None:
        """(centre, width) or None for the file's own window."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What the child is asked for beside the bytes: see ``load_image`` for the fields.

    ``output`` is ``"rgb"`` (a picture), ``"grey"`` (16-bit values) or ``"strip"`` (a DICOM file without what
    decoding does not need).
    """

    format: str
    frame: int | None
    window: tuple[float, float] | None
    limits: DecodeLimits
    output: str = "rgb"


@dataclass(slots=True)
class Rendered:
    """Result inside the child, before it travels: fields as in ``DecodedImage``."""

    pixels: NDArray[np.uint8]
    modality: str | None = None
    window: tuple[float, float] | None = None
    frame: int = 0
    frames: int = 1
    notices: Sequence[str] = ()
