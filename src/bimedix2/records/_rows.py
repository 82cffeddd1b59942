"""What all readers and writers share: checking one row, and replacing a file only when it is whole."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError

from .schema import Record
from .validate import find_fault

OnError = Callable[[RecordError], None]
_AT = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.?(?P<field>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")


def bad_row(path: Path, row: int, error: Exception) -> RecordError:
    """A decoding error as a ``RecordError`` that names the field."""
    match = _AT.match(str(error))
    assert match is not None
    field, problem = match["field"] or "", match["problem"]
    missing = _MISSING.search(problem)
    if missing:
        field = f"{field}.{missing['name']}" if field else missing["name"]
    return RecordError(path, row, field or "row", problem, "لا تطابق بنية السجل")


class RowChecker:
    """Validates rows of one file one after the other; remembers ids to find duplicates.

    Args:
        path: named in errors.
        on_error: receives each error and the row is left out; ``None`` raises the first.
        field_name: from a record's field path to the one in the file, where the file is laid out differently.
        unique_ids: whether a repeated id is an error; ids are kept in memory for it.
    """

    def __init__(
        self,
        path: Path,
        on_error: OnError | None,
        field_name: Callable[[str], str] = lambda field: field,
        *,
        unique_ids: bool = True,
    ) -> None:
        self.path, self.on_error, self.field_name, self.unique_ids = path, on_error, field_name, unique_ids
        self._ids: dict[str, int] = {}

    def check(self, row: int, make: Callable[[], Record]) -> Record | None:
        """The record that ``make`` gives, or ``None`` if it is bad and ``on_error`` took the error."""
        try:
            record = self._checked(row, make)
        except RecordError as error:
            if self.on_error is None:
                raise
            self.on_error(error)
            return None
        return record

    def _checked(self, row: int, make: Callable[[], Record]) -> Record:
        try:
            record = make()
        except RecordError:
            raise
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, TypeError, RecursionError) as error:
            raise bad_row(self.path, row, error) from error
        fault = find_fault(record)
        if fault is not None:
            raise RecordError(self.path, row, self.field_name(fault.field), fault.problem, fault.problem_ar)
        if not self.unique_ids:
            return record
        first = self._ids.setdefault(record.id, row)
        if first != row:
            raise RecordError(self.path, row, "id", f"{record.id!r} is in row {first} too", "المعرف مكرر")
        return record


def require_file(path: Path) -> None:
    """Raise ``RecordError`` unless ``path`` is a file."""
    if not path.is_file():
        raise RecordError(path, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A binary file that takes the place of ``path`` when the block ends well, and vanishes if it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def checked_for_writing(path: Path, row: int, record: Record) -> Record:
    """``record``, or ``RecordError``: nothing is written that could not be read again.

    A record made in code may hold anything, so its types are checked too, and that its text is valid Unicode.
    """
    try:
        msgspec.convert(msgspec.to_builtins(record), Record)
        fault = find_fault(record)
        msgspec.json.encode(record)
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError) as error:
        raise bad_row(path, row, error) from error
    if fault is not None:
        raise RecordError(path, row, fault.field, fault.problem, fault.problem_ar)
    return record
