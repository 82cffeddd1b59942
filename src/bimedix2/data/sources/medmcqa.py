"""MedMCQA (Pal et al. 2022, MIT): questions of Indian entrance exams; some in Arabic too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.records.schema import Record, Split

from ._common import asset
from ._files import Values, json_objects, line
from ._mcq import mcq_record
from ._reading import Option, Reading, Source, SourceInfo, each, missing
from .text_sets import TRANSLATION

INFO = SourceInfo(
    name="medmcqa",
    licence="MIT",
    languages=("en", "ar"),
    tasks=("mcq",),
    splits=("train", "test"),
    files=("medmcqa/train.json", "medmcqa/dev.json"),
    notes="JSON lines. The keys of its own test.json are not published, so dev.json is what everybody tests on and "
    "counts as test here, but for the few items that come in Arabic too and are kept for training.",
    notes_ar="إجابات test.json غير منشورة، فملف dev.json هو ما يختبر به الجميع ويعد هنا قسم اختبار، عدا بنود قليلة "
    "لها ترجمة عربية محجوزة للتدريب.",
    options=(
        Option(
            name="explanations",
            default="no",
            meaning="yes: the set's own explanation below the answer, where it has one",
            meaning_ar="yes: شرح المجموعة تحت الإجابة إن وجد",
        ),
    ),
)
FILES: dict[Split, str] = {"train": "medmcqa/train.json", "test": "medmcqa/dev.json"}


def read(reading: Reading) -> Iterator[Record]:
    """One record a question, two where there is a translation."""
    arabic = {row["id"]: row for row in asset("medmcqa_ar.jsonl")}
    files: list[tuple[Split, Path]] = []
    for split, name in FILES.items():
        path = reading.root / name
        # The items kept for training are in the test file.
        if path.exists() and ({split, "train"} & reading.splits):
            files.append((split, path))
        elif split in reading.splits:
            reading.absent.append(path)
    if not files and not reading.peek:
        raise missing(reading.root / FILES["train"], INFO, reading)
    for split, path in files:
        yield from each(reading, path, json_objects(reading, path), partial(_make, reading, arabic, split, path))


def _make(
    reading: Reading, arabic: dict[str, Values], split: Split, path: Path, number: int, row: Values
) -> list[Record]:
    name = line(path, number, row, "id")
    question = line(path, number, row, "question")
    options = [line(path, number, row, f"op{letter}") for letter in "abcd"]
    key = row.get("cop")
    if not isinstance(key, int) or key not in range(1, 5):
        raise RecordError(path, number, "cop", f"{key!r} is not 1 to 4", "ليس من 1 إلى 4")
    explanation = str(row.get("exp") or "").strip() if reading.flag("explanations") else ""
    base = f"medmcqa:{name}"
    translated = arabic.get(name)
    make = partial(mcq_record, source=INFO.name, licence=INFO.licence)
    if not translated:
        return [make(f"{base}:mcq:en", question, options, key - 1, "en", split=split, explanation=explanation)]
    # Kept for training, hence left out of every evaluation, whichever file they are in.
    own = partial(make, split="train", pair_id=base)
    parent = f"{base}:mcq:en"
    texts = (translated["question"], translated["options"])
    return [
        own(parent, question, options, key - 1, "en", explanation=explanation),
        own(f"{base}:mcq:ar", *texts, key - 1, "ar", parent=parent, steps=(TRANSLATION,)),
    ]


SOURCES = (Source(INFO, read),)
