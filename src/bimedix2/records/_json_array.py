"""The elements of a JSON array or object in a file, one at a time: never the whole file or list in memory."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

BOM = b"\xef\xbb\xbf"
CUT_OFF = b"the array has no end"
"""What stands in the place of a last element where the file ends too early."""
# A whole string, or one structural character. A lone quotation mark is a string that never ends.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)


def json_head(path: Path) -> bytes:
    """The beginning of a file without byte-order mark and white space, to tell its layout by."""
    with path.open("rb") as file:
        return file.read(1 << 16).removeprefix(BOM).lstrip()


def json_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """(row from 1, raw bytes) of a JSON array or of JSON lines, told apart by the first character.

    Rows are not decoded, so a bad one costs no other. Rows of JSON lines are lines, and blank ones are left out.
    """
    if json_head(path).startswith(b"["):
        yield from array_elements(path)
        return
    with path.open("rb") as file:
        for row, line in enumerate(file, start=1):
            text = line.removeprefix(BOM) if row == 1 else line
            if text.strip():
                yield row, text


def json_members(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, raw ``{"key": value}``) of each member of the object that ``path`` holds."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, raw in _elements(data, data.find(b"{") + 1):
            yield number, raw if raw == CUT_OFF else b"{" + raw + b"}"


def array_elements(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, raw bytes) of each element of the array that ``path`` holds.

    Elements are cut at top-level commas and not decoded, so a bad one costs no other. Where the array does not
    end, or something follows it, the last element is what no decoder accepts, so that the reader reports it.

    Args:
        path: a file whose first character other than white space and a byte-order mark is ``[``.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _elements(data, data.find(b"[") + 1)


def _elements(data: mmap.mmap, start: int) -> Iterator[tuple[int, bytes]]:
    number, depth = 1, 0
    for match in _TOKEN.finditer(data, start):
        token = match.group()
        if token == b'"':
            break
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]") and depth:
            depth -= 1
        elif token == b"," and depth == 0:
            yield number, data[start : match.start()]
            number, start = number + 1, match.end()
        elif token in (b"}", b"]"):
            yield from _last(number, data[start : match.start()], data[match.end() :])
            return
    yield from _last(number, data[start:], CUT_OFF)


def _last(number: int, element: bytes, rest: bytes) -> Iterator[tuple[int, bytes]]:
    """The element before the closing bracket, and whatever wrongly follows that bracket."""
    if element.strip():
        yield number, element
        number += 1
    if rest.strip():
        yield number, rest
