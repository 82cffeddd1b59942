"""Records and pictures for the tests of decontamination."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bimedix2.data.decontaminate.run import DecontaminateSettings, decontaminate, offences_path, report_path
from bimedix2.records import ImageRef, Record, Turn, write_records

VIGNETTE = (
    "A 54-year-old man comes to the clinic because of crushing chest pain that began two hours ago while he was "
    "shovelling snow in front of his house."
)
VIGNETTE_AR = (
    "يراجع رجل عمره 54 عاما العيادة بسبب ألم ضاغط في الصدر بدأ قبل ساعتين بينما كان يجرف الثلج أمام منزله "
    "في الصباح الباكر"
)


def made(record_id: str, question: str, answer: str = "Yes", language: str = "en", **fields: Any) -> Record:
    """One question and one answer."""
    images = tuple(ImageRef(path=path) for path in fields.pop("paths", ()))
    return Record(
        id=record_id,
        turns=(
            Turn(role="user", text=question, language=language, images=tuple(range(len(images)))),
            Turn(role="assistant", text=answer, language=language),
        ),
        images=images,
        **({"task": "qa", "modality": "text", "source": record_id.split(":")[0], "licence": "MIT"} | fields),
    )


def drawing(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """A smooth random picture: shapes of many scales, as in a photograph or a film."""
    generator = np.random.default_rng(seed)
    total = np.zeros(size[::-1])
    for cells in (3, 6, 12, 24):
        field = Image.fromarray(generator.normal(size=(cells, cells)).astype(np.float32))
        total += np.asarray(field.resize(size, Image.Resampling.BICUBIC)) / cells**0.5
    low, high = total.min(), total.max()
    return Image.fromarray((20 + 215 * (total - low) / (high - low)).astype(np.uint8)).convert("RGB")


def saved(image: Image.Image, path: Path, **options: Any) -> str:
    """Name of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path.name


CLEAN = [
    made("own:1", "A 30-year-old woman has had a rash on both of her cheeks since last summer and now has joint pain."),
    made("own:2", "يشكو طفل عمره ثلاث سنوات من سعال ديكي وبحة في الصوت منذ يومين مع حمى خفيفة", language="ar"),
    made("own:3", "What is asthma?", "A chronic disease of the airways"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))


def written(path: Path, records: list[Record]) -> Path:
    write_records(path, records)
    return path


def found(tmp_path: Path, mix: list[Record], tests: list[Record], **options: object) -> dict[str, tuple[str, str]]:
    """Record -> (reason, test item) of its surest offence."""
    settings = DecontaminateSettings(
        tests=(written(tmp_path / "test.jsonl", tests),), use_shipped=False, data=tmp_path, drop=True, **options
    )
    decontaminate(written(tmp_path / "mix.jsonl", mix), tmp_path / "out.jsonl", settings)
    rows = [json.loads(line) for line in offences_path(report_path(tmp_path / "out.jsonl")).open(encoding="utf-8")]
    first: dict[str, tuple[str, str]] = {}
    for row in rows:
        first.setdefault(row["id"], (row["reason"], row["test_id"]))
    return first
