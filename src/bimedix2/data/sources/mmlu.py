"""The six medical subjects of MMLU (Hendrycks et al. 2021, MIT)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.records.schema import Record, Split

from ._files import csv_objects, text
from ._mcq import mcq_record, right_option
from ._reading import Reading, Source, SourceInfo, each, missing

SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
INFO = SourceInfo(
    name="mmlu",
    licence="MIT",
    languages=("en",),
    tasks=("mcq",),
    splits=("dev", "test"),
    files=("mmlu/SUBJECT_{dev,val,test}.csv or mmlu/{dev,val,test}/SUBJECT_….csv",),
    notes=f"CSV without header: question, A to D, key. Subjects: {', '.join(SUBJECTS)}. Both dev and val are dev.",
    notes_ar="ملفات CSV بلا ترويسة: السؤال ثم الخيارات A إلى D ثم المفتاح. يعد dev و val كلاهما قسم تطوير.",
)
COLUMNS = ("question", "A", "B", "C", "D", "key")
PARTS: dict[str, Split] = {"dev": "dev", "val": "dev", "test": "test"}


def read(reading: Reading) -> Iterator[Record]:
    """One record a question; ids are subject, part and row number. Subjects that are not there are no error."""
    found: list[tuple[Split, Path]] = []
    for part, split in PARTS.items():
        if split not in reading.splits:
            continue
        for subject in SUBJECTS:
            name = f"{subject}_{part}.csv"
            paths = (reading.root / "mmlu" / name, reading.root / "mmlu" / part / name)
            path = next((path for path in paths if path.exists()), None)
            if path is None:
                reading.absent.append(paths[0])
            else:
                found.append((split, path))
    if not found and not reading.peek:
        raise missing(reading.absent[-1], INFO, reading)
    for split, path in found:
        rows = csv_objects(reading, path, COLUMNS)
        yield from each(reading, path, rows, partial(_make, split, path))


def _make(split: Split, path: Path, number: int, row: dict[str, str]) -> list[Record]:
    options = [" ".join(text(path, number, row, letter).split()) for letter in "ABCD"]
    right = right_option(path, number, row["key"], 4, "key")
    question = text(path, number, row, "question")
    record_id = f"mmlu:{path.stem}-{number}:mcq:en"
    return [mcq_record(record_id, question, options, right, "en", source=INFO.name, licence=INFO.licence, split=split)]


SOURCES = (Source(INFO, read),)
