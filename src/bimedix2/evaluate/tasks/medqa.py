"""MedQA (Jin et al. 2020, arXiv 2009.13081) with four options, and the USMLE self-assessment in the same shape."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._choice import choice_sample, in_arabic, key_index
from ._files import each, each_shard, existing, field, json_rows, shards
from ._translated import arabic_file, arabic_rows

FILES = {
    "medqa": ("phrases_no_exclude_{split}.jsonl", "{split}.jsonl"),
    "usmle": ("data/{split}-*.parquet", "{split}.jsonl"),
}
SPLIT_OF = {"usmle": {"test": "train"}}  # the set's only split is called train


def read(root: Path, language: Language, split: str, *, name: str) -> Iterator[Sample | RecordError]:
    """Rows with ``question``, ``options`` (letter -> text) and ``answer_idx``; Arabic ``<name>_ar/<split>.jsonl``.

    JSON lines or the Hub's Parquet files; an id is the row's number. Options that are null are left out. The Hub's
    ``GBaker/MedQA-USMLE-4-options`` has the original files; its twin ``…-hf`` (columns sent1, ending0 to ending3,
    label, as lm-evaluation-harness reads it) has the same questions in another shape and is not needed. Without an
    Arabic file MedQA asks the packaged sample; the self-assessment has none.
    """
    folder, hub = root / name, next(task.hub for task in TASKS if task.name == name)
    part = SPLIT_OF.get(name, {}).get(split, split)
    patterns = [pattern.format(split=part) for pattern in FILES[name]]
    found = sorted(file for pattern in patterns for file in folder.glob(pattern))
    remedy = f"Download {hub} from the Hub to {folder}."
    path = existing(found[0] if found else folder / patterns[0], remedy, f"نزل {hub} إلى {folder}.", name)
    translated = arabic_file(root / f"{name}_ar" / f"{split}.jsonl", f"{name}_ar.jsonl")
    arabic = arabic_rows(translated) if language == "ar" else None

    def make(file: Path, number: int, place: int, row: dict[str, Any]) -> Sample | None:
        given = row.get("options")
        if not isinstance(given, dict):
            raise RecordError(file, number, "options", "is not letter -> text", "ليس حرفا إلى نص")
        options = [str(text) for text in given.values() if text]
        right = key_index(file, number, field(file, number, row, "answer_idx"), len(options), "answer_idx")
        texts = in_arabic(translated, arabic, str(place), field(file, number, row, "question"), options)
        return texts and choice_sample(
            name, str(place), language, *texts, right, {"step": str(row.get("meta_info") or "")}
        )

    if path.suffix == ".parquet":
        yield from each_shard(shards(path.parent, part), make)
    else:
        yield from each(json_rows(path), lambda number, row: make(path, number, number, row))


TASKS = (
    Task(
        name="medqa",
        family="choice",
        read=partial(read, name="medqa"),
        request="options",
        max_new_tokens=24,
        title={"en": "MedQA (4 options)", "ar": "MedQA (أربعة خيارات)"},
        licence="MIT",
        hub="GBaker/MedQA-USMLE-4-options",
        hub_files=("phrases_no_exclude_test.jsonl",),
        table="2",
    ),
    Task(
        name="usmle",
        family="choice",
        read=partial(read, name="usmle"),
        request="options",
        max_new_tokens=24,
        title={"en": "USMLE self-assessment", "ar": "التقييم الذاتي USMLE"},
        licence="not stated",
        hub="HuggingSara/usmle_self_assessment",
        table="2",
    ),
)
