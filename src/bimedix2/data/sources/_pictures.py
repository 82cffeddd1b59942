"""Pictures that lie inside a data file: written out once, so that records can name them."""

from __future__ import annotations

from pathlib import Path

from bimedix2.cache import write_whole
from bimedix2.errors import RecordError

from ._reading import Reading

_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}


def written_picture(reading: Reading, name: str, content: bytes, place: tuple[Path, int, str]) -> str:
    """Path of the picture for a record: from the data root if it lies below that, else absolute.

    A picture that is there already with the same length is not written again, so that a second run costs little.

    Args:
        reading: its ``pictures`` is where the picture goes.
        name: of the file, without the ending.
        content: bytes of a JPEG or PNG file.
        place: file, row and field, for errors.

    Raises:
        RecordError: the bytes are neither; or no folder for pictures was given.
    """
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if content.startswith(start)), None)
    if suffix is None:
        raise RecordError(*place, "holds neither a JPEG nor a PNG picture", "ليست صورة JPEG أو PNG")
    if reading.pictures is None:
        raise RecordError(*place, "needs a folder for its pictures: give --pictures", "يلزم مجلد للصور: --pictures")
    path = reading.pictures / f"{name}{suffix}"
    if not reading.peek and (not path.exists() or path.stat().st_size != len(content)):
        write_whole(path, content)
    return reading.relative(path.absolute() if not path.is_relative_to(reading.root) else path)
