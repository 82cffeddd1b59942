"""MedQA (Jin et al. 2020, MIT): questions in the style of the USMLE, with four or five options."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.records.schema import Record, Split

from ._files import Values, json_objects, text
from ._mcq import mcq_record, option_texts, right_option
from ._reading import Reading, Source, SourceInfo, each, files_of

INFO = SourceInfo(
    name="medqa",
    licence="MIT",
    languages=("en",),
    tasks=("mcq",),
    splits=("train", "dev", "test"),
    files=("medqa/phrases_no_exclude_{train,dev,test}.jsonl or medqa/US/{train,dev,test}.jsonl",),
    notes="Four options where the phrases_no_exclude files are there, else the five of US/. Ids are row numbers.",
    notes_ar="أربعة خيارات إن وجدت ملفات phrases_no_exclude وإلا خمسة من US. المعرفات أرقام الصفوف.",
)


def _files(split: str) -> tuple[str, ...]:
    name = f"phrases_no_exclude_{split}.jsonl"
    return (f"medqa/{name}", f"medqa/4_options/{name}", f"medqa/US/{split}.jsonl", f"medqa/{split}.jsonl")


FILES: dict[Split, tuple[str, ...]] = {"train": _files("train"), "dev": _files("dev"), "test": _files("test")}


def read(reading: Reading) -> Iterator[Record]:
    """One record a question."""
    for split, path in files_of(reading, INFO, FILES):
        yield from each(reading, path, json_objects(reading, path), partial(_make, split, path))


def _make(split: Split, path: Path, number: int, row: Values) -> list[Record]:
    options = option_texts(path, number, row.get("options"), "options")
    right = right_option(path, number, text(path, number, row, "answer_idx"), len(options), "answer_idx")
    question = text(path, number, row, "question")
    record_id = f"medqa:{split}-{number}:mcq:en"
    return [mcq_record(record_id, question, options, right, "en", source=INFO.name, licence=INFO.licence, split=split)]


SOURCES = (Source(INFO, read),)
