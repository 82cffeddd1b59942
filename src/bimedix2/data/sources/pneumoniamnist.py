"""PneumoniaMNIST (MedMNIST v2, CC BY 4.0): 28 x 28 chest X-rays, normal or pneumonia."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bimedix2.errors import ConfigError, RecordError
from bimedix2.records.schema import Language, Record, Split

from ._common import existing, phrased, stable_order
from ._pictures import written_picture
from ._reading import Option, Reading, Source, SourceInfo, each, files_of

SOURCE, LICENCE = "pneumoniamnist", "CC-BY-4.0"
YES_NO: dict[bool, dict[Language, str]] = {True: {"en": "Yes", "ar": "نعم"}, False: {"en": "No", "ar": "لا"}}


def export_images(root: Path, folder: Path, per_class: int) -> list[tuple[str, bool]]:
    """Write a balanced choice of training images as PNG and return (absolute path, has pneumonia).

    Args:
        root: data root that holds ``pneumoniamnist/``.
        folder: where the PNG files go; existing ones are kept.
        per_class: images of each class, chosen by hash.
    """
    import numpy as np
    from PIL import Image

    with np.load(existing(root / SOURCE / "pneumoniamnist.npz"), allow_pickle=False) as arrays:
        images, labels = arrays["train_images"], arrays["train_labels"].reshape(-1)
    folder.mkdir(parents=True, exist_ok=True)
    chosen: list[tuple[str, bool]] = []
    for value in (0, 1):
        names = stable_order(str(index) for index in np.flatnonzero(labels == value))[:per_class]
        for name in names:
            path = folder / f"pneumoniamnist_{name}.png"
            if not path.exists():
                Image.fromarray(images[int(name)]).save(path)
            chosen.append((str(path), bool(value)))
    return chosen


def records(root: Path, folder: Path, per_class: int = 75) -> Iterator[Record]:
    """Is there pneumonia, does the film look normal: both languages."""
    for path, pneumonia in export_images(root, folder, per_class):
        yield from _about(f"{SOURCE}:{Path(path).stem.split('_')[1]}", path, pneumonia)


def _about(base: str, image: str, pneumonia: bool, split: Split = "train") -> Iterator[Record]:
    fields: dict[str, Any] = {
        "modality": "xray", "source": SOURCE, "licence": LICENCE, "image": image, "task": "classification",
        "split": split,
    }  # fmt: skip
    yield from phrased(base, "pneumonia", YES_NO[pneumonia], variants=1, **fields)
    yield from phrased(base, "normal", YES_NO[not pneumonia], variants=1, **fields)


INFO = SourceInfo(
    name=SOURCE,
    licence=LICENCE,
    languages=("en", "ar"),
    tasks=("classification",),
    splits=("train", "dev", "test"),
    files=("pneumoniamnist/pneumoniamnist.npz",),
    notes="Pictures of 28 x 28 lie in the array file and are written to --pictures.",
    notes_ar="الصور (28 × 28) داخل ملف المصفوفات وتكتب في مجلد --pictures.",
    options=(
        Option(
            name="per_class",
            default="all",
            meaning="of the training images so many with and without pneumonia, chosen by hash",
            meaning_ar="من صور التدريب هذا العدد مع الالتهاب ومثله دونه، باختيار ثابت",
        ),
    ),
)
PARTS: dict[str, Split] = {"train": "train", "val": "dev", "test": "test"}


def read(reading: Reading) -> Iterator[Record]:
    """Four records an image."""
    both: dict[Split, tuple[str, ...]] = dict.fromkeys(sorted(reading.splits), INFO.files)
    for _, path in files_of(reading, INFO, both)[:1]:
        for part, split in PARTS.items():
            if split in reading.splits:
                make = partial(_make, reading, path, part, split)
                rows = _arrays(path, part)
                yield from each(reading, path, _chosen(reading, rows) if part == "train" else rows, make)


def _chosen(reading: Reading, rows: Iterator[tuple[int, tuple[Any, int]]]) -> Iterator[tuple[int, tuple[Any, int]]]:
    """The rows that ``per_class`` takes; names in the hash are places from 0."""
    wanted = reading.options["per_class"]
    if wanted == "all":
        yield from rows
        return
    if not wanted.isdecimal():
        raise ConfigError(
            f"--set per_class={wanted}: must be all or a number.", f"--set per_class={wanted}: القيمة all أو عدد."
        )
    found = list(rows)
    taken: set[str] = set()
    for value in (0, 1):
        taken.update(stable_order(str(row - 1) for row, (_, label) in found if label == value)[: int(wanted)])
    yield from (item for item in found if str(item[0] - 1) in taken)


def _arrays(path: Path, part: str) -> Iterator[tuple[int, tuple[Any, int]]]:
    """(row from 1, (28 x 28 pixels, label)) of one part.

    Raises:
        RecordError: the file is cut off, or has no such arrays.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"].reshape(-1)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        problem = f"cannot be read ({error}); get it again"
        raise RecordError(path, 0, f"{part}_images", problem, "تعذرت قراءته؛ نزله من جديد") from error
    yield from enumerate(zip(images, labels.tolist(), strict=True), start=1)


def _make(
    reading: Reading, path: Path, part: str, split: Split, number: int, item: tuple[Any, int]
) -> Iterator[Record]:
    from PIL import Image

    pixels, label = item
    if label not in (0, 1):
        raise RecordError(path, number, f"{part}_labels", f"{label!r} is not 0 or 1", "ليس 0 أو 1")
    name = str(number - 1) if part == "train" else f"{part}-{number - 1}"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    place = (path, number, f"{part}_images")
    image = written_picture(reading, f"{SOURCE}/{SOURCE}_{name}", buffer.getvalue(), place)
    yield from _about(f"{SOURCE}:{name}", image, bool(label), split)


SOURCES = (Source(INFO, read),)
