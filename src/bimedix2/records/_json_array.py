"""The elements of a JSON array in a file, one at a time: neither the whole file nor the whole list is in memory."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

# A whole string, or one structural character. A lone quotation mark is a string that never ends.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\],]', re.DOTALL)


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
    yield from _last(number, data[start:], b"the array has no end")


def _last(number: int, element: bytes, rest: bytes) -> Iterator[tuple[int, bytes]]:
    """The element before the closing bracket, and whatever wrongly follows that bracket."""
    if element.strip():
        yield number, element
        number += 1
    if rest.strip():
        yield number, rest
