"""MeQSum (Ben Abacha and Demner-Fushman 2019, CC BY 4.0): consumer health questions and one-line summaries."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import ParseError

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language, Record

from ._common import asset, exchange
from ._files import Values
from ._reading import Reading, Source, SourceInfo, each, files_of
from .text_sets import TRANSLATION, read_sheet

INFO = SourceInfo(
    name="meqsum",
    licence="CC-BY-4.0",
    languages=("en", "ar"),
    tasks=("summarization",),
    splits=("train",),
    files=("meqsum/MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx",),
    notes="The spreadsheet as published; ids are row numbers. A few rows come in Arabic too. No official split.",
    notes_ar="الجدول كما نشر؛ المعرفات أرقام الصفوف. لبعض الصفوف ترجمة عربية. لا تقسيم رسمي.",
)


def read(reading: Reading) -> Iterator[Record]:
    """One record a question, two where there is a translation."""
    arabic: dict[int, Values] = {row["row"]: row for row in asset("meqsum_ar.jsonl")}
    for _, path in files_of(reading, INFO, {"train": (INFO.files[0], "meqsum/*.xlsx")}):
        yield from each(reading, path, enumerate(_rows(path), start=1), partial(_make, arabic, path))


def _rows(path: Path) -> list[list[str]]:
    """Cells of the rows below the header; the sheet has a thousand, so it is read at once."""
    try:
        return read_sheet(path)[1:]
    except (zipfile.BadZipFile, KeyError, EOFError, ParseError, ValueError, IndexError) as error:
        problem = f"is no whole .xlsx ({error}); get it again"
        raise RecordError(path, 0, "file", problem, "ليس ملف xlsx كاملا؛ نزله من جديد") from error


def _make(arabic: dict[int, Values], path: Path, number: int, cells: list[str]) -> list[Record]:
    if len(cells) < 3 or not all(cell.strip() for cell in cells[1:3]):
        raise RecordError(path, number, "CHQ, Summary", "a cell is empty", "خلية فارغة")
    question, summary = (" ".join(cell.split()) for cell in cells[1:3])
    made = [_record(number, "en", question, summary, paired=number in arabic)]
    if number in arabic:
        made.append(_record(number, "ar", arabic[number]["question"], arabic[number]["summary"], paired=True))
    return made


def _record(number: int, language: Language, question: str, summary: str, *, paired: bool) -> Record:
    return exchange(
        f"meqsum:{number}:summary:{language}",
        f"{asset('phrases.json')['instruction'][f'summary_{language}']}\n{question}",
        summary,
        language,
        task="summarization",
        modality="text",
        source=INFO.name,
        licence=INFO.licence,
        pair_id=f"meqsum:{number}" if paired else None,
        parent=f"meqsum:{number}:summary:en" if language == "ar" else None,
        steps=(TRANSLATION,) if language == "ar" else (),
    )


SOURCES = (Source(INFO, read),)
