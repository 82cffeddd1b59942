"""BCCD: blood-smear micrographs with Pascal-VOC boxes of three cell types (MIT licence)."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language, Record, Split

from ._common import asset, choose, exchange, existing, phrased, phrases

SOURCE, LICENCE = "bccd", "MIT"
CELLS = ("RBC", "WBC", "Platelets")
FOLDERS: dict[str, Split] = {"train": "train", "val": "dev", "test": "test"}


def read_counts(root: Path, folder: str) -> Iterator[tuple[str, Counter[str]]]:
    """Image path relative to the data root and number of boxes of each cell type."""
    base = existing(root / SOURCE / "BCCD")
    listing = existing(base / "ImageSets" / "Main" / f"{folder}.txt")
    for row, name in enumerate(listing.read_text(encoding="utf-8").split(), start=1):
        path = base / "Annotations" / f"{name}.xml"
        try:
            tree = ElementTree.parse(path)  # noqa: S314 - annotation files of a pinned public set
        except (OSError, ElementTree.ParseError) as error:
            raise RecordError(listing, row, "annotation", f"{path.name} cannot be read ({error})") from error
        counts = Counter(node.findtext("name", "") for node in tree.iter("object"))
        yield f"{SOURCE}/BCCD/JPEGImages/{name}.jpg", counts


def records(root: Path, folder: str = "train") -> Iterator[Record]:
    """Which cells are there and how many, in English and Arabic."""
    names: dict[str, dict[Language, str]] = asset("phrases.json")["cells"]
    for image, counts in read_counts(root, folder):
        item = Path(image).stem
        base = f"{SOURCE}:{item}"
        fields: dict[str, Any] = {
            "modality": "microscopy",
            "source": SOURCE,
            "licence": LICENCE,
            "image": image,
            "split": FOLDERS[folder],
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
