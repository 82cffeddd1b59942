"""Records as Parquet, with a nested schema, written and read in batches of constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.errors import RecordError

from ._rows import OnError, RowChecker, checked_for_writing, replacing, require_file
from .schema import Record

_BATCH = 1024


def arrow_schema() -> Any:
    """Arrow schema of :class:`~bimedix2.records.schema.Record`."""
    import pyarrow as pa

    text = pa.string()
    image = pa.struct([("path", text), ("sha256", text), ("frame", pa.int64()), ("window", pa.list_(pa.float64()))])
    turn = pa.struct([("role", text), ("text", text), ("language", text), ("images", pa.list_(pa.int64()))])
    step = pa.struct([(name, text) for name in ("name", "tool", "version", "date", "note")])
    plain = ("id", "task", "modality", "source", "source_id", "licence", "parent", "pair_id", "split")
    return pa.schema(
        [(name, text) for name in plain]
        + [("turns", pa.list_(turn)), ("images", pa.list_(image)), ("provenance", pa.list_(step))]
    )


def read_parquet(path: str | Path, *, on_error: OnError | None = None, unique_ids: bool = True) -> Iterator[Record]:
    """Stream records; rows are counted from 1. Arguments and errors as for ``read_jsonl``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    require_file(path)
    checker = RowChecker(path, on_error, unique_ids=unique_ids)
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise RecordError(path, 0, "file", f"is not a Parquet file ({error})", "ليس ملف Parquet") from error
    first = 1
    with file:
        for group in range(file.num_row_groups):
            for row, take in _rows_of(file, group, first):
                record = checker.check(row, take)
                if record is not None:
                    yield record
            first += file.metadata.row_group(group).num_rows


def _rows_of(file: Any, group: int, row: int) -> Iterator[tuple[int, Callable[[], Record]]]:
    """The rows of one row group from number ``row``, each with a function that gives its record or the fault.

    A damaged page makes the rest of its group unreadable: that is one fault, and the next group goes on.
    """
    try:
        for batch in file.iter_batches(_BATCH, row_groups=[group]):
            for take in _takers(batch):
                yield row, take
                row += 1
    except (OSError, ValueError) as error:  # what Arrow raises for damaged data
        yield row, partial(_damaged, str(error))


def _takers(batch: Any) -> Iterator[Callable[[], Record]]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:  # one bad text; slices tell which row has it
        for index in range(batch.num_rows):
            yield partial(lambda part: _from_arrow(part.to_pylist()[0]), batch.slice(index, 1))
        return
    for values in rows:
        yield partial(_from_arrow, values)


def _damaged(problem: str) -> Record:
    raise ValueError(f"this row and the rest of its row group are damaged ({problem})")


def _from_arrow(values: dict[str, Any]) -> Record:
    """Arrow has no default values: absent ones come as nulls and are left out again."""
    return msgspec.convert(_without_nulls(values), Record)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def write_parquet(path: str | Path, records: Iterable[Record]) -> int:
    """Write records and return their number; the file appears whole or not at all.

    Raises:
        RecordError: a record breaks a rule.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, schema = Path(path), arrow_schema()
    count = 0
    rows = iter(records)
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH)):
            plain = []
            for record in batch:
                count += 1
                plain.append(msgspec.to_builtins(checked_for_writing(path, count, record)))
            writer.write_table(pa.Table.from_pylist(plain, schema=schema))
    return count
