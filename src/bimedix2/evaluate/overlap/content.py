"""``overlap.json``: counts by task and language, scores with and without the overlapping items, and plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bimedix2 import __version__
from bimedix2.evaluate.controls import MODEL
from bimedix2.evaluate.registry import all_tasks, find_family
from bimedix2.evaluate.runner import Notes
from bimedix2.evaluate.schema import Scored
from bimedix2.evaluate.scoring import empty_value
from bimedix2.evaluate.statistics import Metric, summarize
from bimedix2.evaluate.store import RESULTS, TaskFolder, read_lines, read_results, write_json, write_lines

from .check import CRITERIA, Checked, Overlap
from .images import KINDS, MIN_CORRELATION
from .items import Asked
from .sentences import summary
from .sources import TrainingSources
from .training import Training

OVERLAP, ITEMS = "overlap.json", "overlap-items.jsonl"
_NAMED = 20


def write_overlap(
    out: Path,
    checked: Checked,
    asked: Sequence[Asked],
    training: Training,
    sources: TrainingSources,
    notes: Notes,
    settings: dict[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    """Write ``overlap.json`` and ``overlap-items.jsonl`` into a folder and return the former.

    If the folder is one of a run, every headline figure is also given for its overlapping items and for the others.
    """
    content: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "signature": f"bimedix2 {__version__}",
        "settings": settings | {"min_correlation": MIN_CORRELATION},
        "training": {
            "sources": sources.names(),
            "items": training.items,
            "questions": {language: len(table) for language, table in training.texts.items()},
            "images": len(training.pictures),
            "bad_rows": len(sources.bad_rows),
            "first_bad_rows": [_reason(error) for error in sources.bad_rows[:_NAMED]],
        },
        "bad_images": {
            "n": len(checked.bad_images),
            "first": [{"side": side, "reason": _reason(error)} for side, error in checked.bad_images[:_NAMED]],
        },
        "skipped": [
            {"task": task, "language": language, "reason": _reason(error)}
            for (task, language), error in notes.skipped.items()
        ],
        "bad_rows": [
            {"task": task, "language": language, "n": len(errors), "first": [_reason(error) for error in errors[:5]]}
            for (task, language), errors in notes.bad_rows.items()
        ],
        "tasks": counts(checked.items, asked),
        "scores": split_scores(out, checked.items, seed) if (out / RESULTS).is_file() else [],
    }
    content["summary"] = summary(content)
    write_lines(out / ITEMS, checked.items)
    write_json(out / OVERLAP, content)
    return content


def _reason(error: Any) -> dict[str, str]:
    return {"en": error.message, "ar": error.message_ar}


def counts(rows: Sequence[Overlap], asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """One object per task and language: items that meet each criterion, and how similar the nearest questions are."""
    groups: dict[tuple[str, str, str], list[tuple[Overlap, Asked]]] = {}
    for row, item in zip(rows, asked, strict=True):
        groups.setdefault((row.task, row.language, row.split), []).append((row, item))
    return [
        {"task": task, "language": language, "split": split, "title": _title(task), **_counted(members)}
        for (task, language, split), members in groups.items()
    ]


def _title(name: str) -> dict[str, str]:
    task = all_tasks().get(name)
    return {"en": name, "ar": name} | dict(task.title if task is not None else {})


def _counted(members: Sequence[tuple[Overlap, Asked]]) -> dict[str, Any]:
    rows = [row for row, _ in members]
    kinds = Counter(row.image for row in rows)
    median, high, top = np.quantile([row.similarity for row in rows], (0.5, 0.9, 1.0))
    return {
        "n": len(rows),
        "with_image": sum(bool(item.item.pictures) for _, item in members),
        "distinct_questions": len({item.item.texts[:1] for _, item in members}),
        "image_errors": sum(bool(row.image_error) for row in rows),
        "image_kinds": {kind: kinds[kind] for kind in KINDS},
        "overlap": {criterion: sum(row.meets(criterion) for row in rows) for criterion in CRITERIA},
        "translated_by_id_alone": sum(row.translated_by == "id alone" for row in rows),
        "similarity": {"median": float(median), "p90": float(high), "max": float(top)},
    }


def split_scores(run: Path, rows: Sequence[Overlap], seed: int = 0) -> list[dict[str, Any]]:
    """The headline figure of the overlapping items and of the others, for every criterion that divides a task.

    The two groups hold different questions, so a gap may also come from one being harder: the figure of the others
    is the one to trust, the gap alone proves no leak.
    """
    found = []
    for result in read_results(run)["rows"]:
        own = {row.id: row for row in rows if (row.task, row.language) == (result["task"], result["language"])}
        if result["condition"] != MODEL or not own:
            continue
        folder = TaskFolder(run, result["task"], result["language"])
        scored = read_lines(folder.scored_path(MODEL, result["mode"]), Scored)
        for criterion in CRITERIA:
            inside = [row for row in scored if row.id in own and own[row.id].meets(criterion)]
            outside = [row for row in scored if row.id in own and not own[row.id].meets(criterion)]
            if inside and outside:
                figures = {"overlapping": _headline(inside, result, seed), "others": _headline(outside, result, seed)}
                found.append(
                    {
                        **{key: result[key] for key in ("task", "language", "mode", "headline")},
                        "title": _title(result["task"]),
                        "criterion": criterion,
                        **{
                            name: {**figure._asdict(), "items": items}
                            for (name, figure), items in zip(figures.items(), (len(inside), len(outside)), strict=True)
                        },
                    }
                )
    return found


def _headline(scored: Iterable[Scored], result: dict[str, Any], seed: int) -> Metric:
    rows, family = list(scored), find_family(result["family"])
    summary_ = summarize(rows, family.composites, empty=empty_value(family, result["mode"]), seed=seed)
    return summary_.get(result["headline"], Metric(None, None, None, 0, 0))
