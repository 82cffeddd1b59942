"""Translations with the records they were made from, in memory that does not grow with the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bimedix2.data.seen import Seen
from bimedix2.errors import RecordError
from bimedix2.records import Record, read_records

from .rows import BadRow, repeated_id

_CACHE_KIB = 16 * 1024


class Originals:
    """The records of a file that other records of it name as their parent. A context manager.

    The file is read twice, and the originals are kept in SQLite's own temporary file, which vanishes with it.

    Args:
        path: records (.jsonl, .parquet); bad rows are passed over.
    """

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._base.execute("CREATE TABLE original (id TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID")
        self._base.execute("BEGIN")
        self._decoder, encoder = msgspec.json.Decoder(Record), msgspec.json.Encoder()
        for record in read_records(path, on_error=_ignore, unique_ids=False):
            if record.parent:
                self._base.execute("INSERT OR IGNORE INTO original VALUES (?, NULL)", (record.parent,))
        for record in read_records(path, on_error=_ignore, unique_ids=False):
            found = self._base.execute("SELECT record IS NULL FROM original WHERE id = ?", (record.id,)).fetchone()
            if found == (1,):
                self._base.execute("UPDATE original SET record = ? WHERE id = ?", (encoder.encode(record), record.id))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

    def get(self, record_id: str) -> Record | None:
        """The record of this id, if it is an original and in the file."""
        found = self._base.execute("SELECT record FROM original WHERE id = ?", (record_id,)).fetchone()
        return None if found is None or found[0] is None else self._decoder.decode(found[0])


def with_originals(path: Path) -> Iterator[tuple[Record, Record] | BadRow]:
    """(original, translation) of every record that was made from one in the other language, and bad rows in place."""
    bad: list[BadRow] = []
    with Originals(path) as originals, Seen() as seen:
        good = broken = 0
        # Ids are compared here, for the reader would hold them in memory.
        for record in read_records(path, on_error=_noting(bad), unique_ids=False):
            good, broken = good + 1, broken + len(bad)
            yield from bad
            bad.clear()
            if seen.first(record.id) is not None:
                yield repeated_id(good + broken, record.id, b"")
            elif record.parent is not None:
                original = originals.get(record.parent)
                if original is None:
                    yield _orphan(good + broken, record)
                elif original.turns[0].language != record.turns[0].language:
                    yield original, record
    yield from bad


def _orphan(number: int, record: Record) -> BadRow:
    problem = f"the original {record.parent!r} of {record.id!r} is not in the file"
    problem_ar = f"الأصل {record.parent!r} للسجل {record.id!r} ليس في الملف"
    return BadRow(number, record.id, problem, problem_ar, record.id.encode())


def _noting(bad: list[BadRow]) -> Callable[[RecordError], None]:
    def note(error: RecordError) -> None:
        texts = f"{error.field}: {error.problem}", f"{error.field}: {error.problem_ar}"
        bad.append(BadRow(error.row, None, *texts, b""))

    return note


def _ignore(error: RecordError) -> None:
    """Bad rows are told of in the last pass."""
