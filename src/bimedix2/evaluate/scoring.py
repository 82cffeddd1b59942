"""From replies to ``results.json``: figures with intervals, groups, and what they are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bimedix2 import __version__
from bimedix2.errors import BiMediX2Error
from bimedix2.records.schema import Language
from bimedix2.text.refusal import is_refusal

from .controls import MODEL
from .registry import find_family
from .runner import Job, Notes, RunOptions
from .schema import Family, Mode, Reply, Sample, Scored
from .statistics import Metric, Paired, compare, summarize
from .store import RESULTS, write_json

_GROUP_ROUNDS, _MIN_GROUP = 500, 5


def default_modes(family: Family) -> tuple[Mode, ...]:
    """The modes that are reported unless others are asked for."""
    modes: tuple[Mode, ...] = getattr(family, "default_modes", family.modes[:1])
    return modes


def modes_of(family: Family, modes: Sequence[Mode]) -> tuple[Mode, ...]:
    """Those of ``modes`` that a family has; its defaults if it has none of them."""
    return tuple(mode for mode in modes if mode in family.modes) or default_modes(family)


def empty_value(family: Family, mode: Mode) -> float | None:
    """What a mode prints for a metric without samples: nothing, or 0 where it copies a harness that does."""
    values: dict[Mode, float] = getattr(family, "empty_values", {})
    return values.get(mode)


def unavailable(family: Family, replies: Sequence[Reply] = (), mode: Mode = "") -> dict[str, dict[str, str]]:
    """Metrics that cannot be had here, or not for these replies, with the reason in both languages."""
    reasons: dict[str, tuple[str, str]] = getattr(family, "unavailable", dict)()
    if hasattr(family, "unjudged"):
        reasons = reasons | family.unjudged(replies, mode)
    return {name: {"en": en, "ar": ar} for name, (en, ar) in reasons.items()}


def score_replies(family: Family, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
    """Scores of one set, with refusals marked."""
    scored = family.score(samples, replies, mode)
    return [
        msgspec.structs.replace(row, refused=row.refused or is_refusal(reply.text, sample.language))
        for row, reply, sample in zip(scored, replies, samples, strict=True)
    ]


def results_of(
    jobs: Iterable[Job],
    model: str,
    options: RunOptions,
    run: Path,
    modes: Sequence[Mode],
    notes: Notes | None = None,
    usage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Score every job, write ``scored-….jsonl`` and ``results.json``.

    Samples without a reply (the run was cut short) are left out and make the result ``partial``. ``usage`` is what a
    paid engine used, and goes into the file as it is.
    """
    rows: list[dict[str, Any]] = []
    kept: Kept = {}
    partial = False
    for job in jobs:
        family = find_family(job.task.family)
        pairs = [(s, r) for s, r in zip(job.samples, job.in_order(), strict=True) if r is not None]
        partial = partial or len(pairs) < len(job.samples)
        if not pairs:
            continue
        samples, replies = [sample for sample, _ in pairs], [reply for _, reply in pairs]
        job.folder.write_answers(job.condition, replies)
        for mode in modes_of(family, modes):
            scored = score_replies(family, samples, replies, mode)
            job.folder.write_scored(job.condition, mode, scored)
            kept[job.task.name, job.language, mode, job.condition] = (scored, family)
            rows.append(_row(job, family, mode, scored, replies, options))
            rows[-1] |= judge_part(family, samples, replies, scored, mode, job.judge)
            partial = partial or bool(rows[-1].get("judge", {}).get("missing"))
    content = {
        "model": model,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "signature": f"bimedix2 {__version__}|seed {options.seed}|limit {options.limit or 'none'}",
        "partial": partial,
        **_noted(notes or Notes()),
        **({"usage": dict(usage)} if usage is not None else {}),
        "rows": rows,
        "comparisons": [*_against_controls(kept, options.seed), *_language_gap(kept, options.seed)],
    }
    write_json(run / RESULTS, content)
    return content


def _noted(notes: Notes) -> dict[str, Any]:
    """What of the data could not be used, with the first few bad rows named, and why the run ended early."""
    stopped = notes.stopped
    return {
        **({"stopped": {"en": str(stopped), "ar": stopped.message_ar}} if stopped is not None else {}),
        "skipped": _reasons(notes.skipped),
        "bad_rows": [
            {"task": task, "language": language, "n": len(errors), "first": [str(error) for error in errors[:5]]}
            for (task, language), errors in notes.bad_rows.items()
        ],
        "untrained": _reasons(notes.untrained),
    }


def _reasons(errors: Mapping[tuple[str, Language], BiMediX2Error]) -> list[dict[str, Any]]:
    return [
        {"task": task, "language": language, "reason": {"en": str(error), "ar": error.message_ar}}
        for (task, language), error in errors.items()
    ]


def _row(
    job: Job, family: Family, mode: Mode, scored: Sequence[Scored], replies: Sequence[Reply], options: RunOptions
) -> dict[str, Any]:
    summary = summarize(scored, family.composites, empty=empty_value(family, mode), seed=options.seed)
    return {
        "task": job.task.name,
        "language": job.language,
        "split": job.split,
        "mode": mode,
        "family": family.name,
        "condition": job.condition,
        "request": job.request,
        "headline": family.headline,
        "n": len(scored),
        "clusters": len({row.cluster or row.id for row in scored}),
        "errors": sum(bool(reply.error) for reply in replies),
        "unparsed": sum(not row.parsed for row in scored),
        "refused": sum(row.refused for row in scored),
        "seconds": round(sum(reply.seconds for reply in replies), 2),
        "metrics": as_json(summary),
        "unavailable": unavailable(family, replies, mode),
        "by_group": _by_group(scored, family, options.seed) if job.condition == MODEL else {},
    }


def judge_part(
    family: Family,
    samples: Sequence[Sample],
    replies: Sequence[Reply],
    scored: Sequence[Scored],
    mode: Mode,
    judge: Mapping[str, Any],
) -> dict[str, Any]:
    """``{"judge": …}``: what judged and how it fared, for the families that need it."""
    if not hasattr(family, "judging"):
        return {}
    return {"judge": {**judge, **family.judging(samples, replies, scored, mode, configured=bool(judge))}}


def as_json(summary: dict[str, Metric]) -> dict[str, dict[str, float | int | None]]:
    """Metrics as plain objects."""
    return {name: metric._asdict() for name, metric in summary.items()}


def _by_group(scored: Sequence[Scored], family: Family, seed: int) -> dict[str, dict[str, Any]]:
    """Figures of every category with at least five samples.

    A metric about whole clusters (``family.cluster_metrics``) is left out where a category cuts through them.
    """
    members: dict[str, list[Scored]] = {}
    for row in scored:
        for name, value in row.group.items():
            if value:
                members.setdefault(f"{name}={value}", []).append(row)
    sizes = Counter(row.cluster or row.id for row in scored)
    whole: frozenset[str] = getattr(family, "cluster_metrics", frozenset())
    result: dict[str, dict[str, Any]] = {}
    for name, own in sorted(members.items()):
        if len(own) < _MIN_GROUP:
            continue
        inside = Counter(row.cluster or row.id for row in own)
        cut = whole if any(sizes[cluster] != count for cluster, count in inside.items()) else frozenset()
        summary = summarize(own, family.composites, seed=seed, rounds=_GROUP_ROUNDS)
        metrics = {metric: value for metric, value in as_json(summary).items() if metric not in cut}
        result[name] = {"n": len(own), "metrics": metrics}
    return result


Kept = dict[tuple[str, Language, Mode, str], tuple[list[Scored], Family]]


def _against_controls(kept: Kept, seed: int) -> Iterable[dict[str, Any]]:
    for (task, language, mode, condition), (scored, family) in kept.items():
        model = kept.get((task, language, mode, MODEL))
        if condition != MODEL and model is not None:
            found = compare(scored, model[0], family.composites, seed=seed)
            what = {"kind": "control", "task": task, "language": language, "mode": mode}
            yield from comparison_rows(found, {**what, "a": condition, "b": MODEL})


def _language_gap(kept: Kept, seed: int) -> Iterable[dict[str, Any]]:
    """Arabic minus English on the items that both have."""
    for (task, language, mode, condition), (english, family) in kept.items():
        arabic = kept.get((task, "ar", mode, MODEL))
        if language != "en" or condition != MODEL or arabic is None:
            continue
        same = [msgspec.structs.replace(row, language="en") for row in arabic[0]]
        if not {row.id for row in same} & {row.id for row in english}:
            continue
        found = compare(english, same, family.composites, seed=seed)
        yield from comparison_rows(found, {"kind": "language", "task": task, "mode": mode, "a": "en", "b": "ar"})


def comparison_rows(found: dict[str, Paired], what: dict[str, Any]) -> list[dict[str, Any]]:
    """One object a metric; ``a_value``, ``b_value`` are the means, the rest as in ``Paired``."""
    return [
        {
            **what,
            "metric": metric,
            "a_value": pair.a,
            "b_value": pair.b,
            "difference": pair.difference,
            "low": pair.low,
            "high": pair.high,
            "p": pair.p,
            "n": pair.n,
        }
        for metric, pair in found.items()
    ]
