"""Indiana University chest reports (Demner-Fushman et al. 2016): findings to impression, the open stand-in for MIMIC.

The collection's terms allow no derivatives, hence no translation comes with this package; Arabic reads one of the
user's own. Reports that training uses and impressions with a de-identified blank are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.sources._common import asset
from bimedix2.data.sources.text_sets import indiana_in_training
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, json_rows
from ._translated import arabic_texts

NAME = "indiana_summary"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Reports of ``indiana/indiana_dev.json``; ``train`` holds those that the shipped weights were trained on.

    Arabic reads ``indiana_ar/dev.jsonl`` (id, findings, impression) and asks the reports that it has.
    """
    remedy = "Get the MEDIQA 2021 task 3 development file of Indiana reports."
    path = existing(root / "indiana" / "indiana_dev.json", remedy, "احصل على ملف تقارير إنديانا من MEDIQA 2021.")
    instruction = asset("phrases.json")["instruction"][f"impression_{language}"]
    arabic = arabic_texts(root / "indiana_ar" / "dev.jsonl", ("findings", "impression")) if language == "ar" else None

    def make(number: int, row: dict[str, Any]) -> Sample | None:
        study = field(path, number, row, "study_id")
        if not str(row.get("findings", "")).strip():
            return None
        impression = field(path, number, row, "impression")
        if "____" in impression or indiana_in_training(study) != (split == "train"):
            return None
        findings = str(row["findings"]).strip()
        if arabic is not None:
            if study not in arabic:
                return None
            findings, impression = arabic[study]["findings"], arabic[study]["impression"]
        return Sample(
            id=study,
            task=NAME,
            language=language,
            prompt=f"{instruction}\n{findings}",
            question=findings,
            reference=impression,
        )

    yield from each(json_rows(path), make)


TASK = Task(
    name=NAME,
    family="report",
    read=read,
    splits=("test", "train"),
    train_split="train",
    max_new_tokens=96,
    title={"en": "Indiana summarisation", "ar": "تلخيص تقارير إنديانا"},
    licence="Open-i, non-commercial, no derivatives",
    table="6",
)
