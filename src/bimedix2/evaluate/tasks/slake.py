"""SLAKE (Liu et al. 2021, arXiv 2102.09542), its English questions; Arabic where a translation file is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, json_rows, translated, translations

NAME = "slake"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Questions with ``q_lang`` "en" of ``slake/<split>.json``; images are ``slake/imgs/<img_name>``.

    The Hub's copy (BoKelvin/SLAKE) has the same files with ``validate.json`` renamed to ``validation.json``, and the
    images in ``imgs.zip``. Arabic reads ``slake_ar/<split>_ar.json``. A missing image is an error of its sample, not
    of the run.
    """
    path, renamed = root / NAME / f"{split}.json", root / NAME / "validation.json"
    if split == "validate" and renamed.exists() and not path.exists():
        path = renamed
    existing(
        path,
        "Download SLAKE (BoKelvin/SLAKE on the Hub) and unpack it there.",
        "نزل SLAKE (BoKelvin/SLAKE) وفك ضغطه هناك.",
        NAME,
    )
    arabic = translations(root / f"{NAME}_ar" / f"{split}_ar.json") if language == "ar" else None

    def make(number: int, row: dict[str, Any]) -> Sample | None:
        if row.get("q_lang") != "en":
            return None
        question, answer = field(path, number, row, "question"), field(path, number, row, "answer")
        if arabic is not None:
            question = translated(path, number, arabic["questions"], question, "question")
            answer = translated(path, number, arabic["answers"], answer, "answer")
        image = field(path, number, row, "img_name")
        return Sample(
            id=field(path, number, row, "qid"),
            task=NAME,
            language=language,
            prompt=question,
            question=question,
            reference=answer,
            images=(f"{NAME}/imgs/{image}",),
            cluster=image,
            group={
                "answer_type": str(row.get("answer_type", "")).strip().lower(),
                "modality": str(row.get("modality", "")),
                "content_type": str(row.get("content_type", "")),
            },
        )

    yield from each(json_rows(path), make)


TASK = Task(
    name=NAME,
    family="vqa",
    read=read,
    splits=("test", "validate", "train"),
    train_split="train",
    max_new_tokens=48,
    title={"en": "SLAKE", "ar": "SLAKE"},
    licence="CC-BY-4.0",
    hub="BoKelvin/SLAKE",
    hub_files=("*.json", "imgs.zip"),
    table="5",
)
