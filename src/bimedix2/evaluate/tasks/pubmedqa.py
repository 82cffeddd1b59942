"""PubMedQA (Jin et al. 2019, arXiv 1909.06146): yes, no or maybe from an abstract; the official 500 test items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, existing, field, json_rows

NAME = "pubmedqa"
LABELS: dict[Language, tuple[str, str, str]] = {"en": ("yes", "no", "maybe"), "ar": ("نعم", "لا", "ربما")}
PROMPT: dict[Language, str] = {
    "en": "Abstract: {context}\nQuestion: {question}\nAnswer with yes, no or maybe.",
    "ar": "الملخص: {context}\nالسؤال: {question}\nأجب بنعم أو لا أو ربما.",
}


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """``pubmedqa/ori_pqal.json`` with ``test_ground_truth.json``; Arabic ``pubmedqa_ar/test.jsonl`` by id."""
    remedy = "Get ori_pqal.json and test_ground_truth.json from github.com/pubmedqa/pubmedqa."
    path, truth = (
        existing(root / NAME / name, remedy, "احصل على الملفين من github.com/pubmedqa/pubmedqa.")
        for name in ("ori_pqal.json", "test_ground_truth.json")
    )
    try:
        items: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        test = set(json.loads(truth.read_text(encoding="utf-8")))
        rows = list(items.items())
    except (ValueError, AttributeError, TypeError) as error:
        raise RecordError(path, 0, "row", f"not the expected JSON ({error})", "ليس JSON المتوقع") from error
    arabic = _arabic(root / f"{NAME}_ar" / f"{split}.jsonl") if language == "ar" else None

    def make(number: int, item: tuple[str, dict[str, Any]]) -> Sample | None:
        name, row = item
        if (name in test) != (split == "test") or (arabic is not None and name not in arabic):
            return None
        answer = field(path, number, row, "final_decision").lower()
        if answer not in LABELS["en"]:
            raise RecordError(path, number, "final_decision", f"{answer!r} is not yes, no or maybe", "قيمة غير معروفة")
        source = arabic[name] if arabic is not None else {**row, "context": "\n".join(row.get("CONTEXTS") or [])}
        keys = ("question", "context") if arabic is not None else ("QUESTION", "context")
        question, context = (field(path, number, source, key) for key in keys)
        return Sample(
            id=name,
            task=NAME,
            language=language,
            prompt=PROMPT[language].format(context=context, question=question),
            question=question,
            reference=LABELS[language][LABELS["en"].index(answer)],
            options=LABELS[language],
            letters=LABELS[language],
            group={"answer": answer},
        )

    yield from each(enumerate(rows, 1), make)


def _arabic(path: Path) -> dict[str, dict[str, Any]]:
    remedy = "Arabic needs this file: JSON lines with id, question and context, translated from the English set."
    existing(path, remedy, "تحتاج العربية إلى هذا الملف: أسطر JSON فيها id وquestion وcontext مترجمة.")
    return {field(path, number, row, "id"): row for number, row in json_rows(path)}


TASK = Task(
    name=NAME,
    family="choice",
    read=read,
    splits=("test", "train"),
    train_split="train",
    request="options",
    max_new_tokens=12,
    title={"en": "PubMedQA", "ar": "PubMedQA"},
    licence="MIT",
    hub="bigbio/pubmed_qa",
    table="2",
)
