"""A first look at a DICOM file, byte by byte, before any library builds objects from it.

It walks element headers with a stack of its own, so that depth, number of elements and declared lengths
are bounded, and it decodes no value except three identifiers. Source: PS3.5 chapter 7, PS3.10 chapter 7.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bimedix2.images.messages import refuse

MAX_DEPTH = 32
MAX_ELEMENTS = 500_000
UNDEFINED = 0xFFFFFFFF
LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
PIXEL_TAGS = frozenset(((0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)))
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)

IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = frozenset(("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.8.1"))
_JPEG = ("50", "51", "57", "70", "80", "81", "90", "91", "201", "202", "203")
READABLE = frozenset(
    (
        IMPLICIT,
        BIG_ENDIAN,
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.5",
        *(f"1.2.840.10008.1.2.4.{number}" for number in _JPEG),
    )
)
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
WHOLE_SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"


@dataclass(frozen=True, slots=True)
class Outline:
    """Result of the scan: the two identifiers and where the pixel element ends."""

    syntax: str
    sop_class: str
    end: int


@dataclass(slots=True)
class _Level:
    """One open data set or sequence: where it ends (None: at its delimiter) and how it is encoded."""

    end: int | None
    is_sequence: bool
    explicit: bool
    order: str


def scan(data: bytes) -> Outline:
    """Check structure and transfer syntax of a DICOM file.

    Raises:
        ImageError: ``dicom_expands_too_much``, ``dicom_directory``, ``dicom_syntax_unsupported``,
            ``no_image_in_dicom``, ``dicom_too_deep``, ``unsupported_image_type`` or ``image_unreadable``.
    """
    try:
        syntax, media_class, offset = _read_meta(data)
        _judge_identifiers(syntax, media_class)
        sop_class, end = _walk(data, offset, syntax)
    except (struct.error, UnicodeDecodeError):
        refuse("image_unreadable")
    return Outline(syntax, sop_class or media_class, end)


def _judge_identifiers(syntax: str, sop_class: str) -> None:
    if sop_class == DIRECTORY_CLASS:
        refuse("dicom_directory")
    if sop_class == WHOLE_SLIDE_CLASS:
        refuse("unsupported_image_type")
    if syntax in DEFLATED:
        refuse("dicom_expands_too_much")
    if not syntax:
        refuse("image_unreadable")
    if syntax not in READABLE:
        refuse("dicom_syntax_unsupported")


def _read_meta(data: bytes) -> tuple[str, str, int]:
    """Transfer syntax, SOP class and the offset after the file meta group (always explicit, little)."""
    level = _Level(len(data), False, True, "<")
    found = {(0x0002, 0x0010): "", (0x0002, 0x0002): ""}
    offset = 132
    for _ in range(64):
        if data[offset : offset + 2] != b"\x02\x00":
            return found[0x0002, 0x0010], found[0x0002, 0x0002], offset
        tag, _vr, length, start = _header(data, offset, level)
        offset = start + length
        if length > len(data) - start:
            refuse("image_unreadable")
        if tag in found:
            found[tag] = data[start:offset].decode("ascii").strip("\0 ")
    return refuse("dicom_too_deep")


def _header(data: bytes, offset: int, level: _Level) -> tuple[tuple[int, int], bytes, int, int]:
    """(tag, value representation, length, offset of the value) of the element at ``offset``."""
    tag: tuple[int, int] = struct.unpack_from(level.order + "HH", data, offset)
    vr = data[offset + 4 : offset + 6]
    if not level.explicit or tag[0] == 0xFFFE:
        return tag, b"", struct.unpack_from(level.order + "I", data, offset + 4)[0], offset + 8
    if vr in LONG_VRS:
        return tag, vr, struct.unpack_from(level.order + "I", data, offset + 8)[0], offset + 12
    return tag, vr, struct.unpack_from(level.order + "H", data, offset + 6)[0], offset + 8


def _walk(data: bytes, offset: int, syntax: str) -> tuple[str, int]:
    """SOP class and the end of the top-level pixel element, which is as far as anybody needs to read."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    # Some writers declare one encoding and use the other; the first element shows which (as pydicom does).
    explicit = data[offset + 4 : offset + 6].isalpha() and data[offset + 4 : offset + 6].isupper()
    stack = [_Level(len(data), False, explicit, order)]
    sop_class = ""
    for _ in range(MAX_ELEMENTS):
        while len(stack) > 1 and stack[-1].end is not None and offset >= stack[-1].end:
            stack.pop()
        if len(data) - offset < 8:
            refuse("no_image_in_dicom" if len(stack) == 1 else "image_unreadable")
        level = stack[-1]
        tag, vr, length, start = _header(data, offset, level)
        if tag in (ITEM_END, SEQUENCE_END):
            offset = _close(stack, tag, start)
        elif tag == ITEM:
            offset = _open_item(stack, length, start, len(data))
        elif tag in PIXEL_TAGS and len(stack) == 1:
            return sop_class, _pixels_end(data, length, start, order)
        elif vr == b"SQ" or length == UNDEFINED:
            offset = _open_sequence(stack, vr, length, start, len(data))
        else:
            offset = _skip(stack, length, start, len(data))
            if tag == (0x0008, 0x0016) and len(stack) == 1:
                sop_class = data[start:offset].decode("ascii").strip("\0 ")
                _judge_identifiers(syntax, sop_class)
    return refuse("dicom_too_deep")


def _close(stack: list[_Level], tag: tuple[int, int], start: int) -> int:
    if len(stack) == 1 or stack[-1].is_sequence != (tag == SEQUENCE_END):
        refuse("image_unreadable")
    stack.pop()
    return start


def _open_item(stack: list[_Level], length: int, start: int, size: int) -> int:
    parent = stack[-1]
    if not parent.is_sequence:
        refuse("image_unreadable")
    return _push(stack, _Level(None, False, parent.explicit, parent.order), length, start, size)


def _open_sequence(stack: list[_Level], vr: bytes, length: int, start: int, size: int) -> int:
    if stack[-1].is_sequence:
        refuse("image_unreadable")
    unknown = vr == b"UN"  # PS3.5 6.2.2: an UN of undefined length holds an implicit little-endian sequence
    explicit, order = (False, "<") if unknown else (stack[-1].explicit, stack[-1].order)
    return _push(stack, _Level(None, True, explicit, order), length, start, size)


def _push(stack: list[_Level], level: _Level, length: int, start: int, size: int) -> int:
    if len(stack) > MAX_DEPTH:
        refuse("dicom_too_deep")
    if length != UNDEFINED:
        if length > size - start:
            refuse("image_unreadable")
        level.end = start + length
    stack.append(level)
    return start


def _skip(stack: list[_Level], length: int, start: int, size: int) -> int:
    if stack[-1].is_sequence or length > size - start:
        refuse("image_unreadable")
    return start + length


def _pixels_end(data: bytes, length: int, start: int, order: str) -> int:
    """End of the pixel element; encapsulated fragments are followed to their delimiter (PS3.5 A.4)."""
    if length != UNDEFINED:
        if length > len(data) - start:
            refuse("image_unreadable")
        return start + length
    for _ in range(MAX_ELEMENTS):
        group, element, size = struct.unpack_from(order + "HHI", data, start)
        start += 8
        if (group, element) == SEQUENCE_END:
            return start
        if (group, element) != ITEM or size > len(data) - start:
            refuse("image_unreadable")
        start += size
    return refuse("dicom_too_deep")
