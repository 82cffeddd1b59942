"""VQA-RAD (Lau et al. 2018): questions of clinicians about radiology images.

``dev_question`` and ``dev_image`` are held out of the official training file (:mod:`bimedix2.data.splits`);
``test`` reads the official ``testset.json`` where the user has it.

Without the original files ``test`` and ``train`` read the Parquet files of ``flaviagiammarino/vqa-rad``. By its
``scripts/processing.py`` the Hub's copy has the same 451 test items, and 1,793 training items because repeated
ones were dropped (``train`` there still has what the development splits hold out). It writes questions and answers
in lower case and leaves out qid, image name, organ and answer type. So ids are row numbers, and the answer type is
derived: closed if the answer is exactly yes or no. The original also calls some choices closed ("left or right?"):
110 of the 1,823 closed questions of its training file, which count as open here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.sources.vqa_rad import split_rows
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, json_rows, shards, translated, translations
from ._parquet_vqa import read_parquet_vqa

NAME = "vqa_rad"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Questions of one split; the Arabic ones are translations of the same items."""
    original = root / NAME / ("testset.json" if split == "test" else "trainset.json")
    files = shards(root / NAME / "data", split) if split in ("test", "train") else []
    if files and not original.exists():
        arabic = _hub_tables(root / f"{NAME}_ar" / f"{split}_ar.json") if language == "ar" else None
        yield from read_parquet_vqa(NAME, files, split, language, arabic)
        return
    if split == "test":
        yield from _official_test(root, language)
        return
    for row in split_rows(root)[split]:  # type: ignore[index]
        yield _sample(
            str(row.qid),
            language,
            row.question if language == "en" else row.question_ar,
            row.answer if language == "en" else row.answer_ar,
            row.image,
            row.answer_type,
            row.organ,
        )


def _official_test(root: Path, language: Language) -> Iterator[Sample | RecordError]:
    path = existing(
        root / NAME / "testset.json",
        "Download VQA-RAD from osf.io/89kps and put its test questions there, or use --split dev_question.",
        "نزل VQA-RAD من osf.io/89kps وضع أسئلة الاختبار هناك، أو استخدم --split dev_question.",
        NAME,
    )
    arabic = translations(root / f"{NAME}_ar" / "test_ar.json") if language == "ar" else None

    def make(number: int, row: dict[str, Any]) -> Sample:
        question, answer = field(path, number, row, "question"), field(path, number, row, "answer")
        if arabic is not None:
            question = translated(path, number, arabic["questions"], question, "question")
            answer = translated(path, number, arabic["answers"], answer, "answer")
        return _sample(
            field(path, number, row, "qid"),
            language,
            question,
            answer,
            field(path, number, row, "image_name"),
            str(row.get("answer_type", "")).strip().lower(),
            str(row.get("image_organ", "")),
        )

    yield from each(json_rows(path), make)


def _hub_tables(path: Path) -> dict[str, dict[str, str]]:
    """Translation tables with their English side as the Hub's copy writes it."""
    return {
        name: {_hub_form(text): arabic for text, arabic in table.items()} for name, table in translations(path).items()
    }


def _hub_form(text: str) -> str:
    return " ".join(text.lower().split()).replace(" ?", "?")


def _sample(
    qid: str, language: Language, question: str, answer: str, image: str, answer_type: str, organ: str
) -> Sample:
    return Sample(
        id=qid,
        task=NAME,
        language=language,
        prompt=question,
        question=question,
        reference=answer,
        images=(f"{NAME}/images/{image}",),
        cluster=image,
        group={"answer_type": answer_type, "organ": organ.lower()},
    )


TASK = Task(
    name=NAME,
    family="vqa",
    read=read,
    splits=("test", "dev_question", "dev_image", "train"),
    train_split="train",
    max_new_tokens=48,
    title={"en": "VQA-RAD", "ar": "VQA-RAD"},
    licence="CC0-1.0",
    hub="flaviagiammarino/vqa-rad",
    table="5",
)
