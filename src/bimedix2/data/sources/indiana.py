"""Indiana University chest reports (Demner-Fushman et al. 2016): findings to impression, English only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bimedix2.records.schema import Record, Split

from ._common import asset, exchange
from ._files import Values, json_objects, text
from ._reading import Reading, Source, SourceInfo, each, files_of
from .text_sets import indiana_in_training

INFO = SourceInfo(
    name="indiana",
    licence="Open-i non-commercial, no derivatives",
    languages=("en",),
    tasks=("summarization",),
    splits=("train", "test"),
    files=("indiana/indiana_dev.json",),
    notes="The file of MEDIQA 2021. It has no official split: `bimedix2 evaluate indiana_summary` tests on 85 % of "
    "the reports, chosen by hash, which count as test. No derivatives: do not translate or rewrite it.",
    notes_ar="ملف MEDIQA 2021، بلا تقسيم رسمي: يختبر bimedix2 evaluate indiana_summary على 85 ٪ من التقارير باختيار "
    "ثابت وتعد قسم اختبار. لا يسمح الترخيص بالمشتقات: لا تترجمها ولا تعد صياغتها.",
)


def read(reading: Reading) -> Iterator[Record]:
    """One record a report; impressions with a de-identified blank are left out: no answer to learn."""
    both: dict[Split, tuple[str, ...]] = dict.fromkeys(sorted(reading.splits), INFO.files)
    path = files_of(reading, INFO, both)[:1]
    for _, file in path:
        yield from each(reading, file, json_objects(reading, file), partial(_make, reading, file))


def _make(reading: Reading, path: Path, number: int, row: Values) -> list[Record]:
    study = text(path, number, row, "study_id")
    impression = text(path, number, row, "impression")
    if "____" in impression:
        reading.skip("impression with a de-identified blank", "انطباع فيه فراغ لإخفاء الهوية")
        return []
    instruction = asset("phrases.json")["instruction"]["impression_en"]
    return [
        exchange(
            f"indiana:{study}:impression:en",
            f"{instruction}\n{text(path, number, row, 'findings')}",
            impression,
            "en",
            task="summarization",
            modality="text",
            source=INFO.name,
            licence=INFO.licence,
            split="train" if indiana_in_training(study) else "test",
        )
    ]


SOURCES = (Source(INFO, read),)
