"""Which keys were met before, on disk: memory does not grow with the number of records."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from types import TracebackType
from typing import NamedTuple, Self

_CACHE_KIB = 32 * 1024


class Place(NamedTuple):
    """Where a key was met first: a number of the caller's for the kind of place, and a row."""

    kind: int
    row: int


class Seen:
    """Keys with the place where each was met first. Use it in a ``with`` block; its file vanishes with it.

    Keys are kept as 64-bit hashes: among ten million keys the chance that any two are taken for one is 3e-6.
    """

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file, which nobody else can open and which is gone at the end.
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._base.execute("CREATE TABLE met (key INTEGER PRIMARY KEY, kind INTEGER, place INTEGER)")
        self._base.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def first(self, key: str, kind: int = 0, row: int = 0) -> Place | None:
        """Where ``key`` was met before; ``None`` the first time, and then ``kind`` and ``row`` are kept."""
        number = int.from_bytes(blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest(), "big", signed=True)
        done = self._base.execute("INSERT OR IGNORE INTO met VALUES (?, ?, ?)", (number, kind, row))
        if done.rowcount:
            return None
        found = self._base.execute("SELECT kind, place FROM met WHERE key = ?", (number,)).fetchone()
        return Place(*found)

    def __len__(self) -> int:
        return int(self._base.execute("SELECT count(*) FROM met").fetchone()[0])
