"""PathVQA (He et al. 2020, arXiv 2003.10286): questions about pathology images.

Reads the Parquet files of ``flaviagiammarino/path-vqa`` (columns image, question, answer) below
``path_vqa/data/``. The original release is a Python pickle, which is never loaded: it could run code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.cache import cache_root
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, parquet_rows, translated, translations

NAME = "path_vqa"


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Questions of one split; Arabic reads ``path_vqa_ar/<split>_ar.json``.

    Image bytes lie inside the Parquet files; they are copied to the cache once, named by their hash, and
    ``Sample.images`` holds absolute paths.
    """
    import pyarrow.parquet as pq

    remedy = "Download flaviagiammarino/path-vqa from the Hub to path_vqa/."
    folder = existing(root / NAME / "data", remedy, "نزل flaviagiammarino/path-vqa إلى المجلد path_vqa.")
    files = sorted(folder.glob(f"{split}-*.parquet"))
    if not files:
        raise RecordError(folder, 0, "file", f"no {split}-*.parquet. {remedy}", f"لا يوجد ملف {split}-*.parquet")
    arabic = translations(root / f"{NAME}_ar" / f"{split}_ar.json") if language == "ar" else None
    place = 0
    for path in files:
        # One running number over all files makes the ids.
        yield from each(
            parquet_rows(path),
            lambda number, row, path=path, start=place: _sample(  # type: ignore[misc]
                path, number, row, f"{split}-{start + number}", language, arabic
            ),
        )
        place += pq.ParquetFile(path).metadata.num_rows


def _sample(path: Path, number: int, row: dict[str, Any], name: str, language: Language, arabic: Any) -> Sample:
    question, answer = field(path, number, row, "question"), field(path, number, row, "answer")
    closed = answer.lower() in ("yes", "no")
    if arabic is not None:
        question = translated(path, number, arabic["questions"], question, "question")
        answer = translated(path, number, arabic["answers"], answer, "answer")
    content = (row.get("image") or {}).get("bytes")
    if not content:
        raise RecordError(path, number, "image", "holds no bytes", "لا يحتوي على بيانات صورة")
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Sample(
        id=name,
        task=NAME,
        language=language,
        prompt=question,
        question=question,
        reference=answer,
        images=(str(_cached(digest, content)),),
        cluster=digest,
        group={"answer_type": "closed" if closed else "open"},
    )


def _cached(digest: str, content: bytes) -> Path:
    path = cache_root() / "path_vqa" / digest
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".partial")
        scratch.write_bytes(content)
        scratch.replace(path)
    return path


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
