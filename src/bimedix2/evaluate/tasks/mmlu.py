"""The six medical subjects of MMLU (Hendrycks et al. 2021, arXiv 2009.03300)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._choice import arabic_rows, choice_sample, in_arabic, key_index
from ._files import csv_rows, each, existing, field

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
    """``mmlu/<subject>_<split>.csv`` without header; Arabic ``mmlu_ar/<subject>_<split>.jsonl`` by row number."""
    remedy = "Download the MMLU csv files (cais/mmlu) and put the medical subjects there."
    path = existing(root / "mmlu" / f"{subject}_{split}.csv", remedy, "نزل ملفات MMLU وضع المواد الطبية هناك.")
    translated = root / "mmlu_ar" / f"{subject}_{split}.jsonl"
    arabic = arabic_rows(translated) if language == "ar" else None

    def make(number: int, row: dict[str, str]) -> Sample | None:
        question = field(path, number, row, "question")
        options = [field(path, number, row, letter) for letter in "ABCD"]
        right = key_index(path, number, field(path, number, row, "key"), 4, "key")
        texts = in_arabic(translated, arabic, str(number), question, options)
        return texts and choice_sample(f"mmlu_{subject}", str(number), language, *texts, right)

    yield from each(csv_rows(path, COLUMNS), make)


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
        table="2",
    )
    for subject, (english, arabic) in SUBJECTS.items()
)
