"""ROCOv2: radiology figures with captions and checked UMLS concepts (Rückert et al. 2024)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from bimedix2.records.schema import Language, Modality, Record, Split, Step

from ._common import asset, choose, exchange, existing, label, phrased, phrases
from ._files import csv_objects, line
from ._reading import Reading, Source, SourceInfo, each, files_of

SOURCE, LICENCE = "rocov2", "CC-BY-4.0"
TRANSLATION = Step(name="translate", tool="large language model", date="2026-11", note="not verified by a clinician")
MODALITIES: dict[str, tuple[str, Modality]] = {
    "C0040405": ("CT", "ct"),
    "C1306645": ("X-ray", "xray"),
    "C0024485": ("MRI", "mri"),
    "C0041618": ("ultrasound", "ultrasound"),
    "C0002978": ("angiography", "angiography"),
    "C0032743": ("PET", "pet"),
}
REGIONS = {
    "C0817096": "chest",
    "C0037303": "skull",
    "C0023216": "lower extremity",
    "C0030797": "pelvis",
    "C0000726": "abdomen",
    "C1140618": "upper extremity",
    "C0037949": "spine",
}
VIEWS = {"C1999039": "antero-posterior", "C1996865": "postero-anterior", "C0205129": "lateral"}
FOLDERS: dict[str, Split] = {"train": "train", "valid": "dev", "test": "test"}


class Figure(NamedTuple):
    """One figure: its id, image path relative to the data root, caption and checked facts."""

    id: str
    image: str
    caption: str
    modality: str | None
    region: str | None
    view: str | None
    split: Split


def read_figures(root: Path, folder: str) -> Iterator[Figure]:
    """Figures of one official split.

    Args:
        root: data root that holds ``rocov2/``.
        folder: ``train``, ``valid`` or ``test``.
    """
    base = existing(root / SOURCE)
    # The release's own names; a sample of it has them with "sample_" in front.
    prefix = "" if (base / f"{folder}_captions.csv").exists() else "sample_"
    concepts = _rows(base / f"{prefix}{folder}_concepts_manual.csv", "CUIs")
    for figure, caption in _rows(base / f"{prefix}{folder}_captions.csv", "Caption").items():
        codes = concepts.get(figure, "").split(";")
        yield figure_of(figure, f"{SOURCE}/{folder}/{figure}.jpg", caption, codes, folder)


def figure_of(name: str, image: str, caption: str, codes: Sequence[str], folder: str) -> Figure:
    """A figure with the facts that its UMLS concepts state; of several modalities or regions the first counts."""
    return Figure(
        name,
        image,
        " ".join(caption.split()),
        next((MODALITIES[code][0] for code in codes if code in MODALITIES), None),
        next((REGIONS[code] for code in codes if code in REGIONS), None),
        next((VIEWS[code] for code in codes if code in VIEWS), None),
        FOLDERS[folder],
    )


def _rows(path: Path, field: str) -> dict[str, str]:
    with existing(path).open(encoding="utf-8-sig", newline="") as file:
        return {row["ID"]: row[field] for row in csv.DictReader(file)}


def records(root: Path, folder: str = "train") -> Iterator[Record]:
    """Captions and checked facts of each figure, in English and Arabic."""
    for figure in read_figures(root, folder):
        yield from _about(figure, _arabic())


@cache
def _arabic() -> dict[str, str]:
    return {row["id"]: row["ar"] for row in asset("rocov2_captions_ar.jsonl")}


def _about(figure: Figure, arabic: dict[str, str]) -> Iterator[Record]:
    modality = next((m for name, m in MODALITIES.values() if name == figure.modality), "other")
    fields: dict[str, Any] = {
        "modality": modality,
        "source": SOURCE,
        "licence": LICENCE,
        "image": figure.image,
        "split": figure.split,
    }
    base = f"{SOURCE}:{figure.id}"
    captions: dict[Language, str] = {"en": figure.caption}
    if figure.id in arabic:
        captions["ar"] = arabic[figure.id]
    for language, caption in captions.items():
        yield exchange(
            f"{base}:caption:{language}",
            choose(phrases("caption", language), f"{base}:{language}")[0],
            caption,
            language,
            task="caption",
            pair_id=f"{base}:caption",
            parent=f"{base}:caption:en" if language == "ar" else None,
            steps=(TRANSLATION,) if language == "ar" else (),
            **fields,
        )
    view = figure.view if figure.modality == "X-ray" else None  # the same codes mean planes elsewhere
    for fact, value in (("modality", figure.modality), ("region", figure.region), ("view", view)):
        if value:
            answers: dict[Language, str] = {"en": _sentence(value), "ar": label(value, "ar")}
            yield from phrased(base, fact, answers, task="classification", **fields)
    yield from _closed(figure, base, fields)


def _closed(figure: Figure, base: str, fields: dict[str, Any]) -> Iterator[Record]:
    """As many "yes" as "no": the checked fact, and another value of it, so that the question alone tells nothing."""
    kinds = (
        ("modality", figure.modality, [name for name, _ in MODALITIES.values()]),
        ("region", figure.region, list(REGIONS.values())),
    )
    for fact, value, names in kinds:
        if value is None:
            continue
        other = choose([name for name in names if name != value], f"{base}:not {fact}")[0]
        for asked, answers in ((value, {"en": "Yes", "ar": "نعم"}), (other, {"en": "No", "ar": "لا"})):
            answer = answers["en"].lower()
            languages: tuple[Language, ...] = ("en", "ar")
            for language in languages:
                question = choose(phrases(f"is_{fact}", language), f"{base}:{fact}:{asked}:{language}")[0]
                yield exchange(
                    f"{base}:is_{fact}:{answer}:{language}",
                    question.replace("{value}", label(asked, language)),
                    answers[language],
                    language,
                    task="vqa",
                    pair_id=f"{base}:is_{fact}:{answer}",
                    **fields,
                )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


INFO = SourceInfo(
    name=SOURCE,
    licence=LICENCE,
    languages=("en", "ar"),
    tasks=("caption", "classification", "vqa"),
    splits=("train", "dev", "test"),
    files=(
        "rocov2/{train,valid,test}_captions.csv",
        "rocov2/{train,valid,test}_concepts_manual.csv",
        "rocov2/{train,valid,test}/",
    ),
    notes="Captions, and the checked facts (modality, region, view) asked in phrases of our own in both languages; a "
    "few hundred captions come in Arabic. The names may start with sample_.",
    notes_ar="التعليقات والحقائق المدققة (نوع الصورة والمنطقة والوضعية) بأسئلة من عندنا باللغتين؛ لبضع مئات من "
    "التعليقات ترجمة عربية. قد تبدأ الأسماء بـ sample_.",
)


def read(reading: Reading) -> Iterator[Record]:
    """The captions and facts of :func:`records`."""
    parts = {split: folder for folder, split in FOLDERS.items()}
    names = {
        split: (f"{SOURCE}/{folder}_captions.csv", f"{SOURCE}/sample_{folder}_captions.csv")
        for split, folder in parts.items()
    }
    for split, path in files_of(reading, INFO, names):
        folder = parts[split]
        concepts = path.with_name(path.name.replace("_captions", "_concepts_manual"))
        # Codes alone are held in memory, some 150 bytes a figure.
        codes = {row["ID"]: row["CUIs"] for _, row in csv_objects(reading, existing(concepts))}
        yield from each(reading, path, csv_objects(reading, path), partial(_make, path, folder, codes))


def _make(path: Path, folder: str, codes: dict[str, str], number: int, row: dict[str, str]) -> Iterator[Record]:
    name, caption = line(path, number, row, "ID"), line(path, number, row, "Caption")
    image = f"{SOURCE}/{folder}/{name}.jpg"
    return _about(figure_of(name, image, caption, codes.get(name, "").split(";"), folder), _arabic())


SOURCES = (Source(INFO, read),)
