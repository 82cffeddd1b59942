"""Records as JSON lines: one record a line, UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ._rows import OnError, RowChecker, checked_for_writing, replacing, require_file
from .schema import Record

_BOM = b"\xef\xbb\xbf"


def read_jsonl(path: str | Path, *, on_error: OnError | None = None, unique_ids: bool = True) -> Iterator[Record]:
    """Stream records; rows are counted as lines, from 1.

    Args:
        path: file to read; blank lines are skipped and a byte-order mark is ignored.
        on_error: receives the error of each bad row, which is left out; ``None`` raises it.
        unique_ids: whether a repeated id is an error. Ids are kept in memory for it, about 150 bytes a record;
            ``False`` makes memory independent of the file's length.

    Raises:
        RecordError: a line is not JSON, not a record, breaks a rule or repeats an id.
    """
    path = Path(path)
    require_file(path)
    checker, decoder = RowChecker(path, on_error, unique_ids=unique_ids), msgspec.json.Decoder(Record)
    with path.open("rb") as file:
        for row, line in enumerate(file, start=1):
            text = line.removeprefix(_BOM) if row == 1 else line
            if not text.strip():
                continue
            record = checker.check(row, lambda text=text: decoder.decode(text))  # type: ignore[misc]
            if record is not None:
                yield record


def write_jsonl(path: str | Path, records: Iterable[Record]) -> int:
    """Write records and return their number; the file appears whole or not at all.

    Raises:
        RecordError: a record breaks a rule.
    """
    path = Path(path)
    count = 0
    with replacing(path) as file:
        for count, record in enumerate(records, start=1):
            file.write(msgspec.json.encode(checked_for_writing(path, count, record)) + b"\n")
    return count
