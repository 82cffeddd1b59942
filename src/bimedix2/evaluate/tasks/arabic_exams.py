"""Native Arabic medical exams: MedAraBench (2026) and MedArabiQ (2025, arXiv 2505.03427)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language
from bimedix2.text import normalize_for_search

from ._choice import choice_sample, key_index
from ._files import csv_rows, each, existing, field

# "أ. نص" at the start of a line; the sets also write ا for أ and ه for هـ, and leave out the space.
_OPTION = re.compile(r"^\s*([A-F]|[اأبجد]|هـ?)\s*[.)]\s*(.+?)\s*$")
_INLINE = re.compile(r"\s+(?=(?:[أA])\s*[.)]\s)")


def read_medarabench(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """``medarabench/medarabench-<split>_split.csv``: Question, Option A … F, Correct Answer, Level, Medical Specialty.

    The shared ``Question Number`` is no id (it starts again), so the row's number is.
    """
    remedy = "Get it from github.com/nyuad-cai/MedAraBench."
    path = existing(
        root / "medarabench" / f"medarabench-{split}_split.csv",
        remedy,
        "احصل عليه من github.com/nyuad-cai/MedAraBench.",
    )

    def make(number: int, row: dict[str, str]) -> Sample:
        options = [text for letter in "ABCDEF" if (text := " ".join(row.get(f"Option {letter}", "").split()))]
        right = key_index(path, number, field(path, number, row, "Correct Answer"), len(options), "Correct Answer")
        group = {"level": row.get("Level", ""), "specialty": row.get("umbrella_specialty", "")}
        return choice_sample(
            "medarabench", str(number), language, field(path, number, row, "Question"), options, right, group
        )

    yield from each(csv_rows(path), make)


COLUMNS: dict[str, dict[Language, tuple[str, str]]] = {
    "multiple-choice-questions": {"ar": ("Question", "Answer")},
    "fill-in-the-blank-choices": {
        "ar": ("Question - Arabic", "Answer - Arabic"),
        "en": ("Question - English", "Answer - English"),
    },
}


def read_medarabiq(
    root: Path, language: Language, split: str, *, name: str, file: str
) -> Iterator[Sample | RecordError]:
    """``medarabiq/datasets/<file>.csv``: options stand in the question's lines, the answer repeats one of them."""
    remedy = "Get it from github.com/nyuad-cai/MedArabiQ."
    path = existing(
        root / "medarabiq" / "datasets" / f"{file}.csv", remedy, "احصل عليه من github.com/nyuad-cai/MedArabiQ."
    )
    asked, answered = COLUMNS[file][language]

    def make(number: int, row: dict[str, str]) -> Sample:
        question, labels, options = _divide(row.get(asked, ""))
        if len(options) < 2 or not question:
            raise RecordError(path, number, asked, "holds no labelled options", "لا يحتوي على خيارات مرقمة")
        answer = _OPTION.match(field(path, number, row, answered))
        label = normalize_for_search(answer[1]) if answer else ""
        if label not in labels:
            raise RecordError(path, number, answered, "names none of the options", "لا يسمي أيا من الخيارات")
        group = {"specialty": row.get("Category", "")}
        return choice_sample(name, str(number), language, question, options, labels.index(label), group)

    yield from each(csv_rows(path), make)


def _divide(text: str) -> tuple[str, list[str], list[str]]:
    """Question, labels in search form, and option texts; lines that carry on an option are added to it."""
    question: list[str] = []
    labels: list[str] = []
    options: list[str] = []
    for line in _INLINE.sub("\n", text).splitlines():
        match = _OPTION.match(line)
        if match:
            labels.append(normalize_for_search(match[1]))
            options.append(match[2])
        elif line.strip() and options:
            options[-1] += f" {line.strip()}"
        elif line.strip():
            question.append(line.strip())
    return " ".join(question), labels, options


TASKS = (
    Task(
        name="medarabench",
        family="choice",
        read=read_medarabench,
        languages=("ar",),
        request="options",
        max_new_tokens=24,
        title={"en": "MedAraBench", "ar": "MedAraBench"},
        licence="see the repository",
    ),
    Task(
        name="medarabiq_mcq",
        family="choice",
        read=partial(read_medarabiq, name="medarabiq_mcq", file="multiple-choice-questions"),
        languages=("ar",),
        request="options",
        max_new_tokens=24,
        title={"en": "MedArabiQ multiple choice", "ar": "MedArabiQ اختيار من متعدد"},
        licence="see the repository",
    ),
    Task(
        name="medarabiq_blanks",
        family="choice",
        read=partial(read_medarabiq, name="medarabiq_blanks", file="fill-in-the-blank-choices"),
        languages=("en", "ar"),
        request="options",
        max_new_tokens=24,
        title={"en": "MedArabiQ fill in the blank", "ar": "MedArabiQ إكمال الفراغ"},
        licence="see the repository",
    ),
)
