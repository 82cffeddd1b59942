"""PneumoniaMNIST (MedMNIST v2, CC BY 4.0): 28 x 28 chest X-rays, normal or pneumonia."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.records.schema import Language, Record

from ._common import existing, phrased, stable_order

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
        base = f"{SOURCE}:{Path(path).stem.split('_')[1]}"
        fields: dict[str, Any] = {
            "modality": "xray", "source": SOURCE, "licence": LICENCE, "image": path, "task": "classification",
        }  # fmt: skip
        yield from phrased(base, "pneumonia", YES_NO[pneumonia], variants=1, **fields)
        yield from phrased(base, "normal", YES_NO[not pneumonia], variants=1, **fields)
