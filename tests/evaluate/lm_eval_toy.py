"""A multiple-choice task in both languages, small enough for a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.evaluate.tasks._choice import choice_sample
from bimedix2.records.schema import Language

WORDS = {
    "en": ("lung", "left", "clear", "chest", "shown", "CT"),
    "ar": ("الرئة", "اليسرى", "سليمة", "الصدر", "يظهر", "نعم"),
}
ITEMS = 25


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Items of two to five options (every fifth with yes, no or maybe as its own labels), and one bad row."""
    words = WORDS[language]
    yield RecordError(root / "toy.csv", 1, "key", "broken on purpose", "معطوب عمدا")
    for number in range(ITEMS):
        options = [words[(number + i) % 6] for i in range(2 + number % 4)]
        question = f"{words[number % 6]} {number}?"
        sample = choice_sample("toy", f"q{number}", language, question, options, number % len(options))
        yield sample if number % 5 else labelled_by_words(sample)


def labelled_by_words(sample: Sample) -> Sample:
    labels = ("yes", "no", "maybe") if sample.language == "en" else ("نعم", "لا", "ربما")
    return Sample(
        id=sample.id, task="toy", language=sample.language, prompt=f"{sample.question}\n{{{{x}}}} %",
        question=sample.question, reference=labels[1], options=labels, letters=labels,
    )  # fmt: skip


TOY = Task("toy", "choice", read, request="options", title={"en": "Toy", "ar": "لعبة"}, licence="CC0-1.0")
