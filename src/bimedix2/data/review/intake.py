"""``review start``: records, check results and a plan become a queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.errors import RecordError
from bimedix2.records import OnError, Record, read_records

from .entry import Entry
from .errors import ReviewError
from .findings import FindingRow, misplaced, read_checked, read_queued
from .plan import Plan
from .store import Workspace
from .view import languages_of_record

QUARANTINE = "quarantine.jsonl"
OWNER = "owner"
# A translation names its original as its parent; of two that only share a pair, the Arabic one is taken for it.
_PAIRS = """
CREATE TEMP TABLE pairs AS SELECT r.position, r.id, coalesce(
  (SELECT o.id FROM records o WHERE o.id = r.parent AND o.language <> r.language),
  (SELECT o.id FROM records o WHERE o.pair_id = r.pair_id AND r.language = 'ar' AND o.language = 'en'
     AND coalesce(o.parent, '') <> r.id ORDER BY o.position LIMIT 1),
  (SELECT o.id FROM records o WHERE o.id = r.pair_id AND r.language = 'ar' AND o.language = 'en'
     AND coalesce(o.parent, '') <> r.id)) AS original
FROM records r
"""
_CHOSEN = """
SELECT id, original FROM pairs WHERE original IS NOT NULL
  OR (:unpaired AND id NOT IN (SELECT original FROM pairs WHERE original IS NOT NULL)) ORDER BY position
"""


class Started(NamedTuple):
    """What ``start`` did.

    Attributes:
        records, items: that were read, and that can be reviewed.
        strata: number of items by stratum.
        refused: rows that could not be read; they are in the quarantine file.
    """

    records: int
    items: int
    strata: dict[str, int]
    refused: int


class Sources(NamedTuple):
    """Files of a review.

    Attributes:
        records: originals and translations.
        queued: ``review.jsonl`` of translation steps: records that a critic or a check did not let through.
        checked: results of checks, one JSON line a record.
    """

    records: Sequence[Path]
    queued: Sequence[Path] = ()
    checked: Sequence[Path] = ()


def start(folder: Path, sources: Sources, plan: Plan, *, unpaired: bool = False) -> Started:
    """Make the queue of a workspace; killed at any moment, it leaves nothing and can be run again.

    Args:
        folder: the workspace.
        sources: what is to be reviewed.
        plan: how.
        unpaired: also review records that are no translation.

    Raises:
        ReviewError: the workspace has a queue already, or there is nothing to review.
        RecordError: a file does not exist.
        WorkspaceBusyError: another process has the workspace open.
    """
    with Workspace(folder, write=True, new=True) as workspace:
        if workspace.ready:
            raise ReviewError(
                f"{folder} holds a review already. Serve it, or start the new one in another folder.",
                f"يحتوي {folder} على مراجعة من قبل. شغلها، أو ابدأ الجديدة في مجلد آخر.",
                code="already_started",
            )
        refused: list[RecordError] = []
        with workspace.transaction():
            count = _read_records(workspace, sources, refused.append)
            items = _make_items(workspace, sources, plan, unpaired, refused.append)
            if not items:
                raise _nothing(count)
            _quarantine(folder, refused)
            strata = workspace.strata()
            files = {str(path): sha256_file(path) for path in (*sources.records, *sources.queued, *sources.checked)}
            note = msgspec.json.encode({"files": files, "strata": strata, "plan": plan}).decode()
            workspace.append(
                Entry(reviewer=OWNER, role="owner", action="start", key="start", note=note, origin="start")
            )
            workspace.set_meta("plan", msgspec.json.encode(plan).decode())
        return Started(count, items, strata, len(refused))


def _read_records(workspace: Workspace, sources: Sources, on_error: OnError) -> int:
    put = _RecordWriter(workspace)
    for path in dict.fromkeys(sources.records):
        for record in read_records(path, on_error=on_error):
            put.record(path, 0, record, on_error)
    for path in dict.fromkeys(sources.queued):
        for row, queued in read_queued(path, on_error):
            if put.record(path, row, queued.record, on_error):
                put.found(queued.record.id, (queued.reason,) if queued.reason else (), (), queued.notes, queued.score)
    return put.count


class _RecordWriter:
    """Writes records and what was found of them; a repeated id with the same content is the same record."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.count = workspace, 0

    def record(self, path: Path, row: int, record: Record, on_error: OnError) -> bool:
        body = msgspec.json.encode(record)
        before = self.workspace.select("SELECT body FROM records WHERE id = ?", record.id)
        if before:
            if before[0][0] != body:
                problem = f"{record.id!r} came before with another content"
                on_error(RecordError(path, row, "id", problem, "المعرف ورد من قبل بمحتوى آخر"))
            return bool(before[0][0] == body)
        self.count += 1
        values = (self.count, record.id, record.parent, record.pair_id, languages_of_record(record), body)
        self.workspace.connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", values)
        return True

    def found(
        self,
        record_id: str,
        failed: Iterable[str],
        findings: Sequence[FindingRow],
        notes: Sequence[str],
        score: float | None,
    ) -> None:
        """Add to what was found of a record; findings of a later file come after the others."""
        before = self.workspace.found(record_id)
        if before is not None:
            failed = dict.fromkeys((*before.failed, *failed))
            findings = (*msgspec.json.decode(before.findings, type=tuple[FindingRow, ...]), *findings)
            notes, score = (*before.notes, *notes), before.score if score is None else score
        texts = (msgspec.json.encode(value).decode() for value in (tuple(failed), tuple(findings), tuple(notes)))
        self.workspace.connection.execute(
            "INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", (record_id, *texts, score)
        )


def _make_items(workspace: Workspace, sources: Sources, plan: Plan, unpaired: bool, on_error: OnError) -> int:
    connection, number = workspace.connection, 0
    connection.execute(_PAIRS)
    connection.execute("CREATE UNIQUE INDEX pairs_id ON pairs (id)")
    _read_checked(workspace, sources.checked, on_error)
    chosen = connection.execute(_CHOSEN, {"unpaired": unpaired})
    for number, (record_id, original) in enumerate(chosen, start=1):
        found = workspace.found(record_id)
        flagged = found is not None and bool(found.failed)
        values = (
            number,
            record_id,
            original,
            plan.stratum(workspace.record(record_id)),
            plan.draw("order", record_id),
            1 + plan.chosen("double", record_id, plan.double),
            int(flagged and plan.chosen("flagged", record_id, plan.flagged)),
            int(flagged),
        )
        connection.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    return number


def _read_checked(workspace: Workspace, paths: Sequence[Path], on_error: OnError) -> None:
    put = _RecordWriter(workspace)
    for path in dict.fromkeys(paths):
        for row, checked in read_checked(path, on_error):
            pair = workspace.select("SELECT original FROM pairs WHERE id = ?", checked.id)
            if not pair:
                problem = f"{checked.id!r} is in none of the record files"
                on_error(RecordError(path, row, "id", problem, "المعرف ليس في ملفات السجلات"))
                continue
            original = workspace.record(pair[0][0]) if pair[0][0] else None
            fault = misplaced(checked.findings, workspace.record(checked.id), original)
            if fault is not None:
                on_error(RecordError(path, row, *fault, "موضع خارج النص"))
                continue
            put.found(checked.id, checked.failed, checked.findings, (), None)


def _quarantine(folder: Path, refused: Sequence[RecordError]) -> None:
    """List the rows that were left out, with their reasons."""
    from bimedix2.cache import write_whole

    if not refused:
        return
    lines = [
        msgspec.json.encode({"file": e.path, "row": e.row, "field": e.field, "en": e.problem, "ar": e.problem_ar})
        for e in refused
    ]
    write_whole(folder / QUARANTINE, b"\n".join(lines) + b"\n")


def _nothing(count: int) -> ReviewError:
    return ReviewError(
        f"None of {count} records is a translation of another: give originals and translations (parent or pair_id), "
        "or --unpaired to review records alone.",
        f"عدد السجلات {count} وليس بينها ترجمة لآخر: أعط الأصول والترجمات (parent أو pair_id)، أو استخدم --unpaired "
        "لمراجعة السجلات منفردة.",
        code="nothing_to_review",
    )
