"""MultiMedEval 1.0.0: the CSV log of a task, ``RUN/TASK.csv``.

Four forms, told apart by the first row: questions about images (header ``correct,predicted,F1,BLEU,recall,…``),
reports (header ``ref,hyp,bleu1,…``), multiple choice (no header: right answer with its text, reply, its letter, the
right letter, True or False) and classification (no header: ``class (index 2)``, ``reply (index 2)``, True or False).
The logs hold neither questions nor the texts of options: choices are read by their letters alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.metrics.choice import LATIN
from bimedix2.evaluate.predictions import PredictionRow, Rows, lines_of
from bimedix2.text import language_of

from ._base import Importer

Cells = list[str]
Make = Callable[[Path, int, Cells], PredictionRow]
_HEADERS = (("correct", "predicted"), ("ref", "hyp"))
_VERDICTS = ("True", "False")
_CLASS = re.compile(r"(.*) \(index (\d+)\)", re.DOTALL)
_REPLY = re.compile(r"(.*) \(index (?:-?\d+|None)\)", re.DOTALL)
_LETTERED = re.compile(r"([A-Ja-j])([:.]) ?(.*)", re.DOTALL)
_WORDS = (("yes", "no", "maybe"), ("entailment", "neutral", "contradiction"))
"""Closed sets of answers that have no letters: PubMedQA's and MedNLI's."""


def read(path: Path) -> Rows:
    """Rows by their number; a header is not counted."""
    rows = _csv_rows(path)
    first = next(rows, (0, []))[1]
    headed = tuple(first[:2]) in _HEADERS
    make = _maker(path, first, headed)
    for number, cells in _csv_rows(path):
        if headed and number == 1:
            continue
        number -= headed
        try:
            yield number, make(path, number, cells)
        except RecordError as error:
            yield number, error


def _csv_rows(path: Path) -> Iterator[tuple[int, Cells]]:
    next(lines_of(path), None)  # says what is wrong with a file that cannot be read
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, cells in enumerate((row for row in csv.reader(file, strict=True) if row), 1):
                yield number, cells
    except (csv.Error, UnicodeDecodeError) as error:
        raise RecordError(path, number + 1, "row", f"not CSV in UTF-8 ({error})", "ليس CSV بترميز UTF-8") from error


def _maker(path: Path, first: Cells, headed: bool) -> Make:
    if headed:
        return _compared
    if len(first) == 5 and first[4] in _VERDICTS:
        return _chosen
    if len(first) == 3 and first[2] in _VERDICTS:
        classes = dict.fromkeys(found[1] for _, row in _csv_rows(path) if (found := _CLASS.fullmatch(row[0])))
        return lambda path, number, cells: _classified(path, number, cells, list(classes))
    problem = "is none of the logs of MultiMedEval 1.0.0"
    raise RecordError(path, 1, "row", problem, "ليس من سجلات MultiMedEval 1.0.0")


def _compared(path: Path, number: int, cells: Cells) -> PredictionRow:
    _check(path, number, cells, 5)
    return PredictionRow(id=number, prediction=cells[1], reference=cells[0])  # empty ones count there too


def _chosen(path: Path, number: int, cells: Cells) -> PredictionRow:
    _check(path, number, cells, 5)
    full = cells[0]
    common: dict[str, Any] = {"id": number, "prediction": cells[1], "language": language_of(full)}
    for words in _WORDS:
        if full.strip().lower() in words:
            return PredictionRow(**common, reference=full.strip().lower(), options={word: word for word in words})
    found = _LETTERED.match(full)
    if not found:
        raise RecordError(path, number, "right answer", "begins with no letter", "لا يبدأ بحرف خيار")
    # MedQA writes "C: text" with five options; MedMCQA "c: Text." and MMLU "C. Text." have four.
    count = 5 if found[1].isupper() and found[2] == ":" else 4
    letter = found[1].upper()
    if letter not in LATIN[:count]:
        raise RecordError(path, number, "right answer", f"{letter} is none of {count} options", "حرف خارج الخيارات")
    return PredictionRow(**common, reference=letter, options=dict.fromkeys(LATIN[:count], ""))


def _classified(path: Path, number: int, cells: Cells, classes: list[str]) -> PredictionRow:
    _check(path, number, cells, 3)
    right, reply = _CLASS.fullmatch(cells[0]), _REPLY.fullmatch(cells[1])
    if not right or not reply:
        problem = "is not `text (index N)`; several classes at once are not supported"
        raise RecordError(path, number, "class", problem, "ليس بالشكل «نص (index N)»")
    return PredictionRow(id=number, prediction=reply[1], reference=right[1], options=classes)


def _check(path: Path, number: int, cells: Cells, least: int) -> None:
    if len(cells) < least:
        raise RecordError(path, number, "row", f"has {len(cells)} cells, not {least}", f"عدد الخلايا {len(cells)}")


IMPORTER = Importer(
    name="multimedeval",
    title="MultiMedEval (1.0.0), TASK.csv",
    recognises=lambda head: head.suffix == ".csv",
    rows=read,
)
