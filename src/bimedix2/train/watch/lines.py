"""Files of JSON lines that survive a crash at any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

Row = dict[str, Any]


class LineFile:
    """Appends to a file, whole lines only: a write that fails halfway, on a full disk, is taken back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab+", buffering=0)
        self._mend()

    def _mend(self) -> None:
        """Cut off a line that a crash tore; one that only lacks its end gets it."""
        size = self._file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start and b"\n" not in tail:
            step = min(start, 1 << 16)
            start -= step
            self._file.seek(start)
            tail = (self._file.read(step) or b"") + tail
        last = tail[tail.rfind(b"\n") + 1 :]
        if last and decode(last) is not None:
            self._file.write(b"\n")
        elif last:
            self._file.truncate(size - len(last))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row."""
        line = memoryview(encode(row) + b"\n")
        start = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) or 0 :]
        except OSError:
            self._file.truncate(start)
            raise

    def close(self) -> None:
        """End the file."""
        self._file.close()


def read_lines(path: Path) -> tuple[list[Row], int]:
    """Rows of a file, and how many lines are no JSON object; a torn last line is not one of them."""
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], 0
    rows = [decode(line) for line in lines if line.strip()]
    good = [row for row in rows if row is not None]
    tail = decode(last)
    return [*good, tail] if tail is not None else good, len(rows) - len(good)


def decode(line: bytes) -> Row | None:
    """A JSON object, or ``None`` if these bytes are none."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return row if isinstance(row, dict) else None


def encode(row: Mapping[str, Any]) -> bytes:
    """JSON in which a number that is not finite is null, for JSON has no word for it."""
    return msgspec.json.encode(row, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value.tolist()  # scalars and arrays of numpy and torch


def now() -> str:
    """ISO time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
