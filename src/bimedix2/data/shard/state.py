"""What a run of sharding knows, on disk: hashes of images by path, the order of images, and which shards are done.

It lies in ``OUT/.work`` until the manifest is written, so that a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_COMMIT_SECONDS = 0.5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (path TEXT, frame INTEGER, size INTEGER, changed INTEGER, sha256 TEXT, ending TEXT,
    notes TEXT, PRIMARY KEY (path, frame));
CREATE TABLE IF NOT EXISTS pictures (number INTEGER PRIMARY KEY, sha256 TEXT UNIQUE, ending TEXT, size INTEGER,
    path TEXT);
CREATE TABLE IF NOT EXISTS done (file TEXT PRIMARY KEY, made_of TEXT, bytes INTEGER, sha256 TEXT, count INTEGER);
"""


class Look(NamedTuple):
    """An image file: hash, ending for its kind, size, and why it may show who it is (``None``: not looked at)."""

    sha256: str
    ending: str
    size: int
    notes: tuple[str, ...] | None


class Picture(NamedTuple):
    """An image of the shards, and a file that has it."""

    sha256: str
    ending: str
    size: int
    path: str

    @property
    def name(self) -> str:
        """``<sha256>.<ending>``."""
        return f"{self.sha256}.{self.ending}"


class Done(NamedTuple):
    """A finished shard."""

    bytes: int
    sha256: str
    items: int


class State:
    """Opens the state of ``out``, or starts anew if it is of another request."""

    def __init__(self, out: Path, request: Mapping[str, Any]) -> None:
        self.folder = out / ".work"
        wanted, place = json.dumps(request, sort_keys=True), self.folder / "request.json"
        if not place.is_file() or place.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            place.write_text(wanted, encoding="utf-8")
        self._base = sqlite3.connect(self.folder / "state.sqlite")
        self._base.executescript(_SCHEMA)
        self._committed = time.monotonic()

    def begin_scan(self) -> None:
        """Forget the order of images: the scan finds it again, and hashes of unchanged files are kept."""
        self._base.execute("DELETE FROM pictures")

    def seen(self, path: str, frame: int, size: int, changed: int) -> Look | None:
        """What is known of an unchanged file."""
        query = "SELECT sha256, ending, size, notes FROM seen WHERE path = ? AND frame = ? AND size = ? AND changed = ?"
        row = self._base.execute(query, (path, frame, size, changed)).fetchone()
        return Look(row[0], row[1], row[2], None if row[3] is None else tuple(json.loads(row[3]))) if row else None

    def keep(self, path: str, frame: int, changed: int, look: Look) -> None:
        """Remember a file."""
        notes = None if look.notes is None else json.dumps(look.notes)
        row = (path, frame, look.size, changed, look.sha256, look.ending, notes)
        self._base.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if time.monotonic() - self._committed > _COMMIT_SECONDS:
            self._base.commit()
            self._committed = time.monotonic()

    def add_picture(self, path: str, look: Look) -> None:
        """Put an image behind the others unless it is there."""
        row = (look.sha256, look.ending, look.size, path)
        self._base.execute("INSERT OR IGNORE INTO pictures (sha256, ending, size, path) VALUES (?, ?, ?, ?)", row)

    def name_of(self, sha256: str) -> str:
        """Name of an image in the shards: files with the same bytes may have had different endings."""
        (ending,) = self._base.execute("SELECT ending FROM pictures WHERE sha256 = ?", (sha256,)).fetchone()
        return f"{sha256}.{ending}"

    def end_scan(self) -> tuple[int, int]:
        """Number and bytes of all images."""
        self._base.commit()
        count, size = self._base.execute("SELECT count(*), coalesce(sum(size), 0) FROM pictures").fetchone()
        return int(count), int(size)

    def pictures(self) -> Iterator[Picture]:
        """In the order in which the mix shows them first."""
        query = "SELECT sha256, ending, size, path FROM pictures ORDER BY number"
        for row in self._base.execute(query):
            yield Picture(*row)

    def done(self, file: str, made_of: str) -> Done | None:
        """A shard that was finished from the same parts."""
        query = "SELECT bytes, sha256, count FROM done WHERE file = ? AND made_of = ?"
        row = self._base.execute(query, (file, made_of)).fetchone()
        return Done(*row) if row else None

    def finish(self, file: str, made_of: str, done: Done) -> None:
        """A shard is in its place."""
        self._base.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)", (file, made_of, *done))
        self._base.commit()

    def close(self, *, remove: bool) -> None:
        """Keep the state for another run, or remove it."""
        self._base.commit()
        self._base.close()
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
