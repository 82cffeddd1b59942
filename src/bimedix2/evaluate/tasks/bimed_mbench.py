"""BiMed-MBench (arXiv 2412.07769) and the English bench of LLaVA-Med (arXiv 2306.00890) that it translates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.judge.protocols import figure_context
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, json_rows

NAME = "bimed_mbench"
FILES: dict[Language, str] = {
    "en": "llava_med_eval_qa50_qa.jsonl",
    "ar": "llava_med_eval_qa50_qa_arabic_verified.jsonl",
}
DOMAINS = ("chest_xray", "mri", "histology", "gross", "ct_scan")
"""In the order in which the first flag that is set decides."""
# Ways in which the Arabic file translates the type itself; the English file says the same for its question_id.
TYPES = {"وصف تفصيلي": "detailed_description", "وصف مفصل": "detailed_description", "محادثة": "conversation"}


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Rows of ``bimed_mbench/<file>``; images are ``bimed_mbench/images/<image>``, figures are the clusters.

    In Arabic rows ``group["type"]`` is what the English file says for the item, or a known translation, and
    ``group["type_in_file"]`` keeps what the row says where that differs.
    """
    path = existing(
        root / NAME / FILES[language],
        f"Download it and the images from BiMed-MBench/data/test_sets of github.com/mbzuai-oryx/BiMediX2 to {NAME}/.",
        f"نزله مع الصور من BiMed-MBench/data/test_sets في github.com/mbzuai-oryx/BiMediX2 إلى {NAME}/.",
    )
    english = _english_types(root / NAME / FILES["en"]) if language == "ar" else {}

    def make(number: int, row: dict[str, Any]) -> Sample:
        name = field(path, number, row, "question_id")
        question = " ".join(field(path, number, row, "text").replace("<image>", " ").split())
        image = field(path, number, row, "image")
        return Sample(
            id=name,
            task=NAME,
            language=language,
            prompt=question,
            question=question,
            reference=field(path, number, row, "gpt4_answer"),
            images=(f"{NAME}/images/{image}",),
            cluster=str(row.get("pair_id") or image),
            group={**_type(path, number, row, english.get(name, "")), "domain": _domain(path, number, row)},
            context=figure_context(str(row.get("fig_label") or ""), *_figure(path, number, row)),
        )

    yield from each(json_rows(path), make)


def _figure(path: Path, number: int, row: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Caption and mentions as the file has them; the judge reads the caption's own white space."""
    field(path, number, row, "fig_caption")
    mentions = row.get("in_text_mention") or []
    return str(row["fig_caption"]), mentions if isinstance(mentions, list) else [mentions]


def _type(path: Path, number: int, row: Mapping[str, Any], english: str) -> dict[str, str]:
    written = field(path, number, row, "type")
    kind = english or TYPES.get(written, written)
    return {"type": kind} if kind == written else {"type": kind, "type_in_file": written}


def _domain(path: Path, number: int, row: Mapping[str, Any]) -> str:
    flags = row.get("domain")
    if not isinstance(flags, dict):
        raise RecordError(path, number, "domain", "is not an object of flags", "ليس كائن أعلام")
    return next((name for name in DOMAINS if flags.get(name)), "none")


def _english_types(path: Path) -> dict[str, str]:
    """question_id -> type; empty where the English file is not there."""
    if not path.is_file():
        return {}
    return {str(row.get("question_id")): str(row.get("type") or "") for _, row in json_rows(path)}


TASK = Task(
    name=NAME,
    family="judged",
    read=read,
    max_new_tokens=512,
    title={"en": "BiMed-MBench", "ar": "BiMed-MBench"},
    licence="CC-BY-NC-SA-4.0",
    table="3",
)
