"""SLAKE (Liu et al. 2021, CC BY 4.0): questions about CT, MRI and X-ray; its English rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.records.schema import Modality, Record, Split

from ._common import exchange
from ._files import Values, json_objects, line
from ._reading import Archive, Reading, Source, SourceInfo, each, files_of

INFO = SourceInfo(
    name="slake",
    licence="CC-BY-4.0",
    languages=("en",),
    tasks=("vqa",),
    splits=("train", "dev", "test"),
    files=("slake/train.json", "slake/validate.json or validation.json", "slake/test.json", "slake/imgs/"),
    notes="English rows; the Chinese ones are counted and left out. The splits share no image.",
    notes_ar="الصفوف الإنجليزية؛ تُعد الصفوف الصينية وتُترك. لا صورة مشتركة بين الأقسام.",
    archives=(Archive(path="slake/imgs.zip", folder="slake/imgs"),),
)
FILES: dict[Split, tuple[str, ...]] = {
    "train": ("slake/train.json",),
    "dev": ("slake/validate.json", "slake/validation.json"),
    "test": ("slake/test.json",),
}
MODALITIES: dict[str, Modality] = {"CT": "ct", "MRI": "mri", "X-Ray": "xray"}


def read(reading: Reading) -> Iterator[Record]:
    """One record a question; ids are the set's own numbers."""
    for split, path in files_of(reading, INFO, FILES):
        yield from each(reading, path, json_objects(reading, path), partial(_make, reading, split, path))


def _make(reading: Reading, split: Split, path: Path, number: int, row: Values) -> list[Record]:
    if row.get("q_lang") == "zh":
        reading.skip("question in Chinese", "سؤال بالصينية")
        return []
    return [
        exchange(
            f"slake:{line(path, number, row, 'qid')}:en",
            line(path, number, row, "question"),
            line(path, number, row, "answer"),
            "en",
            task="vqa",
            modality=MODALITIES.get(str(row.get("modality")), "other"),
            source=INFO.name,
            licence=INFO.licence,
            image=f"slake/imgs/{line(path, number, row, 'img_name')}",
            split=split,
        )
    ]


SOURCES = (Source(INFO, read),)
