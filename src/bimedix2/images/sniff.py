"""Which of the four supported formats some bytes are, by their content and never by their name."""

from __future__ import annotations

HEAD_BYTES = 4096
"""How much of a file ``sniff`` wants to see."""
SMALLEST_FILE = 12
"""No picture has fewer bytes; such a file is called damaged and not foreign."""


def sniff(head: bytes) -> str | None:
    """``"png"``, ``"jpeg"``, ``"webp"``, ``"dicom"`` or None, from the first bytes of a file.

    The preamble of a DICOM file is free text: programs and documents hide there (PS3.10 7.1). It is
    accepted because only pixels leave this room, never the original bytes.
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[128:132] == b"DICM":
        return "dicom"
    return None


def webp_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) that a WebP file declares, read before libwebp allocates its canvas.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def check_size(width: int, height: int, max_pixels: int, max_side: int, max_aspect: float) -> str | None:
    """The code of the error that a declared size calls for, or None."""
    if width < 1 or height < 1:
        return "image_unreadable"
    if width * height > max_pixels:
        return "image_too_large"
    if max(width, height) > max_aspect * min(width, height):
        return "image_strip"
    return "image_too_large" if max(width, height) > max_side else None
