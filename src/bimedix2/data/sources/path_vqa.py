"""PathVQA (He et al. 2020, MIT): questions about pathology images, from the Hub's Parquet files.

The original release keeps its questions in Python pickles, which are never loaded: they could run code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.records.schema import Record, Split

from ._common import exchange
from ._files import Values, line, parquet_objects
from ._pictures import written_picture
from ._reading import Reading, Source, SourceInfo, each, files_of

INFO = SourceInfo(
    name="path_vqa",
    licence="MIT",
    languages=("en",),
    tasks=("vqa",),
    splits=("train", "dev", "test"),
    files=("path_vqa/data/{train,validation,test}-*.parquet of flaviagiammarino/path-vqa",),
    notes="Pictures lie in the Parquet files and are written to --pictures, each once, named by its hash. Ids are "
    "split and row number.",
    notes_ar="الصور داخل ملفات Parquet وتكتب في مجلد --pictures، كل منها مرة واحدة باسم بصمتها.",
)
FILES: dict[Split, tuple[str, ...]] = {
    "train": ("path_vqa/data/train-*.parquet",),
    "dev": ("path_vqa/data/validation-*.parquet",),
    "test": ("path_vqa/data/test-*.parquet",),
}


def read(reading: Reading) -> Iterator[Record]:
    """One record a question."""
    for split, path in files_of(reading, INFO, FILES):
        yield from each(reading, path, parquet_objects(path), partial(_make, reading, split, path))


def _make(reading: Reading, split: Split, path: Path, number: int, row: Values) -> list[Record]:
    question, answer = line(path, number, row, "question"), line(path, number, row, "answer")
    content = (row.get("image") or {}).get("bytes")
    if not content:
        raise RecordError(path, number, "image", "holds no bytes", "لا تحتوي على بيانات صورة")
    name = f"path_vqa/{hashlib.sha256(content).hexdigest()[:32]}"
    return [
        exchange(
            # The shard's number keeps ids unique over the files of a split.
            f"path_vqa:{split}-{path.stem.split('-')[1]}-{number}:en",
            question,
            answer,
            "en",
            task="vqa",
            modality="microscopy",
            source=INFO.name,
            licence=INFO.licence,
            image=written_picture(reading, name, content, (path, number, "image")),
            split=split,
        )
    ]


SOURCES = (Source(INFO, read),)
