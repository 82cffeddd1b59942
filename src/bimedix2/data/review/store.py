"""A review workspace on the disk: one SQLite file, one writer at a time, every verdict written through at once."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from bimedix2.records import Record

from ._tables import FORMAT, GUARDS, TABLES
from .entry import COLUMNS, Entry, entry_of
from .errors import ReviewError, WorkspaceBusyError
from .plan import Plan

DATABASE = "review.sqlite"


class Row(NamedTuple):
    """An item in the random order of its stratum.

    Attributes:
        number: of the item.
        draw: place in the random order.
        readers: reviewers that are to read it.
        flagged: whether checks or a critic found something.
    """

    number: int
    draw: int
    readers: int
    flagged: bool


class Found(NamedTuple):
    """What checks and critics said of a translation; ``findings`` is JSON as :mod:`.findings` reads it."""

    failed: tuple[str, ...]
    findings: str
    notes: tuple[str, ...]
    score: float | None


class Workspace:
    """The store. Threads may share it.

    Args:
        folder: holds the database.
        write: also take the lock that only one process can have; reading goes on beside a server.
        new: make the database if there is none.

    Raises:
        ReviewError: there is none, it is damaged, or of another version.
        WorkspaceBusyError: another process writes to it.
    """

    def __init__(self, folder: Path, *, write: bool = False, new: bool = False) -> None:
        self.folder, self.path = folder, folder / DATABASE
        if not new and not self.path.is_file():
            raise ReviewError(
                f"There is no review in {folder}. Run: bimedix2 data review start {folder} --records FILE",
                f"لا توجد مراجعة في {folder}. شغل: bimedix2 data review start {folder} --records FILE",
                code="no_review",
            )
        self._lock = _take_lock(folder) if write else None
        self.mutex = threading.RLock()
        try:
            self.connection = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
            self._prepare(write)
        except sqlite3.Error as error:
            if self._lock is not None:
                self._lock.close()
            raise _damaged(self.path, error) from error

    def _prepare(self, write: bool) -> None:
        if write:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.executescript(TABLES + GUARDS)
            self.connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
        else:
            self.connection.execute("PRAGMA query_only = ON")
        tables = self.connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        self._begun = bool(tables and self.meta("format"))  # not so where `start` was killed at its first step
        if self._begun and self.meta("format") != str(FORMAT):
            raise sqlite3.DatabaseError(f"format {self.meta('format')}, not {FORMAT}")

    def close(self) -> None:
        """Let others in."""
        with self.mutex:
            self.connection.close()
            if self._lock is not None:
                self._lock.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing of it; one inside another belongs to the outer one."""
        with self.mutex:
            if self.connection.in_transaction:
                yield
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One state of the workspace for all that is read inside, whatever a server writes meanwhile."""
        with self.mutex:
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("COMMIT")

    # What was asked.

    def meta(self, name: str) -> str:
        """A setting; empty if there is none."""
        found = self.select("SELECT value FROM meta WHERE name = ?", name)
        return str(found[0][0]) if found else ""

    def set_meta(self, name: str, value: str) -> None:
        """Store a setting."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @property
    def ready(self) -> bool:
        """Whether ``start`` got through."""
        return self._begun and bool(self.meta("plan"))

    @property
    def plan(self) -> Plan:
        """The plan that the review was started with."""
        return msgspec.json.decode(self.meta("plan"), type=Plan)

    def require_ready(self) -> Workspace:
        """Itself, or ``ReviewError`` where ``start`` did not get through."""
        if not self.ready:
            raise ReviewError(
                f"The review in {self.folder} was not started completely. Run the same `review start` again.",
                f"لم يكتمل بدء المراجعة في {self.folder}. شغل أمر review start نفسه مرة أخرى.",
                code="not_started",
            )
        return self

    def select(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.mutex:
            return self.connection.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, one after the other."""
        with closing(self.connection.execute(sql, values)) as cursor:
            yield from cursor

    def strata(self) -> dict[str, int]:
        """Names of the strata and the number of their items."""
        return dict(self.select("SELECT stratum, count(*) FROM items GROUP BY stratum ORDER BY stratum"))

    def drawn(self, stratum: str, count: int) -> list[Row]:
        """The first items of a stratum's random order."""
        sql = "SELECT number, draw, readers, flagged FROM items WHERE stratum = ? ORDER BY draw, number LIMIT ?"
        return [Row(a, b, c, bool(d)) for a, b, c, d in self.select(sql, stratum, count)]

    def extra(self) -> list[Row]:
        """Items with failed checks that are reviewed besides the sample."""
        rows = self.select("SELECT number, draw, readers, flagged FROM items WHERE extra = 1 ORDER BY draw, number")
        return [Row(a, b, c, bool(d)) for a, b, c, d in rows]

    def number_of(self, record_id: str) -> int | None:
        """Number of the item that a record is, if it is one."""
        found = self.select("SELECT number FROM items WHERE record = ?", record_id)
        return found[0][0] if found else None

    def row(self, number: int) -> Row | None:
        """The place of an item."""
        found = self.select("SELECT number, draw, readers, flagged FROM items WHERE number = ?", number)
        if not found:
            return None
        number, draw, readers, flagged = found[0]
        return Row(number, draw, readers, bool(flagged))

    def stratum_of(self, number: int) -> str:
        """Stratum of an item."""
        return str(self.select("SELECT stratum FROM items WHERE number = ?", number)[0][0])

    def pair(self, number: int) -> tuple[Record, Record | None]:
        """The record of an item, and its original where it is a translation."""
        (record, original) = self.select("SELECT record, original FROM items WHERE number = ?", number)[0]
        return self.record(record), self.record(original) if original is not None else None

    def record(self, record_id: str) -> Record:
        """A record by its id."""
        return msgspec.json.decode(self.select("SELECT body FROM records WHERE id = ?", record_id)[0][0], type=Record)

    def found(self, record_id: str) -> Found | None:
        """What checks and critics said of a record."""
        rows = self.select("SELECT failed, findings, notes, score FROM found WHERE id = ?", record_id)
        if not rows:
            return None
        failed, findings, notes, score = rows[0]
        names = msgspec.json.decode(failed, type=tuple[str, ...])
        return Found(names, findings, msgspec.json.decode(notes, type=tuple[str, ...]), score)

    # What was said.

    def append(self, entry: Entry) -> Entry:
        """Write a line of the log through to the disk and return it as it stands; one sent before is not repeated."""
        with self.transaction():
            before = self.by_key(entry.key)
            if before is not None:
                return before
            last = self.select("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1")
            seq, previous = (last[0][0] + 1, last[0][1]) if last else (1, "")
            at = entry.at or datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = msgspec.structs.replace(entry, seq=seq, at=at, previous=previous)
            entry = msgspec.structs.replace(entry, hash=entry.chained(previous))
            turns = None if entry.turns is None else msgspec.json.encode(entry.turns).decode()
            values = {**msgspec.structs.asdict(entry), "turns": turns}
            marks = ", ".join(f":{name.strip()}" for name in COLUMNS.split(","))
            self.connection.execute(f"INSERT INTO log ({COLUMNS}) VALUES ({marks})", values)  # noqa: S608 -- constants
        return entry

    def entries(self) -> list[Entry]:
        """The whole log, in order."""
        return self._entries("")

    def by_key(self, key: str) -> Entry | None:
        """The line that came with a key."""
        found = self._entries("WHERE key = ?", key)
        return found[0] if found else None

    def _entries(self, where: str, *values: Any) -> list[Entry]:
        rows = self.select(f"SELECT {COLUMNS} FROM log {where} ORDER BY seq", *values)  # noqa: S608 -- constants
        names = [name.strip() for name in COLUMNS.split(",")]
        return [entry_of(dict(zip(names, row, strict=True))) for row in rows]

    def broken_at(self) -> int | None:
        """Number of the first line of the log that does not follow from the ones before; ``None`` if all do."""
        previous = ""
        for expected, entry in enumerate(self.entries(), start=1):
            if entry.seq != expected or entry.previous != previous or entry.hash != entry.chained(previous):
                return entry.seq
            previous = entry.hash
        return None


def _take_lock(folder: Path) -> sqlite3.Connection:
    """An exclusive lock that ends with this process, however it ends; SQLite has one for every system."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder / "owner"
    connection = sqlite3.connect(folder / "lock.sqlite", isolation_level=None, timeout=0, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" not in str(error):
            raise _damaged(folder, error) from error
        raise WorkspaceBusyError(folder, owner.read_text(encoding="ascii") if owner.is_file() else "") from error
    owner.write_text(str(os.getpid()), encoding="ascii")
    return connection


def _damaged(path: Path, error: sqlite3.Error) -> ReviewError:
    return ReviewError(
        f"{path} cannot be used ({error}). Check that it is a review workspace on a local disk with free space.",
        f"تعذر استخدام {path} ({error}). تحقق من أنه مساحة مراجعة على قرص محلي فيه مساحة حرة.",
        code="bad_workspace",
    )
