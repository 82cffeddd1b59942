"""A table of questions of one's own: CSV, TSV, JSON array, JSON lines or Parquet, with a map of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec

from bimedix2.errors import ConfigError, RecordError
from bimedix2.records.schema import Modality, Record, Split, Task
from bimedix2.text import language_of

from ._common import answered_in, exchange
from ._files import Values, csv_objects, json_objects, parquet_objects, text
from ._mcq import mcq_record, option_texts, right_option
from ._own import OPTIONS, image_path, own_files, set_name
from ._reading import Option, Reading, Source, SourceInfo, each

_COLUMNS = (
    Option(name="question", default="question", meaning="column of the question", meaning_ar="عمود السؤال"),
    Option(name="answer", default="answer", meaning="column of the answer", meaning_ar="عمود الجواب"),
    Option(name="id", default="", meaning="column of the id; else the row's number", meaning_ar="عمود المعرف"),
    Option(name="image", default="", meaning="column of the image's path", meaning_ar="عمود مسار الصورة"),
    Option(name="pair", default="", meaning="column that links translations", meaning_ar="عمود يربط الترجمات"),
    Option(
        name="options",
        default="",
        meaning="columns of the options, with commas between them, or one column with a list; the answer is a letter",
        meaning_ar="أعمدة الخيارات بينها فواصل، أو عمود فيه قائمة؛ والجواب حرف",
    ),
)
INFO = SourceInfo(
    name="table",
    licence="as --set licence= says",
    languages=("en", "ar"),
    tasks=("qa", "vqa", "mcq", "caption", "report", "dialogue", "summarization", "classification"),
    splits=("train", "dev", "test"),
    files=("the file of --set file=: .csv, .csv.gz, .tsv, .json, .jsonl or .parquet",),
    notes="Name the columns: --set question=Q --set answer=A. Languages are told by the script.",
    notes_ar="سم الأعمدة: --set question=Q --set answer=A. تعرف اللغة من الكتابة.",
    options=(*OPTIONS, *_COLUMNS),
)


def read(reading: Reading) -> Iterator[Record]:
    """One record a row."""
    for path in own_files(reading, INFO):
        yield from each(reading, path, _rows(reading, path), partial(_make, reading, path))


def _rows(reading: Reading, path: Path) -> Iterator[tuple[int, Any]]:
    names = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = names[-1] if names else ""
    if kind == ".parquet":
        return parquet_objects(path)
    if kind in (".json", ".jsonl"):
        return json_objects(reading, path)
    if kind in (".csv", ".tsv"):
        return csv_objects(reading, path, delimiter="\t" if kind == ".tsv" else ",")
    raise ConfigError(
        f"{path}: must end in .csv, .csv.gz, .tsv, .json, .jsonl or .parquet.",
        f"{path}: يجب أن ينتهي بـ .csv أو .csv.gz أو .tsv أو .json أو .jsonl أو .parquet.",
    )


def _make(reading: Reading, path: Path, number: int, row: Values) -> list[Record]:
    columns, name = reading.options, set_name(reading, path)
    item = text(path, number, row, columns["id"]) if columns["id"] else str(number)
    question, answer = (text(path, number, row, columns[key]) for key in ("question", "answer"))
    split = cast("Split", columns["part"])
    if columns["options"]:
        options = option_texts(path, number, _options(path, number, row, columns["options"]), columns["options"])
        right = right_option(path, number, answer, len(options), columns["answer"])
        record = mcq_record(
            f"{name}:{item}", question, options, right, language_of(question), source=name,
            licence=columns["licence"], split=split,
        )  # fmt: skip
    else:
        record = exchange(
            f"{name}:{item}", question, answer, language_of(question), task=cast("Task", columns["task"]),
            modality=cast("Modality", columns["modality"]), source=name, licence=columns["licence"],
            image=image_path(reading, path, text(path, number, row, columns["image"])) if columns["image"] else None,
            split=split,
        )  # fmt: skip
        record = answered_in(record, language_of(answer, default=language_of(question)))
    pair = f"{name}:{text(path, number, row, columns['pair'])}" if columns["pair"] else None
    return [msgspec.structs.replace(record, source_id=item, pair_id=pair)]


def _options(path: Path, number: int, row: Values, columns: str) -> Any:
    names = [name.strip() for name in columns.split(",")]
    for name in names:
        if name not in row:
            raise RecordError(path, number, name, "there is no such column", "لا يوجد هذا العمود")
    return row[names[0]] if len(names) == 1 else [str(row[name]) for name in names]


SOURCES = (Source(INFO, read),)
