"""ROCOv2 (Rückert et al. 2024): modality and body region of figures, against the concepts checked by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from bimedix2.data.sources._common import label, phrases
from bimedix2.data.sources.rocov2 import LICENCE, MODALITIES, REGIONS, read_figures
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

Fact = Literal["modality", "region"]
CLASSES: dict[Fact, list[str]] = {
    "modality": [name for name, _ in MODALITIES.values()],
    "region": list(REGIONS.values()),
}


def read(root: Path, language: Language, split: str, *, fact: Fact) -> Iterator[Sample]:
    """One fixed question about each figure whose fact was checked."""
    question = phrases(fact, language)[0]
    for figure in read_figures(root, "valid" if split == "dev" else split):
        value = figure.modality if fact == "modality" else figure.region
        if value is not None:
            yield Sample(
                id=figure.id,
                task=f"rocov2_{fact}",
                language=language,
                prompt=question,
                question=question,
                reference=label(value, language),
                images=(figure.image,),
                options=tuple(label(name, language) for name in CLASSES[fact]),
                group={"class": value},
            )


TITLES: dict[Fact, dict[Language, str]] = {
    "modality": {"en": "ROCOv2 modality", "ar": "طريقة التصوير (ROCOv2)"},
    "region": {"en": "ROCOv2 body region", "ar": "منطقة الجسم (ROCOv2)"},
}
TASKS = tuple(
    Task(
        name=f"rocov2_{fact}",
        family="classification",
        read=partial(read, fact=fact),
        splits=("test", "dev", "train"),
        train_split="train",
        max_new_tokens=24,
        title=title,
        licence=LICENCE,
        hub="eltorio/ROCOv2-radiology",
    )
    for fact, title in TITLES.items()
)
