"""BCCD: blood-smear micrographs with Pascal-VOC boxes of three cell types (MIT licence)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.records import OnError
from bimedix2.records.schema import Language, Record, Split

from ._common import asset, choose, exchange, existing, phrased, phrases
from ._reading import Reading, Source, SourceInfo, each, files_of

SOURCE, LICENCE = "bccd", "MIT"
CELLS = ("RBC", "WBC", "Platelets")
FOLDERS: dict[str, Split] = {"train": "train", "val": "dev", "test": "test"}


def read_counts(root: Path, folder: str, on_error: OnError | None = None) -> Iterator[tuple[str, Counter[str]]]:
    """Image path relative to the data root and number of boxes of each cell type.

    Args:
        root: data root that holds ``bccd/``.
        folder: ``train``, ``val`` or ``test``.
        on_error: takes the error of each image whose boxes cannot be read; ``None`` raises the first.
    """
    base = existing(root / SOURCE / "BCCD")
    listing = existing(base / "ImageSets" / "Main" / f"{folder}.txt")
    for row, name in enumerate(listing.read_text(encoding="utf-8").split(), start=1):
        path = base / "Annotations" / f"{name}.xml"
        try:
            tree = ElementTree.parse(path)  # noqa: S314 - annotation files of a pinned public set
        except (OSError, ElementTree.ParseError) as error:
            problem = f"{path.name} cannot be read ({error})"
            fault = RecordError(listing, row, "annotation", problem, f"تعذرت قراءة {path.name}")
            if on_error is None:
                raise fault from error
            on_error(fault)
            continue
        counts = Counter(node.findtext("name", "") for node in tree.iter("object"))
        yield f"{SOURCE}/BCCD/JPEGImages/{name}.jpg", counts


def records(root: Path, folder: str = "train") -> Iterator[Record]:
    """Which cells are there and how many, in English and Arabic."""
    for image, counts in read_counts(root, folder):
        yield from _about(image, counts, FOLDERS[folder])


def _about(image: str, counts: Counter[str], split: Split) -> Iterator[Record]:
    names: dict[str, dict[Language, str]] = asset("phrases.json")["cells"]
    item = Path(image).stem
    base = f"{SOURCE}:{item}"
    fields: dict[str, Any] = {
        "modality": "microscopy",
        "source": SOURCE,
        "licence": LICENCE,
        "image": image,
        "split": split,
    }
    present = [cell for cell in CELLS if counts[cell]]
    answers: dict[Language, str] = {
        "en": ", ".join(names[cell]["en"] for cell in present).capitalize(),
        "ar": "، ".join(names[cell]["ar"] for cell in present),
    }
    yield from phrased(base, "cells_present", answers, variants=1, task="vqa", **fields)
    microscopy: dict[Language, str] = {
        "en": "Microscopy",
        "ar": asset("phrases.json")["labels"]["microscopy"],
    }
    yield from phrased(base, "modality", microscopy, variants=1, task="classification", **fields)
    cell = choose([c for c in CELLS if c != "RBC"], base)[0]
    for language in names[cell]:
        question = choose(phrases("cell_count", language), base)[0].replace("{cell}", names[cell][language])
        yield exchange(
            f"{base}:count:{language}", question, str(counts[cell]), language,
            task="vqa", pair_id=f"{base}:count", **fields,
        )  # fmt: skip


INFO = SourceInfo(
    name=SOURCE,
    licence=LICENCE,
    languages=("en", "ar"),
    tasks=("vqa", "classification"),
    splits=("train", "dev", "test"),
    files=("bccd/BCCD/ImageSets/Main/{train,val,test}.txt", "bccd/BCCD/Annotations/", "bccd/BCCD/JPEGImages/"),
    notes="Facts from the boxes, asked in phrases of our own in both languages: which cells, how many, which modality.",
    notes_ar="حقائق من مربعات الخلايا بأسئلة من عندنا باللغتين: أي الخلايا وعددها ونوع الصورة.",
)


def read(reading: Reading) -> Iterator[Record]:
    """Six records an image."""
    parts = {split: folder for folder, split in FOLDERS.items()}
    listings = {split: (f"bccd/BCCD/ImageSets/Main/{folder}.txt",) for split, folder in parts.items()}
    for split, path in files_of(reading, INFO, listings):
        images = enumerate(read_counts(reading.root, parts[split], reading.refuse), start=1)
        yield from each(reading, path, images, partial(_make, split))


def _make(split: Split, _: int, item: tuple[str, Counter[str]]) -> Iterator[Record]:
    return _about(*item, split)


SOURCES = (Source(INFO, read),)
