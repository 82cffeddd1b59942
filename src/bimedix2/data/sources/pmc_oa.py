"""PMC-OA (Lin et al. 2023): captions of figures from open-access papers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.errors import ConfigError, RecordError
from bimedix2.records.schema import Record, Split

from ._common import choose, exchange, phrases
from ._files import Values, json_objects, text
from ._reading import Archive, Option, Reading, Source, SourceInfo, each, files_of

_FOLDERS = ("caption_T060_filtered_top4_sep_v0_subfigures", "images")
INFO = SourceInfo(
    name="pmc_oa",
    licence="varies by article (PMC Open Access subset)",
    languages=("en",),
    tasks=("caption",),
    splits=("train", "dev", "test"),
    files=(
        "pmc_oa/{train,valid,test}.jsonl, or pmc_oa/pmc_oa.jsonl, or pmc_oa/pmc_oa_beta.jsonl",
        f"pmc_oa/{_FOLDERS[0]}/ or pmc_oa/images/",
    ),
    notes="pmc_oa.jsonl has a caption for each sub-figure with an alignment score, the beta file whole captions. "
    "Only the three-file layout has splits. Licences differ from article to article: look them up by PMC id.",
    notes_ar="في pmc_oa.jsonl تعليق لكل شكل فرعي مع درجة محاذاة، وفي ملف beta التعليق كاملا. لا تقسيم إلا في الملفات "
    "الثلاثة. تختلف التراخيص بين المقالات: ابحث عنها برقم PMC.",
    options=(
        Option(
            name="min_alignment",
            default="0",
            meaning="leave out captions with a lower alignment_score",
            meaning_ar="ترك التعليقات ذات درجة محاذاة أقل",
        ),
    ),
    archives=(Archive(path="pmc_oa/images.zip", folder=f"pmc_oa/{_FOLDERS[0]}"),),
)
FILES: dict[Split, tuple[str, ...]] = {
    "train": ("pmc_oa/train.jsonl", "pmc_oa/pmc_oa.jsonl", "pmc_oa/pmc_oa_beta.jsonl"),
    "dev": ("pmc_oa/valid.jsonl",),
    "test": ("pmc_oa/test.jsonl",),
}


def read(reading: Reading) -> Iterator[Record]:
    """One record a figure."""
    least = _number(reading.options["min_alignment"])
    folder = next((name for name in _FOLDERS if (reading.root / "pmc_oa" / name).is_dir()), _FOLDERS[0])
    for split, path in files_of(reading, INFO, FILES):
        make = partial(_make, reading, least, folder, split, path)
        yield from each(reading, path, json_objects(reading, path), make)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        message = f"--set min_alignment={value}: not a number."
        raise ConfigError(message, f"الخيار --set min_alignment={value}: ليس رقما.") from error


def _make(
    reading: Reading, least: float, folder: str, split: Split, path: Path, number: int, row: Values
) -> list[Record]:
    image, caption = text(path, number, row, "image"), " ".join(text(path, number, row, "caption").split())
    score = row.get("alignment_score")
    if score is not None and not isinstance(score, int | float):
        raise RecordError(path, number, "alignment_score", "is not a number", "ليس رقما")
    if score is not None and score < least:
        reading.skip(f"alignment score below {least:g}", f"درجة المحاذاة أقل من {least:g}")
        return []
    base = f"pmc_oa:{Path(image).stem}"
    return [
        exchange(
            f"{base}:caption:en",
            choose(phrases("caption", "en"), base)[0],
            caption,
            "en",
            task="caption",
            modality="other",
            source=INFO.name,
            licence=INFO.licence,
            image=f"pmc_oa/{folder}/{image}",
            split=split,
        )
    ]


SOURCES = (Source(INFO, read),)
