"""Verdicts that come with stored predictions, to columns and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Verdict

from .labels import LABELS
from .protocols import FIXED, MODEL_FIRST, ORIGINAL, REFERENCE_FIRST

Scores = tuple[float, float] | None


def given_verdicts(
    path: Path, number: int, judge_reply: str | None, scores: Scores, scores_swapped: Scores, label: str | None
) -> Iterator[Verdict]:
    """Verdicts of one row, for both modes where they serve both.

    Args:
        path, number: of the row, for errors.
        judge_reply, scores, scores_swapped, label: as in :class:`bimedix2.evaluate.predictions.PredictionRow`.

    Raises:
        RecordError: a score is negative, or a label is none of the three.
    """
    if judge_reply is not None:
        yield Verdict(question=ORIGINAL, text=judge_reply)
    for name, pair, questions in (
        ("scores", scores, (REFERENCE_FIRST,) if judge_reply is not None else (ORIGINAL, REFERENCE_FIRST)),
        ("scores_swapped", scores_swapped, (MODEL_FIRST,)),
    ):
        if pair is not None:
            if min(pair) < 0:
                raise RecordError(path, number, name, f"{min(pair):g} is no score", f"القيمة {min(pair):g} ليست درجة")
            yield from (Verdict(question=question, scores=pair) for question in questions)
    if label is not None:
        known = label.strip().casefold()
        if known and known not in LABELS:
            problem = f"{label!r} is none of {', '.join(LABELS)}"
            raise RecordError(path, number, "label", problem, f"القيمة {label!r} ليست من {'، '.join(LABELS)}")
        yield from (Verdict(question=question, label=known) for question in (ORIGINAL, FIXED))


def given_columns(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Columns that :func:`given_verdicts` reads as these verdicts."""
    columns: dict[str, Any] = {}
    for verdict in verdicts:
        if verdict.scores is not None:
            columns["scores_swapped" if verdict.question == MODEL_FIRST else "scores"] = verdict.scores
        elif verdict.question == ORIGINAL and verdict.text:
            columns["judge_reply"] = verdict.text
        elif not verdict.text:
            columns["label"] = verdict.label
    return columns
