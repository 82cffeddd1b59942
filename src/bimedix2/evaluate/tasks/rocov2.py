"""ROCOv2 (Rückert et al. 2024): modality and body region of figures, against the concepts checked by hand.

The original release says which concepts those are (``<split>_concepts_manual.csv``). The Parquet files of
``eltorio/ROCOv2-radiology`` (columns image, image_id, caption, cui; its dataset card) give one list a figure with
the concepts found in the caption mixed in. Checked by hand are the modality and, for X-rays alone, the region, and
they stand first, so modality is read from the list and region for X-rays only: on 800 figures of the release,
where both lists are known, modality then agrees in 797 and region in 798; the others gain one from the caption.
That the Hub's lists keep the order of ``<split>_concepts.csv`` could not be checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bimedix2.data.sources._common import label, phrases
from bimedix2.data.sources.rocov2 import LICENCE, MODALITIES, REGIONS, SOURCE, Figure, figure_of, read_figures
from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each_shard, existing, field, shards
from ._parquet_vqa import cached_image

Fact = Literal["modality", "region"]
CLASSES: dict[Fact, list[str]] = {
    "modality": [name for name, _ in MODALITIES.values()],
    "region": list(REGIONS.values()),
}


def read(root: Path, language: Language, split: str, *, fact: Fact) -> Iterator[Sample | RecordError]:
    """One fixed question about each figure whose fact was checked."""
    folder = "valid" if split == "dev" else split
    files = shards(root / SOURCE / "data", "validation" if split == "dev" else split)
    if files and not any(root.glob(f"{SOURCE}/*{folder}_captions.csv")):
        yield from each_shard(files, partial(_from_hub, language=language, fact=fact, folder=folder))
        return
    existing(
        root / SOURCE,
        "Download ROCOv2 from zenodo.org/records/10821435 and unpack its images there.",
        "نزل ROCOv2 من zenodo.org/records/10821435 وفك ضغط صوره هناك.",
        f"rocov2_{fact}",
    )
    for figure in read_figures(root, folder):
        sample = _sample(figure, language, fact)
        if sample is not None:
            yield sample


def _from_hub(
    path: Path, number: int, place: int, row: dict[str, Any], *, language: Language, fact: Fact, folder: str
) -> Sample | None:
    codes = row.get("cui")
    if not isinstance(codes, list):
        raise RecordError(path, number, "cui", "is not a list of concepts", "ليس قائمة مفاهيم")
    figure = figure_of(field(path, number, row, "image_id"), "", str(row.get("caption") or ""), codes, folder)
    if figure.modality != "X-ray":
        figure = figure._replace(region=None)
    if (figure.modality if fact == "modality" else figure.region) is None:
        return None
    return _sample(figure._replace(image=str(cached_image(SOURCE, path, number, row))), language, fact)


def _sample(figure: Figure, language: Language, fact: Fact) -> Sample | None:
    value = figure.modality if fact == "modality" else figure.region
    if value is None:
        return None
    question = phrases(fact, language)[0]
    return Sample(
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
        hub_files=("data/*.parquet",),
        folder=SOURCE,
    )
    for fact, title in TITLES.items()
)
