"""Argilla 2: records as ``dataset.records.to_json`` writes them, and settings that ``rg.Settings.from_json`` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.review.reasons import REASONS
from bimedix2.data.review.store import Workspace
from bimedix2.errors import RecordError
from bimedix2.records import OnError

from .common import GUIDE, VERDICTS, Answer, at, rows, tasks

NAME = "argilla"
_QUESTIONS = ("verdict", "reason", "edit", "note")


def records(workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The queue as Argilla records; the translation is suggested as the text to edit."""
    for task in tasks(workspace):
        record = task.record
        yield {
            "id": record.id,
            "fields": {"original": task.original, "translation": task.translation},
            "metadata": {
                "stratum": task.stratum,
                "source": record.source,
                "licence": record.licence,
                "readers": task.readers,
            },
            "suggestions": {"edit": {"value": task.translation, "score": None, "agent": "bimedix2"}},
            "responses": {},
            "vectors": {},
            "status": "pending",
        }


def settings() -> dict[str, Any]:
    """Fields, questions and metadata of the Argilla data set."""
    reasons = [{"value": key, "text": f"{reason.english} · {reason.arabic}"} for key, reason in REASONS.items()]
    verdicts = [{"value": name, "text": name} for name in VERDICTS]
    return {
        "guidelines": GUIDE,
        "fields": [_field(name) for name in ("original", "translation")],
        "questions": [
            _question("verdict", {"type": "label_selection", "options": verdicts}, required=True),
            _question("reason", {"type": "label_selection", "options": reasons}),
            _question("edit", {"type": "text", "use_markdown": False}),
            _question("note", {"type": "text", "use_markdown": False}),
        ],
        "metadata": [
            *(_metadata(name, {"type": "terms"}) for name in ("stratum", "source", "licence")),
            _metadata("readers", {"type": "integer"}),
        ],
        "vectors": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
    }


def _field(name: str) -> dict[str, Any]:
    return {"name": name, "title": name, "required": True, "settings": {"type": "text", "use_markdown": False}}


def _question(name: str, kind: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "title": name, "description": None, "required": required, "settings": kind}


def _metadata(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    # What a row came from is hidden, so that it does not sway the verdict.
    return {
        "name": name,
        "title": name,
        "visible_for_annotators": False,
        "settings": {**kind, "visible_for_annotators": False},
    }


def answers(path: Path, on_error: OnError) -> Iterator[Answer]:
    """Verdicts of an Argilla export, one a record and user; records without a response have none."""
    for row, record in rows(path, on_error):
        if not isinstance(record.get("id"), str):
            on_error(RecordError(path, row, "id", "must be the record's id as text", "يجب أن يكون معرف السجل نصا"))
            continue
        responses = record.get("responses") or {}
        if not isinstance(responses, dict):
            on_error(RecordError(path, row, "responses", "must be an object", "يجب أن يكون كائنا"))
            continue
        yield from _answers(path, row, record["id"], responses, on_error)


def _answers(path: Path, row: int, record_id: str, responses: dict[str, Any], on_error: OnError) -> Iterator[Answer]:
    given: dict[str, dict[str, str]] = {}
    for question in _QUESTIONS:
        found = responses.get(question) or []
        for index in range(len(found) if isinstance(found, list) else 1):
            value, user = at(found, index, "value"), at(found, index, "user_id")
            if not isinstance(value, str) or not isinstance(user, str):
                where = f"responses.{question}[{index}]"
                on_error(RecordError(path, row, where, "needs value and user_id as text", "ينقصه value أو user_id كنص"))
                continue
            given.setdefault(user, {})[question] = value
    for user, said in given.items():
        if "verdict" not in said:
            problem = f"user {list(given).index(user) + 1} of this record gave none"
            on_error(RecordError(path, row, "responses.verdict", problem, "لا يوجد حكم"))
            continue
        yield Answer(
            row,
            "responses.{}",
            record_id,
            user,
            said["verdict"],
            said.get("reason", ""),
            said.get("edit", ""),
            said.get("note", ""),
        )
