"""Label Studio: tasks and annotations as its JSON export writes them, and the labelling interface for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from bimedix2.data.review.reasons import REASONS
from bimedix2.data.review.store import Workspace
from bimedix2.errors import RecordError
from bimedix2.records import OnError

from .common import GUIDE, VERDICTS, Answer, at, rows, tasks

NAME = "label-studio"


def records(workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The queue as Label Studio tasks; the translation is there as a prediction of the text to edit."""
    for task in tasks(workspace):
        record = task.record
        edit = {
            "from_name": "edit",
            "to_name": "translation",
            "type": "textarea",
            "value": {"text": [task.translation]},
        }
        yield {
            "data": {
                "record_id": record.id,
                "original": task.original,
                "translation": task.translation,
                "stratum": task.stratum,
                "licence": record.licence,
                "readers": task.readers,
            },
            "predictions": [{"model_version": "bimedix2", "result": [edit]}],
        }


def interface() -> str:
    """The labelling configuration; the translation's box runs from right to left."""
    verdicts = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in VERDICTS)
    reasons = "\n".join(
        f"    <Choice value={quoteattr(key)} hint={quoteattr(f'{reason.english} · {reason.arabic}')}/>"
        for key, reason in REASONS.items()
    )
    return f"""<View>
  <Header value={quoteattr(GUIDE.replace(chr(10), " "))}/>
  <Style>.review-text {{ unicode-bidi: plaintext; white-space: pre-wrap; }}</Style>
  <View className="review-text"><Text name="original" value="$original"/></View>
  <View className="review-text"><Text name="translation" value="$translation"/></View>
  <Choices name="verdict" toName="translation" choice="single" required="true" showInLine="true">
{verdicts}
  </Choices>
  <Choices name="reason" toName="translation" choice="single">
{reasons}
  </Choices>
  <TextArea name="edit" toName="translation" rows="8" maxSubmissions="1" editable="true"/>
  <TextArea name="note" toName="translation" rows="2" maxSubmissions="1"/>
</View>
"""


def answers(path: Path, on_error: OnError) -> Iterator[Answer]:
    """Verdicts of a Label Studio export, one an annotation; cancelled ones are passed over."""
    for row, task in rows(path, on_error):
        record_id, annotations = at(task, "data", "record_id"), task.get("annotations", [])
        if not isinstance(record_id, str):
            on_error(
                RecordError(
                    path, row, "data.record_id", "is missing; keep it in the tasks", "غير موجود؛ أبقه في المهام"
                )
            )
            continue
        if not isinstance(annotations, list):
            on_error(RecordError(path, row, "annotations", "must be a list", "يجب أن تكون قائمة"))
            continue
        for index in range(len(annotations)):
            if not at(annotations, index, "was_cancelled"):
                answer = _answer(path, row, record_id, annotations[index], index, on_error)
                if answer is not None:
                    yield answer


def _answer(path: Path, row: int, record_id: str, annotation: Any, index: int, on_error: OnError) -> Answer | None:
    place = f"annotations[{index}]"
    result = at(annotation, "result")
    user = at(annotation, "completed_by")
    if isinstance(user, dict):
        user = user.get("id", user.get("email"))
    if not isinstance(result, list) or not isinstance(user, int | str):
        name = "completed_by" if isinstance(result, list) else "result"
        on_error(RecordError(path, row, f"{place}.{name}", "is missing or of another type", "غير موجود أو من نوع آخر"))
        return None
    said: dict[str, str] = {}
    for number, region in enumerate(result):
        name = at(region, "from_name")
        value = at(region, "value", "choices", 0) or at(region, "value", "text", 0) or at(region, "value", "text")
        if not isinstance(name, str) or not isinstance(value, str):
            where = f"{place}.result[{number}].value"
            on_error(RecordError(path, row, where, "needs a choice or a text", "يحتاج إلى اختيار أو نص"))
            return None
        said[name] = value
    if "verdict" not in said:
        on_error(RecordError(path, row, f"{place}.result", "has no verdict", "لا يوجد حكم"))
        return None
    seconds, created = at(annotation, "lead_time"), at(annotation, "created_at")
    return Answer(
        row,
        f"{place}.result.{{}}",
        record_id,
        str(user),
        said["verdict"],
        said.get("reason", ""),
        said.get("edit", ""),
        said.get("note", ""),
        created if isinstance(created, str) else "",
        float(seconds) if isinstance(seconds, int | float) else None,
    )
