"""The ledger: what was asked, what came back, what it cost and what became of each row. SQLite, on the disk at once.

What it promises: a reply that was stored is never asked for again, and a row that was decided is never decided twice.
A reply lost between the server and this disk can be paid for twice; there are at most as many as were under way.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ._tables import FORMAT, TABLES
from ._writer import Statement, Writer, connect
from .errors import LedgerError, WorkspaceBusyError

LEDGER = "ledger.sqlite"


class StoredReply(NamedTuple):
    """A reply of the ledger; see the table ``replies``."""

    request_key: str
    model: str
    served: str
    body: bytes
    prompt_bytes: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float
    tries: int
    seconds: float
    at: float


class Call(NamedTuple):
    """One question of one row."""

    row_key: str
    stage: str
    kind: str
    prompt: str
    model: str
    request_key: str

    @property
    def key(self) -> str:
        """Name in the ledger."""
        return digest(*self)


class RowState(NamedTuple):
    """Where a row stands."""

    job_key: str
    run: int
    state: str
    reason: str


class Totals(NamedTuple):
    """Sums over everything that a workspace ever asked."""

    replies: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    uncounted: int
    cost: float


class Ledger:
    """The ledger of one workspace; one process at a time.

    Args:
        folder: the workspace; made if it does not exist.

    Raises:
        WorkspaceBusyError: another process has it open.
        LedgerError: it is damaged, of another version, or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        try:
            self._connection = connect(self.path)
            self._connection.executescript(TABLES)
            self._check_format()
            self._connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'run'")
            self.run = int(self._meta("run"))
            self.lost = self._book_lost()
        except sqlite3.Error as error:
            self._lock.close()
            raise LedgerError(self.path, str(error)) from error
        self._writer = Writer(self.path)
        self.write, self.post = self._writer.write, self._writer.post

    def close(self) -> None:
        """Write what is left and let others in.

        Raises:
            LedgerError: it could not be written.
        """
        try:
            self._writer.close()
        finally:
            self._connection.close()
            self._lock.close()

    def _check_format(self) -> None:
        for name, value in (("format", FORMAT), ("run", 0)):
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, str(value)))
        if self._meta("format") != str(FORMAT):
            raise sqlite3.DatabaseError(f"format {self._meta('format')}, not {FORMAT}; use the version that wrote it")

    def _meta(self, name: str) -> str:
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def _book_lost(self) -> int:
        """Take requests without a reply, left by a process that died, as paid: the server may have charged them."""
        with closing(self._connection.execute("BEGIN IMMEDIATE")):
            lost = self._connection.execute(
                "INSERT INTO failures SELECT request_key, 'lost', '', worst, ? FROM calls WHERE state = 'sent'",
                (time.time(),),
            ).rowcount
            self._connection.execute("UPDATE calls SET state = 'planned', worst = 0 WHERE state = 'sent'")
            self._connection.execute("COMMIT")
        return lost

    # Reading. A row or reply can be read as soon as the write that brought it has been waited for.

    def reply(self, request_key: str) -> StoredReply | None:
        """The reply to a request, if it was ever asked."""
        found = self._connection.execute("SELECT * FROM replies WHERE request_key = ?", (request_key,)).fetchone()
        return StoredReply(*found) if found else None

    def row(self, row_key: str) -> RowState | None:
        """Where a row stands; ``None`` for one that was never seen."""
        found = self._connection.execute(
            "SELECT job_key, run, state, reason FROM rows WHERE row_key = ?", (row_key,)
        ).fetchone()
        return RowState(*found) if found else None

    def served(self, model: str) -> list[str]:
        """Names under which the server may answer for a model."""
        text = self._meta(f"served {model}")
        return msgspec.json.decode(text, type=list[str]) if text else []

    def totals(self) -> Totals:
        """Sums over all runs."""
        replies = self._connection.execute(
            "SELECT count(*), total(prompt_tokens), total(completion_tokens), total(prompt_tokens IS NULL), "
            "total(cost) FROM replies"
        ).fetchone()
        failures = self._connection.execute("SELECT count(*), total(cost) FROM failures").fetchone()
        return Totals(
            replies[0], failures[0], int(replies[1]), int(replies[2]), int(replies[3]), replies[4] + failures[1]
        )

    def tokens_per_byte(self) -> float | None:
        """Prompt tokens per UTF-8 byte of the replies so far; ``None`` where fewer than 20 were counted."""
        number, tokens, size = self._connection.execute(
            "SELECT count(*), total(prompt_tokens), total(prompt_bytes) FROM replies WHERE prompt_tokens IS NOT NULL"
        ).fetchone()
        return tokens / size if number >= 20 and size else None

    def states(self) -> dict[tuple[str, str], int]:
        """Number of rows of this run by state and reason."""
        rows = self._connection.execute(
            "SELECT state, reason, count(*) FROM rows WHERE run = ? GROUP BY state, reason", (self.run,)
        )
        return {(state, reason): count for state, reason, count in rows}

    def select(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, one after the other."""
        with closing(self._connection.execute(sql, values)) as cursor:
            yield from cursor


def digest(*parts: str | bytes) -> str:
    """Hash of parts, told apart by their lengths."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()


def put_reply(reply: StoredReply) -> Statement:
    """Store a reply as it came."""
    return Statement("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", reply)


def put_call(call: Call, state: str, worst: float = 0.0, reason: str = "") -> Statement:
    """Note the state of a call."""
    return Statement(
        "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (call_key) DO UPDATE SET "
        "state = excluded.state, reason = excluded.reason, worst = excluded.worst, at = excluded.at",
        (call.key, *call, state, reason, worst, time.time()),
    )


def put_failure(request_key: str, code: str, detail: str, cost: float) -> Statement:
    """Note a request that brought no reply."""
    return Statement("INSERT INTO failures VALUES (?, ?, ?, ?, ?)", (request_key, code, detail, cost, time.time()))


def put_served(model: str, names: list[str]) -> Statement:
    """Note the names under which the server may answer for a model."""
    value = msgspec.json.encode(names).decode()
    return Statement("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"served {model}", value))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table ``rows``."""

    row_key: str
    id: str
    job_key: str
    run: int
    position: int
    state: str
    reason: str = ""
    detail: str = ""
    detail_ar: str = ""
    stage: str = ""
    reply: str = ""
    record: bytes | None = None
    outputs: bytes | None = None
    review: bytes | None = None


def put_row(row: Row) -> Statement:
    """Decide a row, in the place of what was decided before."""
    sql = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    return Statement(sql, msgspec.structs.astuple(row))


def see_row(row_key: str, run: int, position: int) -> Statement:
    """Note that a decided row is in the input of this run."""
    return Statement("UPDATE rows SET run = ?, position = ? WHERE row_key = ?", (run, position, row_key))


def put_fault(run: int, file: str, row: int, field: str, problem: str, problem_ar: str) -> Statement:
    """Note a row of the input that is no record."""
    return Statement("INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?)", (run, file, row, field, problem, problem_ar))


def _lock(folder: Path) -> sqlite3.Connection:
    """An exclusive lock that ends with this process, however it ends. SQLite has one for every system."""
    owner = folder / "owner"
    connection = sqlite3.connect(folder / "lock.sqlite", isolation_level=None, timeout=0)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" not in str(error):
            raise LedgerError(folder, str(error)) from error
        raise WorkspaceBusyError(folder, _text_of(owner)) from error
    owner.write_text(str(os.getpid()), encoding="ascii")
    return connection


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
