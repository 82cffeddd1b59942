"""Step 5: what people read, and what they said, flows back; the line waits until they have read enough."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.data.review.export import SIDES, export, side_file
from bimedix2.data.review.plan import Plan, load_plan
from bimedix2.data.review.store import Workspace
from bimedix2.errors import DataError, RecordError
from bimedix2.records import Record, read_jsonl, write_jsonl

from .folders import write_json
from .job import Job, Outcome
from .recipe import ReviewRecipe

REPORT, AUDIT, REJECTED = "review.json", "audit.jsonl", "rejected.jsonl"
NO_VERDICT = ("pending", "adjudicate", "retranslate")
_REVIEWED = "reviewed.jsonl"
_WHY = {
    "rejected": ("rejected by a reviewer", "رفضه مراجع"),
    "pending": ("not read yet, in a lot that has not passed", "لم يقرأ بعد، في مجموعة لم تجتز"),
    "adjudicate": ("readers differ and nobody decided", "اختلف القراء ولم يحسم"),
    "retranslate": ("its lot failed: translate it anew", "لم تجتز مجموعته: تعاد ترجمته"),
}


def workspace_of(job: Job) -> Path:
    """Folder of the review of exactly these texts: verdicts on other texts do not count for them."""
    parts = [job.source, job.file_before("check", "findings.jsonl")]
    parts += [job.place.file(job.settings.plan, "review.plan")] if job.settings.plan else []
    marks = "".join(sha256_file(path) for path in parts if path is not None)
    return job.place.out / "review" / hashlib.sha256(marks.encode()).hexdigest()[:12]


def depends(job: Job) -> dict[str, Any]:
    """The plan, and the last line of the log: a new verdict makes the step anew."""
    folder = workspace_of(job)
    if not (folder.is_dir() and _is_started(folder)):
        return {"workspace": folder.name, "log": ""}
    with Workspace(folder) as store:
        return {"workspace": folder.name, "log": store.entries()[-1].hash}


def run(job: Job) -> Outcome:
    """Begin a review, or take its verdicts.

    Raises:
        DataError: ``review_waits``: people have not read enough; it says how to let them.
    """
    settings: ReviewRecipe = job.settings
    folder = workspace_of(job)
    if not (folder.is_dir() and _is_started(folder)):
        _start(job, folder)
    with Workspace(folder) as store:
        report = _report(store)
        _require_read(report, settings, folder, job)
        export(store, job.folder / _REVIEWED)
    outcome = Outcome(details=_details(report, settings))
    quarantine, done = Quarantine(quarantine_path(job.out)), False
    try:
        outcome.rows_out = write_jsonl(job.out, _merged(job, settings, outcome, quarantine))
        done = True
    finally:
        quarantine.close(keep=done)
    outcome.aside = dict(sorted(quarantine.counts.items()))
    (job.folder / _REVIEWED).unlink()
    sides = _sides(job)
    sides.pop("audit").rename(job.folder / AUDIT)
    sides.pop("rejected").rename(job.folder / REJECTED)
    for path in sides.values():
        path.unlink()
    write_json(job.folder / REPORT, report)
    return outcome


def _is_started(folder: Path) -> bool:
    from bimedix2.data.review.errors import ReviewError

    try:
        with Workspace(folder) as store:
            return store.ready
    except ReviewError:
        return False


def _start(job: Job, folder: Path) -> None:
    from bimedix2.data.review.intake import Sources, start

    plan = load_plan(job.place.file(job.settings.plan, "review.plan")) if job.settings.plan else Plan()
    queue = job.file_before("translate", "translate.review.jsonl")
    checks = job.file_before("check", "findings.jsonl")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sources = Sources([job.source], [queue] if queue else [], [checks] if checks else [])
    started = start(folder, sources, plan)
    job.place.tell(
        f"review: {started.items:,} translations in {len(started.strata)} strata",
        f"المراجعة: {started.items:,} ترجمة في {len(started.strata)} طبقة",
    )


def _report(store: Workspace) -> dict[str, Any]:
    from bimedix2.data.review.report import review_report

    return review_report(store)


def _require_read(report: dict[str, Any], settings: ReviewRecipe, folder: Path, job: Job) -> None:
    read = sum(report["states"][name] for name in ("accept", "edit", "reject"))
    open_lots = [one["name"] for one in report["strata"] if one["state"] != "passed"]
    if read >= settings.at_least and not (settings.lots_must_pass and open_lots):
        return
    lots = f" These lots have not passed: {', '.join(open_lots)}." if settings.lots_must_pass else ""
    lots_ar = f" لم تجتز المجموعات: {'، '.join(open_lots)}." if settings.lots_must_pass else ""
    serve = f"bimedix2 data review serve {folder} --data {job.place.data} --reviewer NAME"
    serve += f" --pictures {job.place.pictures}" if job.place.pictures.is_dir() else ""
    raise DataError(
        f"The build waits for people: {read} translations are read, at least {settings.at_least} must be.{lots} Let "
        f"them read with `{serve}`, then run the same command again.",
        f"ينتظر البناء المراجعين: قرئت {read} ترجمة والمطلوب {settings.at_least} على الأقل.{lots_ar} شغل الأمر "
        f"`{serve}` ليقرؤوا، ثم أعد الأمر نفسه.",
        code="review_waits",
    )


def _details(report: dict[str, Any], settings: ReviewRecipe) -> dict[str, Any]:
    names = ("items", "queue", "states", "plan", "strata", "flagged", "agreement")
    return {**{name: report[name] for name in names}, "reviewers": settings.reviewers, "unread": settings.unread}


def _sides(job: Job) -> dict[str, Path]:
    return {name: side_file(job.folder / _REVIEWED, name) for name in SIDES}


def _merged(job: Job, settings: ReviewRecipe, outcome: Outcome, quarantine: Quarantine) -> Iterator[Record]:
    """Records in the order of the input: with the reviewers' words, kept unread, or set aside."""
    scripted = settings.reviewers == "scripted"
    beside = {name: _ids(_sides(job)[name]) for name in ("rejected", *NO_VERDICT)}
    reviewed = read_jsonl(job.folder / _REVIEWED, unique_ids=False)
    head = next(reviewed, None)
    for row, record in enumerate(read_jsonl(job.source, unique_ids=False), start=1):
        outcome.rows_in = row
        if head is not None and head.id == record.id:
            found, head = head, next(reviewed, None)
            if scripted and found.turns != record.turns:  # nobody who can judge it asked for this
                outcome.listed["edit_not_taken"] = outcome.listed.get("edit_not_taken", 0) + 1
                found = record
            yield found
            continue
        kind = next((name for name, ids in beside.items() if record.id in ids), "pending")
        if scripted or (kind == "pending" and settings.unread == "keep"):
            label = "unread" if kind == "pending" else f"{kind}_not_taken"
            outcome.listed[label] = outcome.listed.get(label, 0) + 1
            yield record
            continue
        quarantine.add(RecordError(job.source, row, "turns", *_WHY[kind]), f"review_{kind}", record.id)
    # What is left came from the queue of the translation step: held back there, and accepted by people now.
    while head is not None and not scripted:
        outcome.added += 1
        yield head
        head = next(reviewed, None)


class _Id(msgspec.Struct):
    id: str


def _ids(path: Path) -> set[str]:
    decoder = msgspec.json.Decoder(_Id)
    with path.open("rb") as file:
        return {decoder.decode(line).id for line in file}
