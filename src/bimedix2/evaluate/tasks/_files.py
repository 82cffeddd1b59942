"""Reading original files with errors that name file, row and field."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample

Row = TypeVar("Row")
_ROWS = 256


def existing(path: Path, remedy: str, remedy_ar: str, task: str = "") -> Path:
    """``path`` if it is there.

    Args:
        path: file or folder.
        remedy, remedy_ar: where to get it.
        task: name of a task whose data set the Hub has, so that ``bimedix2 data fetch`` helps too.

    Raises:
        RecordError: it is not; says what to do.
    """
    if task:
        remedy = f"{remedy} Or run `bimedix2 data fetch {task}`."
        remedy_ar = f"{remedy_ar} أو نفذ bimedix2 data fetch {task}."
    if not path.exists():
        raise RecordError(path, 0, "file", f"not found. {remedy}", f"غير موجود. {remedy_ar}")
    return path


def json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, object) of a JSON array or JSON-lines file in UTF-8; blank lines are not counted.

    Raises:
        RecordError: not JSON, or a row is not an object; of JSON lines, the rows after it can still be had.
    """
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if not content.lstrip().startswith(b"["):
        return JsonLines(path, content)
    rows = _parse(path, 0, content)
    return ((number, _object(path, number, row)) for number, row in enumerate(rows, 1))


class JsonLines(Iterator[tuple[int, dict[str, Any]]]):
    """Rows of a JSON-lines file; unlike a generator it goes on after the error of a bad one.

    Args:
        path: for errors.
        content: of the file.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._lines = enumerate((line for line in content.split(b"\n") if line.strip()), 1)

    def __next__(self) -> tuple[int, dict[str, Any]]:
        number, line = next(self._lines)
        return number, _object(self._path, number, _parse(self._path, number, line))


def _parse(path: Path, row: int, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        problem = f"not JSON in UTF-8 ({error}). Mend it, or get the file again."
        problem_ar = "ليس JSON بترميز UTF-8. أصلحه أو نزل الملف من جديد."
        raise RecordError(path, row, "row", problem, problem_ar) from error


def _object(path: Path, number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise RecordError(path, number, "row", "is not a JSON object", "ليس كائن JSON")
    return row


def each(rows: Iterable[tuple[int, Row]], make: Callable[[int, Row], Sample | None]) -> Iterator[Sample | RecordError]:
    """A sample for every row, its error in place of a bad one, nothing where ``make`` gives ``None``.

    Raises:
        RecordError: the rows end with an error, as in a damaged file: what comes after is not known.
    """
    remaining = iter(rows)
    while True:
        try:
            number, row = next(remaining)
        except StopIteration:
            return
        except RecordError as error:
            if not isinstance(remaining, JsonLines):
                raise
            yield error
            continue
        try:
            sample = make(number, row)
        except RecordError as error:
            yield error
        else:
            if sample is not None:
                yield sample


def csv_rows(path: Path, names: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number from 1, column -> text) of a CSV file.

    Args:
        path: UTF-8, plain or gzip.
        names: of the columns of a file without a header.

    Raises:
        RecordError: not CSV in UTF-8.
    """
    open_file = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with open_file(path, "rt", encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, fieldnames=names):
                number += 1
                yield number, {str(name): value or "" for name, value in row.items() if name is not None}
    except (csv.Error, UnicodeDecodeError, OSError, EOFError) as error:
        raise RecordError(path, number + 1, "row", f"not CSV in UTF-8 ({error})", "ليس CSV بترميز UTF-8") from error


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, object) of a Parquet file.

    Raises:
        RecordError: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError) as error:
        raise RecordError(path, number + 1, "row", f"not Parquet ({error})", "ليس بصيغة Parquet") from error


def shards(folder: Path, split: str) -> list[Path]:
    """Parquet files of a split as the Hub names them, ``<split>-00000-of-00001[-hash].parquet``, in order."""
    return sorted(folder.glob(f"{split}-*.parquet"))


MakeSample = Callable[[Path, int, int, dict[str, Any]], Sample | None]
"""(file, row in it from 1, row over all files from 1, row) -> sample, or ``None`` to leave it out."""


def each_shard(files: Sequence[Path], make: MakeSample) -> Iterator[Sample | RecordError]:
    """As :func:`each` over several Parquet files."""
    import pyarrow.parquet as pq

    start = 0
    for path in files:
        yield from each(
            parquet_rows(path),
            lambda number, row, path=path, start=start: make(path, number, start + number, row),  # type: ignore[misc]
        )
        start += pq.ParquetFile(path).metadata.num_rows


def field(path: Path, number: int, row: Mapping[str, Any], name: str) -> str:
    """Text of a field, white space collapsed; numbers are taken as their text.

    Raises:
        RecordError: it is missing or empty.
    """
    value = row.get(name)
    text = " ".join(str(value).split()) if value is not None else ""
    if not text:
        raise RecordError(path, number, name, "missing or empty", "مفقود أو فارغ")
    return text


def translations(path: Path) -> dict[str, dict[str, str]]:
    """``{"questions": {english: arabic}, "answers": {…}}`` of an ``…_ar`` folder.

    Raises:
        RecordError: the file is missing or has another shape.
    """
    remedy = "Arabic needs this file: a JSON object with the tables `questions` and `answers`, English to Arabic."
    existing(path, remedy, "تحتاج العربية إلى هذا الملف: كائن JSON فيه الجدولان questions و answers.")
    content = _parse(path, 0, path.read_bytes())
    for name in ("questions", "answers"):
        if not isinstance(content, dict) or not isinstance(content.get(name), dict):
            raise RecordError(path, 0, name, "is not a table of translations", "ليس جدول ترجمات")
    return {name: content[name] for name in ("questions", "answers")}


def translated(path: Path, row: int, table: dict[str, str], text: str, name: str) -> str:
    """Arabic of an English string.

    Raises:
        RecordError: the table lacks it.
    """
    if text not in table:
        raise RecordError(path, row, name, f"has no Arabic translation: {text!r}", "لا توجد له ترجمة عربية")
    return table[text]
