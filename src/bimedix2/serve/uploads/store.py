"""Where uploads lie: files with random names (0600) in a folder (0700), and a table that knows whose they are."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.store.database import Database
from bimedix2.serve.store.failures import storage
from bimedix2.serve.uploads.errors import TooManyUploadsError, UnknownUploadError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created REAL NOT NULL,
    used REAL NOT NULL,
    bytes INTEGER NOT NULL,
    facts TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS uploads_of ON uploads (owner);
CREATE INDEX IF NOT EXISTS uploads_by_age ON uploads (used);
"""
PER_OWNER = 500
BYTES_PER_OWNER = 2 * 1024**3
IN_USE = 900.0
"""Seconds after its last use in which an upload is never purged, however short retention is."""
_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_TOUCH_EVERY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One row.

    Attributes:
        facts: what the answer to the upload said.
        used: seconds since 1970.
    """

    id: str
    facts: dict[str, Any]
    used: float


class UploadStore:
    """Keeps uploads; every method may run in a thread.

    Args:
        database: the server's; files lie in ``uploads`` beside it.
        clock: replaceable in tests.
    """

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database, self._clock = database, clock
        self.folder = database.folder / "uploads"
        with storage():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            database.create(_SCHEMA)
        self._remove_orphans()

    def add(self, owner: str, kept: bytes, facts: dict[str, Any]) -> Upload:
        """Keep an upload.

        Raises:
            TooManyUploadsError: the owner's share is full.
            StorageError: the disk is; nothing is left behind.
        """
        self._check_share(owner, len(kept))
        name, now = secrets.token_urlsafe(24), self._clock.wall()
        path = self.folder / name
        try:
            with storage():
                _write(path, kept)
                with self._database.write() as connection:
                    row = (name, owner, now, now, len(kept), json.dumps(facts))
                    connection.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", row)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return Upload(id=name, facts=facts, used=now)

    def get(self, owner: str, name: str) -> Upload:
        """What is known of an upload.

        Raises:
            UnknownUploadError: none, or not the owner's.
        """
        row = self._row(owner, name)
        return Upload(id=row["id"], facts=json.loads(row["facts"]), used=row["used"])

    def read(self, owner: str, name: str) -> bytes:
        """The kept bytes; counts as use.

        Raises:
            UnknownUploadError: none, not the owner's, or deleted meanwhile.
        """
        row = self._row(owner, name)
        now = self._clock.wall()
        with storage():
            try:
                data = (self.folder / str(row["id"])).read_bytes()
            except FileNotFoundError:
                raise UnknownUploadError from None
        if now - row["used"] > _TOUCH_EVERY:
            with storage(), self._database.write() as connection:
                connection.execute("UPDATE uploads SET used = ? WHERE id = ?", (now, row["id"]))
        return data

    def touch(self, owner: str, names: set[str]) -> None:
        """Count a use of those of ``names`` that are ``owner``'s, such as the pictures of a kept conversation."""
        now = self._clock.wall()
        with storage(), self._database.write() as connection:
            query = "UPDATE uploads SET used = max(used, ?) WHERE id = ? AND owner = ?"
            connection.executemany(query, [(now, name, owner) for name in names])

    def delete(self, owner: str, name: str) -> None:
        """Delete one now.

        Raises:
            UnknownUploadError: none, or not the owner's.
        """
        self._delete([self._row(owner, name)["id"]])

    def purge(self, before: float) -> int:
        """Delete what was last used before ``before`` (seconds since 1970), and files without a row; how many."""
        before = min(before, self._clock.wall() - IN_USE)
        gone = self._delete(self._names("used < ?", before))
        self._remove_orphans()
        return gone

    def forget(self, owner: str) -> int:
        """Delete everything of ``owner``; how many."""
        return self._delete(self._names("owner = ?", owner))

    def _row(self, owner: str, name: str) -> sqlite3.Row:
        if _ID.fullmatch(name) is None:
            raise UnknownUploadError
        with storage():
            query = "SELECT * FROM uploads WHERE id = ? AND owner = ?"
            row: sqlite3.Row | None = self._database.read().execute(query, (name, owner)).fetchone()
        if row is None:
            raise UnknownUploadError
        return row

    def _names(self, condition: str, value: object) -> list[str]:
        with storage():
            rows = self._database.read().execute(f"SELECT id FROM uploads WHERE {condition}", (value,))  # noqa: S608
            return [row["id"] for row in rows.fetchall()]

    def _delete(self, names: list[str]) -> int:
        with storage():
            # Files first: a row without a file is asked for in vain, a file without a row is a picture left behind.
            for name in names:
                (self.folder / name).unlink(missing_ok=True)
            with self._database.write() as connection:
                connection.executemany("DELETE FROM uploads WHERE id = ?", [(name,) for name in names])
        return len(names)

    def _check_share(self, owner: str, more: int) -> None:
        with storage():
            query = "SELECT count(*), coalesce(sum(bytes), 0) FROM uploads WHERE owner = ?"
            count, size = self._database.read().execute(query, (owner,)).fetchone()
        if count >= PER_OWNER or size + more > BYTES_PER_OWNER:
            raise TooManyUploadsError(PER_OWNER)

    def _remove_orphans(self) -> None:
        """Files of an upload that a crash cut off; young ones may be about to get their row."""
        with storage():
            known = set(self._names("1 = ?", 1))
            for path in self.folder.iterdir():
                if path.name not in known and self._clock.wall() - path.stat().st_mtime > IN_USE:
                    path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
