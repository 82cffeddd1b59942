"""MedMCQA (Pal et al. 2022, arXiv 2203.14371), validation questions; those used for training are left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.sources._common import asset
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._choice import arabic_rows, choice_sample, in_arabic
from ._files import each, existing, field, json_rows

NAME = "medmcqa"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """``medmcqa/dev.json`` (JSON lines, ``cop`` from 1); Arabic ``medmcqa_ar/dev.jsonl`` by id."""
    remedy = "Download MedMCQA (openlifescienceai/medmcqa) and put dev.json there."
    path = existing(root / NAME / "dev.json", remedy, "نزل MedMCQA وضع dev.json هناك.")
    translated = root / f"{NAME}_ar" / "dev.jsonl"
    arabic = arabic_rows(translated) if language == "ar" else None
    trained = {row["id"] for row in asset("medmcqa_ar.jsonl")}

    def make(number: int, row: dict[str, Any]) -> Sample | None:
        name = field(path, number, row, "id")
        if name in trained:
            return None
        options = [field(path, number, row, f"op{letter}") for letter in "abcd"]
        if row.get("cop") not in (1, 2, 3, 4):
            raise RecordError(path, number, "cop", f"{row.get('cop')!r} is not 1 to 4", "ليس بين 1 و4")
        texts = in_arabic(translated, arabic, name, field(path, number, row, "question"), options)
        group = {"subject": str(row.get("subject_name") or "")}
        return texts and choice_sample(NAME, name, language, *texts, row["cop"] - 1, group)

    yield from each(json_rows(path), make)


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
    table="2",
)
