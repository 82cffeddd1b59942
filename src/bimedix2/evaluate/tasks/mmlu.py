"""The six medical subjects of MMLU (Hendrycks et al. 2021, arXiv 2009.03300)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._choice import choice_sample, in_arabic, key_index
from ._files import csv_rows, each, each_shard, existing, field, shards
from ._translated import arabic_file, arabic_rows

COLUMNS = ("question", "A", "B", "C", "D", "key")
SUBJECTS: dict[str, tuple[str, str]] = {
    "anatomy": ("anatomy", "التشريح"),
    "clinical_knowledge": ("clinical knowledge", "المعرفة السريرية"),
    "college_biology": ("college biology", "الأحياء الجامعية"),
    "college_medicine": ("college medicine", "الطب الجامعي"),
    "medical_genetics": ("medical genetics", "علم الوراثة الطبية"),
    "professional_medicine": ("professional medicine", "الطب المهني"),
}


def read(root: Path, language: Language, split: str, *, subject: str) -> Iterator[Sample | RecordError]:
    """``mmlu/<subject>_<split>.csv`` without header, else the Hub's ``mmlu/<subject>/<split>-*.parquet``.

    Ids are row numbers; the Hub's copy was made from the csv files row by row (its columns: question, choices, answer
    from 0). Arabic reads ``mmlu_ar/<subject>_<split>.jsonl`` by row number; without it, the packaged sample.
    """
    path, files = root / "mmlu" / f"{subject}_{split}.csv", shards(root / "mmlu" / subject, split)
    if path.exists() or not files:
        remedy = "Get the MMLU csv files from github.com/hendrycks/test and put the medical subjects there."
        remedy_ar = "نزل ملفات MMLU من github.com/hendrycks/test وضع المواد الطبية هناك."
        existing(path, remedy, remedy_ar, f"mmlu_{subject}")
        files = []
    name = f"mmlu_ar/{subject}_{split}.jsonl"
    translated = arabic_file(root / name, name)
    arabic = arabic_rows(translated) if language == "ar" else None

    def make(file: Path, number: int, place: int, row: dict[str, Any]) -> Sample | None:
        question = field(file, number, row, "question")
        options, right = _hub_choices(file, number, row) if files else _choices(file, number, row)
        texts = in_arabic(translated, arabic, str(place), question, options)
        return texts and choice_sample(f"mmlu_{subject}", str(place), language, *texts, right)

    if files:
        yield from each_shard(files, make)
    else:
        yield from each(csv_rows(path, COLUMNS), lambda number, row: make(path, number, number, row))


def _choices(path: Path, number: int, row: dict[str, str]) -> tuple[list[str], int]:
    options = [field(path, number, row, letter) for letter in "ABCD"]
    return options, key_index(path, number, field(path, number, row, "key"), 4, "key")


def _hub_choices(path: Path, number: int, row: dict[str, Any]) -> tuple[list[str], int]:
    choices: Any = row.get("choices")
    right: Any = row.get("answer")
    if not isinstance(choices, list) or len(choices) != 4 or not all(choices):
        raise RecordError(path, number, "choices", "is not a list of 4 texts", "ليس قائمة من 4 نصوص")
    if right not in range(4):
        raise RecordError(path, number, "answer", f"{right!r} is not 0 to 3", "ليس بين 0 و3")
    return [" ".join(str(choice).split()) for choice in choices], int(right)


TASKS = tuple(
    Task(
        name=f"mmlu_{subject}",
        family="choice",
        read=partial(read, subject=subject),
        request="options",
        max_new_tokens=24,
        title={"en": f"MMLU {english}", "ar": f"MMLU {arabic}"},
        licence="MIT",
        hub="cais/mmlu",
        hub_files=(f"{subject}/test-*.parquet",),
        folder="mmlu",
        table="2",
    )
    for subject, (english, arabic) in SUBJECTS.items()
)
