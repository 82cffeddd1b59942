"""PathVQA (He et al. 2020, arXiv 2003.10286): questions about pathology images.

Reads the Parquet files of ``flaviagiammarino/path-vqa`` (columns image, question, answer) below
``path_vqa/data/``. The original release is a Python pickle, which is never loaded: it could run code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import existing, shards, translations
from ._parquet_vqa import read_parquet_vqa

NAME = "path_vqa"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Questions of one split; Arabic reads ``path_vqa_ar/<split>_ar.json``.

    Image bytes lie inside the Parquet files; they are copied to the cache once, named by their hash, and
    ``Sample.images`` holds absolute paths.
    """
    remedy = "Download flaviagiammarino/path-vqa from the Hub to path_vqa/."
    folder = existing(root / NAME / "data", remedy, "نزل flaviagiammarino/path-vqa إلى المجلد path_vqa.", NAME)
    files = shards(folder, split)
    if not files:
        raise RecordError(folder, 0, "file", f"no {split}-*.parquet. {remedy}", f"لا يوجد ملف {split}-*.parquet")
    arabic = translations(root / f"{NAME}_ar" / f"{split}_ar.json") if language == "ar" else None
    yield from read_parquet_vqa(NAME, files, split, language, arabic)


TASK = Task(
    name=NAME,
    family="vqa",
    read=read,
    splits=("test", "validation", "train"),
    train_split="train",
    max_new_tokens=48,
    title={"en": "PathVQA", "ar": "PathVQA"},
    licence="MIT",
    hub="flaviagiammarino/path-vqa",
    table="5",
)
