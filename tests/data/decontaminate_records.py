"""Records and pictures for the tests of decontamination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.records import ImageRef, Record, Turn

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
