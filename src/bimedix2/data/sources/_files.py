"""Rows of JSON, CSV and Parquet files one at a time; a bad row is refused by number and the next ones go on."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records import CUT_OFF, bad_row, json_head, json_members, json_rows
from bimedix2.text import script_counts

from ._reading import Reading, Said

Values = dict[str, Any]
_ROWS = 256
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile("[\udc80-\udcff]")
_CUT = Said("the file ends in the middle: it was cut off; get it again", "ينتهي الملف في وسطه: نزله من جديد")


def json_objects(reading: Reading, path: Path) -> Iterator[tuple[int, Values]]:
    """(row, object) of a JSON array or of JSON lines.

    Raises:
        RecordError: the file is empty, in UTF-16 or cut off; the rows before were given.
    """
    yield from _decoded(reading, path, json_rows, lambda values: values)


def json_entries(reading: Reading, path: Path) -> Iterator[tuple[int, tuple[str, Values]]]:
    """(number, (key, object)) of the members of one JSON object."""

    def entry(values: Values) -> tuple[str, Values]:
        ((key, value),) = values.items()
        if not isinstance(value, dict):
            raise ValueError(f"the value of {key!r} is not an object")
        return key, value

    yield from _decoded(reading, path, json_members, entry)


def _decoded(
    reading: Reading,
    path: Path,
    rows: Callable[[Path], Iterator[tuple[int, bytes]]],
    take: Callable[[Values], Any],
) -> Iterator[tuple[int, Any]]:
    for number, raw in rows(require_text(path)):
        if raw == CUT_OFF:  # what is missing is not one row
            raise RecordError(path, number, "file", *_CUT)
        try:
            row = take(_object(path, number, raw, reading.encoding))
        except RecordError as error:
            reading.refuse(error)
        except ValueError as error:
            reading.refuse(bad_row(path, number, error))
        else:
            yield number, row


def require_text(path: Path) -> Path:
    """``path``, unless it is empty or in an encoding that cannot be split into rows.

    Raises:
        RecordError: it is.
    """
    head = json_head(path)
    if not head:
        raise RecordError(path, 0, "file", "is empty; get it again", "فارغ؛ نزله من جديد")
    if head.startswith(_UTF16):
        remedy = f"iconv -f UTF-16 -t UTF-8 {path.name} > new; then put it in the old one's place"
        raise RecordError(path, 0, "file", f"is in UTF-16. Run: {remedy}", f"بترميز UTF-16. نفذ: {remedy}")
    return path


def _object(path: Path, number: int, raw: bytes, encoding: str) -> Values:
    try:
        if encoding != "utf-8":
            raw = raw.decode(encoding).encode()
        raw.decode()  # first, so that a wrong encoding is told as one
        return msgspec.json.decode(raw, type=Values)
    except UnicodeDecodeError as error:
        raise RecordError(path, number, "row", *undecodable(raw, error, encoding)) from error
    except msgspec.MsgspecError as error:
        problem = f"is not a JSON object ({error})"
        raise RecordError(path, number, "row", problem, f"ليس كائن JSON ({error})") from error


def undecodable(raw: bytes, error: UnicodeDecodeError, encoding: str) -> Said:
    """What is wrong with bytes that are not in ``encoding``, and what would read them."""
    where = f"byte 0x{raw[error.start]:02X} at position {error.start} is not {encoding}"
    where_ar = f"البايت 0x{raw[error.start]:02X} في الموضع {error.start} ليس بترميز {encoding}"
    counts = script_counts(raw.decode("cp1256", errors="replace"))
    if encoding == "utf-8" and counts.arabic > counts.latin / 4:
        return Said(
            f"{where}. As Windows-1256 it is Arabic: run again with --encoding cp1256",
            f"{where_ar}. يقرأ عربيا بترميز Windows-1256: أعد التشغيل مع --encoding cp1256",
        )
    return Said(f"{where}; mend the row or give --encoding", f"{where_ar}؛ أصلح الصف أو حدد --encoding")


def csv_objects(
    reading: Reading, path: Path, names: Sequence[str] | None = None, delimiter: str = ",", *, quoted: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """(row from 1 without the header, column -> text) of a CSV file, plain or gzip.

    Args:
        reading: takes bad rows.
        path: file.
        names: of the columns of a file without a header.
        delimiter: between cells.
        quoted: whether cells may stand in quotation marks.

    Raises:
        RecordError: the file is cut off or is no CSV; the rows before were given.
    """
    open_file = gzip.open if path.suffix == ".gz" else open
    if path.suffix != ".gz" and reading.encoding != "utf-16":
        require_text(path)
    encoding = "utf-8-sig" if reading.encoding == "utf-8" else reading.encoding
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    number = 0
    try:
        with open_file(path, "rt", encoding=encoding, errors="surrogateescape", newline="") as file:
            for row in csv.DictReader(file, fieldnames=names, delimiter=delimiter, quoting=quoting):
                number += 1
                try:
                    _check_cells(path, number, row, reading.encoding)
                except RecordError as error:
                    reading.refuse(error)
                else:
                    yield number, row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(path, number + 1, "file", *_CUT) from error
    except csv.Error as error:
        problem = f"is not CSV from here on ({error}); look for a quotation mark without its partner"
        raise RecordError(path, number + 1, "row", problem, f"ليس CSV من هنا ({error})") from error


def _check_cells(path: Path, number: int, row: Mapping[Any, Any], encoding: str) -> None:
    if None in row or None in row.values():
        filled = sum(value is not None for name, value in row.items() if name is not None)
        given, expected = filled + len(row.get(None, ())), sum(name is not None for name in row)
        raise RecordError(
            path, number, "row", f"has {given} cells, expected {expected}", f"فيه {given} خلايا والمتوقع {expected}"
        )
    for name, value in row.items():
        if _UNDECODED.search(value):
            raw = value.encode(encoding, errors="surrogateescape")
            try:
                raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise RecordError(path, number, name, *undecodable(raw, error, encoding)) from error


def parquet_objects(path: Path) -> Iterator[tuple[int, Values]]:
    """(row, object) of a Parquet file.

    Raises:
        RecordError: it is no Parquet or was cut off; the rows before were given.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        problem = f"cannot be read as Parquet from here on ({error}); get it again"
        raise RecordError(path, number + 1, "file", problem, "تعذرت قراءته كملف Parquet؛ نزله من جديد") from error


def text(path: Path, number: int, row: Mapping[str, Any], name: str) -> str:
    """Text of a field without white space around it; numbers are taken as their text.

    Raises:
        RecordError: it is missing, empty or neither text nor a number.
    """
    value = row.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if value is None or not isinstance(value, str) or not value.strip():
        problem = "is missing or empty" if value is None or isinstance(value, str) else "is not text"
        raise RecordError(path, number, name, problem, "مفقود أو فارغ" if "empty" in problem else "ليس نصا")
    return value.strip()


def line(path: Path, number: int, row: Mapping[str, Any], name: str) -> str:
    """As :func:`text` on one line, runs of white space collapsed."""
    return " ".join(text(path, number, row, name).split())
