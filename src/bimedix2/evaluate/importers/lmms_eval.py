"""lmms-eval: ``DATE_samples_TASK.jsonl``, as ``--log_samples`` writes it.

A row has ``doc_id``, ``target`` (text), ``input`` (the prompt), ``filtered_resps`` and, only where it differs,
``resps``; the data set's row and the requests are left out. Before 0.6 a reply is ``["…"]`` inside ``[[…]]``, since
then text inside ``[…]``; both are read. Scored options are ``["-1.25", "False"]`` pairs without their texts, so
labels and texts come from the prompt's list.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bimedix2.evaluate.metrics.choice import LATIN
from bimedix2.evaluate.predictions import PredictionRow, Rows

from ._base import Importer, Object, converted, final_answer, image_of, options_in, options_of, text_field
from .lm_eval import answered, indexed, logprobs_of, reply_of


def read(path: Path) -> Rows:
    """Rows in the file's order."""
    return converted(path, _row)


def _row(path: Path, number: int, row: Object) -> PredictionRow:
    doc = row["doc"] if isinstance(row.get("doc"), dict) else {}
    prompt = row["input"] if isinstance(row.get("input"), str) else ""
    target = text_field(path, number, row, "target")
    question = doc["question"] if isinstance(doc.get("question"), str) else prompt
    common: dict[str, Any] = {
        "id": text_field(path, number, row, "doc_id"),
        "question": question.replace("<image>", "").strip(),
        "prompt": prompt,
        "answer_type": doc["answer_type"] if isinstance(doc.get("answer_type"), str) else "",
        "image": image_of(doc),
    }
    count = _scored(row.get("filtered_resps"))
    if count:
        listed = options_of(doc) or options_in(prompt)
        options = listed if len(listed) == count else dict(zip(LATIN, LATIN[:count], strict=False))
        logprobs = logprobs_of(path, number, row, count)
        reference = indexed(path, number, target, options)
        return PredictionRow(**common, prediction="", reference=reference, options=options, option_logprobs=logprobs)
    return PredictionRow(
        **common, prediction=final_answer(reply_of(path, number, row)), **answered(target, doc, prompt)
    )


def _scored(replies: Any) -> int:
    """Number of scored options; 0 for text."""
    if not isinstance(replies, list) or len(replies) < 2:
        return 0
    pairs = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in replies]
    return len(pairs) if all(isinstance(p, list) and len(p) == 2 and p[1] in ("True", "False") for p in pairs) else 0


IMPORTER = Importer(
    name="lmms-eval",
    title="lmms-eval (0.2 to 0.7), *_samples_*.jsonl of --log_samples",
    recognises=lambda head: not head.array and head.has("doc_id", "target") and not head.has("arguments"),
    rows=read,
)
