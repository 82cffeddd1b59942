"""A table of texts on disk, for look-ups that must not grow with the size of a data set in memory."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self


class DiskTable:
    """Text to text, in a temporary file that vanishes with the object. Use it in a ``with`` block."""

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file: it spills to disk and leaves nothing behind.
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._base.execute("BEGIN")
        self._filled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def put(self, name: str, value: str) -> None:
        """Keep a value; a later one takes the place of an earlier."""
        self._base.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))
        self._filled = True

    def get(self, name: str) -> str | None:
        """The value of a name, if there is one."""
        if not self._filled:
            return None
        row = self._base.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None
