"""MedMCQA (Pal et al. 2022, arXiv 2203.14371), validation questions; those used for training are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.sources._common import asset
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._choice import choice_sample, in_arabic
from ._files import each, each_shard, existing, field, json_rows, shards
from ._translated import arabic_file, arabic_rows

NAME = "medmcqa"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """``medmcqa/dev.json`` (JSON lines), else the Hub's ``medmcqa/data/validation-*.parquet``; ids are the same.

    The right option, ``cop``, counts from 1 in the JSON and from 0 on the Hub (there lm-evaluation-harness takes it
    as an index into A to D). Arabic reads ``medmcqa_ar/dev.jsonl`` by id, else the packaged sample.
    """
    path, files = root / NAME / "dev.json", shards(root / NAME / "data", split)
    if path.exists() or not files:
        remedy = "Get MedMCQA from github.com/medmcqa/medmcqa and put dev.json there."
        existing(path, remedy, "نزل MedMCQA من github.com/medmcqa/medmcqa وضع dev.json هناك.", NAME)
        files = []
    first = 0 if files else 1
    translated = arabic_file(root / f"{NAME}_ar" / "dev.jsonl", f"{NAME}_ar.jsonl")
    arabic = arabic_rows(translated) if language == "ar" else None
    trained = {row["id"] for row in asset("medmcqa_ar.jsonl")}

    def make(file: Path, number: int, place: int, row: dict[str, Any]) -> Sample | None:
        name = field(file, number, row, "id")
        if name in trained:
            return None
        options = [field(file, number, row, f"op{letter}") for letter in "abcd"]
        right: Any = row.get("cop")
        if right not in range(first, first + 4):
            wrong = f"{right!r} is not {first} to {first + 3}"
            raise RecordError(file, number, "cop", wrong, f"ليس بين {first} و{first + 3}")
        texts = in_arabic(translated, arabic, name, field(file, number, row, "question"), options)
        group = {"subject": str(row.get("subject_name") or "")}
        return texts and choice_sample(NAME, name, language, *texts, int(right) - first, group)

    if files:
        yield from each_shard(files, make)
    else:
        yield from each(json_rows(path), lambda number, row: make(path, number, number, row))


TASK = Task(
    name=NAME,
    family="choice",
    read=read,
    splits=("validation",),
    request="options",
    max_new_tokens=24,
    title={"en": "MedMCQA", "ar": "MedMCQA"},
    licence="MIT",
    hub="openlifescienceai/medmcqa",
    hub_files=("data/validation-*.parquet",),
    table="2",
)
