"""Rows that were not taken, with the reasons, in a file beside the output: nothing is dropped silently."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import IO

import msgspec

from bimedix2.errors import RecordError


class Reason(msgspec.Struct, frozen=True):
    """A line of a quarantine file.

    Attributes:
        file, row, field: where the fault is; row 0 is the file as a whole.
        code: stable name of the kind of fault.
        reason, reason_ar: what is wrong, in both languages.
        id: of the record, where one was made.
    """

    file: str
    row: int
    field: str
    code: str
    reason: str
    reason_ar: str
    id: str | None = None


def quarantine_path(out: Path) -> Path:
    """``records.jsonl`` has ``records.quarantine.jsonl``; so has ``records.parquet``."""
    return out.with_name(f"{out.stem}.quarantine.jsonl")


class Quarantine:
    """Collects reasons in a scratch file, which takes its place when the output does.

    Args:
        path: of the finished file; without a reason there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.counts: Counter[str] = Counter()
        self.first: Reason | None = None

    def add(self, error: RecordError, code: str = "bad_row", record_id: str | None = None) -> None:
        """Keep one reason."""
        reason = Reason(error.path, error.row, error.field, code, error.problem, error.problem_ar, record_id)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, self._scratch = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
            self._file = os.fdopen(handle, "wb")
            self.first = reason
        self.counts[code] += 1
        # A value taken from a file in a wrong encoding may not be valid Unicode.
        self._file.write(msgspec.json.encode(msgspec.structs.replace(reason, **_clean(reason))) + b"\n")

    def close(self, *, keep: bool) -> None:
        """Put the file in its place, or leave no trace; a file of an earlier run goes where there is no reason now."""
        if self._file is None:
            if keep:
                self._path.unlink(missing_ok=True)
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        scratch = Path(self._scratch)
        if keep:
            scratch.chmod(0o644)
            scratch.replace(self._path)
        else:
            scratch.unlink(missing_ok=True)


def _clean(reason: Reason) -> dict[str, str]:
    return {
        name: value.encode(errors="backslashreplace").decode()
        for name in ("file", "field", "reason", "reason_ar", "id")
        if isinstance(value := getattr(reason, name), str)
    }
