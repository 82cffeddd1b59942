"""One schema for a conversation, its images and where it came from, and the files that hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bimedix2.errors import RecordError

from ._json_array import CUT_OFF, json_head, json_members, json_rows
from ._rows import OnError, bad_row
from .jsonl import read_jsonl, write_jsonl
from .llava import (
    LlavaDefaults,
    field_in_llava,
    llava_record,
    looks_like_llava,
    read_llava,
    write_llava,
)
from .parquet import read_parquet, write_parquet
from .schema import ImageRef, Language, Modality, Record, Role, Split, Step, Task, Turn
from .validate import find_fault

__all__ = [
    "CUT_OFF",
    "ImageRef",
    "Language",
    "LlavaDefaults",
    "Modality",
    "OnError",
    "Record",
    "Role",
    "Split",
    "Step",
    "Task",
    "Turn",
    "bad_row",
    "field_in_llava",
    "find_fault",
    "json_head",
    "json_members",
    "json_rows",
    "llava_record",
    "looks_like_llava",
    "missing_images",
    "read_jsonl",
    "read_llava",
    "read_parquet",
    "read_records",
    "write_jsonl",
    "write_llava",
    "write_parquet",
    "write_records",
]


def read_records(path: str | Path, *, on_error: OnError | None = None, unique_ids: bool = True) -> Iterator[Record]:
    """Read ``.parquet``, JSON lines of records, or LLaVA's JSON or JSON lines, told apart by their content.

    A LLaVA file says neither source nor licence: its name and ``unknown`` stand for them; use ``read_llava`` to
    state better ones. ``on_error`` and ``unique_ids`` are as for ``read_jsonl``.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return read_parquet(path, on_error=on_error, unique_ids=unique_ids)
    if path.is_file() and looks_like_llava(path):
        defaults = LlavaDefaults(source=path.stem, licence="unknown")
        return read_llava(path, defaults, on_error=on_error, unique_ids=unique_ids)
    return read_jsonl(path, on_error=on_error, unique_ids=unique_ids)


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write ``.parquet`` or ``.jsonl`` by the file's ending, and return the number of records.

    Raises:
        RecordError: another ending, or a record that breaks a rule.
    """
    path = Path(path)
    writers = {".parquet": write_parquet, ".jsonl": write_jsonl}
    if path.suffix not in writers:
        raise RecordError(path, 0, "file", "must end in .jsonl or .parquet", "يجب أن ينتهي بـ .jsonl أو .parquet")
    return writers[path.suffix](path, records)


def missing_images(record: Record, root: str | Path) -> list[str]:
    """Paths of the record's images that are not there under ``root``."""
    return [image.path for image in record.images if not (Path(root) / image.path).is_file()]
