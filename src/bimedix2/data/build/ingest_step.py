"""Step 1: records from public sets and from files of records."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bimedix2.data.ingest import IngestSettings, ingest
from bimedix2.data.ingest_report import report_path
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.data.sources.registry import find_source
from bimedix2.errors import RecordError
from bimedix2.records import Record, read_records, write_jsonl

from .job import Job, Outcome, Place
from .recipe import HeldOutRecipe, IngestRecipe, SourceRecipe


def depends(job: Job) -> dict[str, Any]:
    """Content of the recipe's own files of records."""
    return {"records": job.place.hashes(job.settings.records, "ingest.records")}


def run(job: Job) -> Outcome:
    """Read every source, then join them into one file in which an id stands once."""
    settings: IngestRecipe = job.settings
    outcome = Outcome()
    aside: Counter[str] = Counter()
    parts = [_source(job, number, one, outcome, aside) for number, one in enumerate(settings.sources)]
    quarantine, done = Quarantine(quarantine_path(job.out)), False
    try:
        outcome.rows_out = write_jsonl(job.out, _joined(job, parts, quarantine))
        done = True
    finally:
        quarantine.close(keep=done)
    for _, path in parts:
        path.unlink()
    aside.update(quarantine.counts)
    outcome.aside = dict(sorted(aside.items()))
    outcome.rows_in = outcome.rows_out + sum(aside.values())
    return outcome


def _source(
    job: Job, number: int, one: SourceRecipe, outcome: Outcome, aside: Counter[str]
) -> tuple[SourceRecipe, Path]:
    job.place.tell(f"ingest: {one.source}", f"الاستيراد: {one.source}")
    path = job.folder / f"{number + 1:02d}-{one.source}.jsonl"
    report = read_source(job.place, one.source, path, _settings(job, one))
    details = outcome.details.setdefault("sources", [])
    details.append(
        {
            "source": one.source,
            "licence": report["licence"],
            "notes": find_source(one.source).info.notes,
            "notes_ar": find_source(one.source).info.notes_ar,
            "splits": sorted(one.splits),
            "options": report["request"]["options"],
            "records": report["records"],
            "skipped": report["skipped"],
            "set_aside": report["quarantine"]["by_code"],
        }
    )
    aside.update(report["quarantine"]["by_code"])
    outcome.watched += watched(report)
    return one, path


def _settings(job: Job, one: SourceRecipe) -> IngestSettings:
    return IngestSettings(
        splits=frozenset(one.splits),
        options=one.options,
        encoding=one.encoding,
        keep_missing_images=one.keep_missing_images,
        hash_images=job.settings.hash_images,
        pictures=job.place.pictures,
    )


def read_source(place: Place, name: str, out: Path, settings: IngestSettings) -> dict[str, Any]:
    """Ingest one source and return its report, whose file is taken away: it holds times and scratch paths."""
    report = ingest(name, place.data, out, dataclasses.replace(settings, pictures=place.pictures), place.tell)
    report_path(out).unlink(missing_ok=True)
    return report


def watched(report: dict[str, Any]) -> list[Path]:
    """The original files that an ingest report names."""
    return [Path(file["path"]) for file in report["files"]] + [Path(path) for path in report["absent"]]


def held_out(place: Place, one: HeldOutRecipe, out: Path) -> dict[str, Any]:
    """Write the evaluated records of a source; an absent split is no fault, for the others are compared."""
    settings = IngestSettings(splits=frozenset(one.splits), options=one.options)
    return read_source(place, one.source, out, settings)


def _joined(job: Job, parts: list[tuple[SourceRecipe, Path]], quarantine: Quarantine) -> Iterator[Record]:
    """All records in the order of the recipe; of an id that comes twice the first stays."""
    files: list[tuple[str, Path, bool]] = [(one.source, path, one.paired) for one, path in parts]
    named = [(name, job.place.file(name, "ingest.records"), False) for name in job.settings.records]
    several = len(files) + len(named) > 1
    from bimedix2.data.seen import Seen

    with Seen() as seen:
        for name, path, paired in (*files, *named):
            for row, record in enumerate(read_records(path, on_error=quarantine.add), start=1):
                if paired and record.pair_id is None:
                    error = RecordError(name, row, "pair_id", "has no translation", "لا ترجمة له")
                    quarantine.add(error, "not_paired", record.id)
                elif several and (first := seen.first(record.id, 0, row)) is not None:
                    problem = f"{record.id!r} came before, in record {first.row}"
                    error = RecordError(name, row, "id", problem, "المعرف ورد من قبل")
                    quarantine.add(error, "duplicate_id", record.id)
                else:
                    yield record
