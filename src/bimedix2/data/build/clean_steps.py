"""Steps 6 to 8: identifying data, near duplicates, test items."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.errors import RecordError
from bimedix2.records import Record, read_jsonl, write_jsonl

from .folders import write_json
from .job import Job, Outcome
from .recipe import DedupRecipe, PhiRecipe

PHI_FINDINGS = "phi.jsonl"
DUPLICATES = "duplicates.jsonl"


def phi(job: Job) -> Outcome:
    """List what may identify a person, by place and shape; then redact, or set the records aside."""
    from bimedix2.data.privacy.records import PhiRow, scan_records

    settings: PhiRecipe = job.settings
    with (job.folder / PHI_FINDINGS).open("wb") as file:

        def take(row: PhiRow) -> None:
            file.write(msgspec.json.encode(msgspec.structs.replace(row, file=job.source.name)) + b"\n")

        counts = scan_records(job.source, take, job.place.data if settings.images else None, job.place.runner)
    quarantine, done = Quarantine(quarantine_path(job.out)), False
    try:
        written = write_jsonl(job.out, _screened(job, settings, quarantine))
        done = True
    finally:
        quarantine.close(keep=done)
    kept = counts["with_findings"] - sum(quarantine.counts.values())
    details = {**counts, "action": settings.action, "images_looked_at": settings.images}
    key = "redacted" if settings.action == "redact" else "identifying"
    listed = {key: kept} if kept else {}
    return Outcome(counts["records"], written, aside=dict(quarantine.counts), listed=listed, details=details)


def _screened(job: Job, settings: PhiRecipe, quarantine: Quarantine) -> Iterator[Record]:
    from bimedix2.data.privacy.records import marked, redact_all

    records = read_jsonl(job.source, unique_ids=False)
    if settings.action == "redact":
        yield from redact_all(records, job.place.runner)
    elif settings.action == "report":
        yield from records
    else:
        for row, (record, identifies) in enumerate(marked(records, job.place.runner), start=1):
            if not identifies:
                yield record
                continue
            problem = RecordError(job.source, row, "turns", "may identify a person", "قد يحدد هوية شخص")
            quarantine.add(problem, "identifying", record.id)


def dedup(job: Job) -> Outcome:
    """Near duplicates; in report mode the records stay and the list is all that comes of it."""
    from bimedix2.data.decontaminate.dedup import DedupSettings
    from bimedix2.data.decontaminate.dedup import dedup as run

    recipe: DedupRecipe = job.settings
    settings = DedupSettings(
        similarity=recipe.similarity, images=recipe.images, data=job.place.data, runner=job.place.runner
    )
    counts = run(job.source, job.out, settings, job.place.tell)
    found = {f"duplicate_{why}": count for why, count in sorted(counts["dropped"].items())}
    details = {"action": recipe.action, "similarity": recipe.similarity, "images": recipe.images, "found": found}
    if recipe.action == "drop":
        return Outcome(counts["records"], counts["written"], aside=found, details=details)
    if quarantine_path(job.out).exists():
        quarantine_path(job.out).rename(job.folder / DUPLICATES)
    rows = write_jsonl(job.out, read_jsonl(job.source, unique_ids=False))
    return Outcome(rows, rows, listed=found, details=details)


def forget_times(path: Path, **replaced: Any) -> dict[str, Any]:
    """Rewrite a report without its times and with stable paths, so that a second build makes the same bytes."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    content.pop("seconds", None)
    content.update({"date": "", **replaced})
    write_json(path, content)
    return content


def reasons(path: Path) -> dict[str, int]:
    """Lines of a quarantine file by their code."""
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return dict(sorted(Counter(str(json.loads(line)["code"]) for line in file).items()))
