"""lm-evaluation-harness: ``samples_TASK_DATE.jsonl``, as ``--log_samples`` writes it.

A row has ``doc_id``, ``doc``, ``target`` (always text), ``arguments`` (``{"gen_args_0": {"arg_0": prompt, "arg_1":
continuation or settings}, …}``), ``resps`` (for each request a list of replies), ``filtered_resps``, ``filter``; all
replies are text, log-probabilities included: ``["-1.25", "False"]``. A task with several filters has a row for each
of them, with the same raw replies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.metrics.choice import ARABIC, LATIN
from bimedix2.evaluate.predictions import PredictionRow, Rows

from ._base import Importer, Object, converted, final_answer, image_of, label_of, options_in, options_of, text_field

_LOWEST = -1e9
"""In place of minus infinity, which JSON cannot hold."""


def read(path: Path) -> Rows:
    """Rows of the first filter; the others repeat the same replies."""
    wanted: list[str] = []

    def convert(path: Path, number: int, row: Object) -> PredictionRow | None:
        name = str(row.get("filter", ""))
        if not wanted:
            wanted.append(name)
        return _row(path, number, row) if name == wanted[0] else None

    return converted(path, convert)


def _row(path: Path, number: int, row: Object) -> PredictionRow:
    doc = row["doc"] if isinstance(row.get("doc"), dict) else {}
    requests = _requests(path, number, row)
    target = text_field(path, number, row, "target")
    scored = [isinstance(continuation, str) for _, continuation in requests]
    prompt = requests[0][0]
    # Tasks that this project exports carry the sample's own id; rows of other tasks have only their number.
    own = "sample_id" in doc
    common: dict[str, Any] = {
        "id": text_field(path, number, doc if own else row, "sample_id" if own else "doc_id"),
        "question": next((doc[k] for k in ("question", "Question") if isinstance(doc.get(k), str)), prompt),
        "prompt": prompt,
        "language": doc["language"] if doc.get("language") in ("en", "ar") else None,
        "answer_type": doc["answer_type"] if isinstance(doc.get("answer_type"), str) else "",
        "image": image_of(doc),
    }
    if all(scored):
        options = _continued(path, number, [str(text) for _, text in requests], doc, prompt)
        logprobs = logprobs_of(path, number, row, len(requests))
        reference = indexed(path, number, target, options)
        return PredictionRow(**common, prediction="", reference=reference, options=options, option_logprobs=logprobs)
    return PredictionRow(
        **common, prediction=final_answer(reply_of(path, number, row)), **answered(target, doc, prompt)
    )


def _requests(path: Path, number: int, row: Object) -> list[tuple[str, Any]]:
    """(prompt, continuation or settings) of each request; older versions wrote lists in place of objects."""
    given = row.get("arguments")
    rows = list(given.values()) if isinstance(given, dict) else given
    try:
        pairs = [tuple(item.values() if isinstance(item, dict) else item)[:2] for item in rows or ()]
        requests = [(str(prompt), continuation) for prompt, continuation in pairs]
    except (TypeError, ValueError) as error:
        raise RecordError(path, number, "arguments", "is not a list of requests", "ليست قائمة طلبات") from error
    if not requests:
        raise RecordError(path, number, "arguments", "is empty", "فارغ")
    return requests


def _continued(path: Path, number: int, continuations: Sequence[str], doc: Object, prompt: str) -> dict[str, str]:
    """Label -> text of scored continuations: letters get their options' texts, whole texts are their own labels."""
    labels = [text.strip() for text in continuations]
    if len(set(labels)) != len(labels) or not all(labels):
        problem = "continuations repeat or are empty; prompts that differ are not supported"
        raise RecordError(path, number, "arguments", problem, "النصوص المكملة متكررة أو فارغة")
    if len(labels) == 1:
        problem = "one continuation only: this is a log-probability, not a choice"
        raise RecordError(path, number, "arguments", problem, "نص مكمل واحد فقط وليس اختيارا")
    texts = options_of(doc) or options_in(prompt)
    same_size = len(texts) == len(labels) and set(labels) <= {*LATIN, *ARABIC}
    return dict(zip(labels, texts.values() if same_size else labels, strict=True))


def logprobs_of(path: Path, number: int, row: Object, count: int) -> list[float]:
    """Log-probabilities (nats) from ``filtered_resps`` or ``resps``.

    Raises:
        RecordError: they are not ``count`` pairs of a number and a truth value.
    """
    name = "filtered_resps" if "filtered_resps" in row else "resps"
    pairs = [_unwrapped(item) for item in row.get(name) or ()]
    try:
        values = [float(pair[0]) for pair in pairs]
    except (TypeError, ValueError, IndexError, KeyError) as error:
        problem = "is not a list of (log-probability, greedy) pairs"
        raise RecordError(path, number, name, problem, "ليست قائمة احتمالات لوغاريتمية") from error
    if len(values) != count or any(math.isnan(value) for value in values):
        raise RecordError(path, number, name, f"is not {count} numbers", f"ليست {count} من الأرقام")
    return [max(value, _LOWEST) for value in values]


def _unwrapped(item: Any) -> Any:
    while isinstance(item, list) and len(item) == 1:
        item = item[0]
    return item


def reply_of(path: Path, number: int, row: Object) -> str:
    """The raw reply; of several (repeats) what the harness's filter made of them.

    Raises:
        RecordError: there is no text.
    """
    raw, filtered = _unwrapped(row.get("resps")), _unwrapped(row.get("filtered_resps"))
    if not isinstance(raw, (str, list)):
        raw = filtered
    found = raw if isinstance(raw, str) else filtered
    if not isinstance(found, str):
        name = "resps" if "resps" in row else "filtered_resps"
        raise RecordError(path, number, name, "holds no single text reply", "لا يحتوي على إجابة نصية واحدة")
    return text_field(path, number, {"resps": found}, "resps", empty=True)


def indexed(path: Path, number: int, target: str, options: Mapping[str, str]) -> str:
    """The label that a target names: its index from 0, the label itself, or the option's text.

    Raises:
        RecordError: it names none, or several.
    """
    labels = list(options)
    if target.strip().isdigit() and target.strip() not in options and int(target) < len(labels):
        return labels[int(target)]
    label = label_of(target, options)
    if label is None or (target.strip().isdigit() and target.strip() in options):
        problem = f"{target!r} does not name one of {', '.join(labels)}"
        raise RecordError(path, number, "target", problem, f"{target!r} لا يسمي خيارا واحدا")
    return label


def answered(target: str, doc: Object, prompt: str) -> dict[str, Any]:
    """Reference and options of a generated reply: a label where the target is one of the options listed."""
    options = options_of(doc) or options_in(prompt)
    label = label_of(target, options) if options else None
    return {"reference": target} if label is None else {"reference": label, "options": options}


IMPORTER = Importer(
    name="lm-eval",
    title="lm-evaluation-harness (0.4.13), samples_*.jsonl of --log_samples",
    recognises=lambda head: not head.array and head.has("doc_id", "arguments"),
    rows=read,
)
