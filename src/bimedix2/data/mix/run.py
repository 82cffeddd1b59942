"""The mix from end to end: two passes over the inputs, whole or not at all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bimedix2.data.locks import only_one
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.errors import ConfigError, RecordError

from .checks import conflicts_path, once_each, refuse, require_no_test, split_clashes
from .count import Counter, counter_for
from .facts import SPLITS, Facts, gather
from .guard import Guarded, by_reports, compared, plain
from .plan import Plan, make_plan
from .plot import draw_mix
from .report import already_done, cell_counts, facts_of, finish, left_out, plan_content, request_of, table
from .settings import CellCounts, MixReport, MixSettings, Tell, report_path
from .targets import are_shares
from .write import Written, changed, write_mix


def run_mix(settings: MixSettings, tell: Tell | None = None) -> MixReport:
    """Write a mix, or return the report of an earlier run that had done the same.

    The plan is told before anything is written, and what came out after. ``OUT.quarantine.jsonl`` has the rows that
    could not be used, ``OUT.conflicts.jsonl`` the pairs that a mix was refused for. An interrupted run leaves the old
    mix as it was.

    Args:
        settings: what to mix, and how.
        tell: takes lines in English and Arabic.

    Raises:
        ConfigError: settings that contradict each other.
        DataError: ``conflicts``, ``test_records``, ``not_decontaminated``, ``contaminated``, ``unreadable_images``,
            ``infeasible``, ``no_records``, ``changed`` or ``busy``.
        RecordError: a file is missing or damaged as a whole; with ``strict`` also any bad row.
    """
    tell = tell or (lambda english, arabic: None)
    _check(settings)
    for path in settings.inputs:
        if not path.is_file():
            raise RecordError(path, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")
    with ExitStack() as stack:
        work = stack.enter_context(_working_folder(settings))
        guarded = by_reports(settings) if _by_reports(settings) else None
        request = request_of(settings)
        earlier = None if settings.force or settings.dry_run else already_done(settings, request)
        report = earlier or _Run(settings, work, request, tell).go(guarded)
    if settings.plot is not None:
        draw_mix(report.cells, str(report.content["counted_with"]), settings.plot, tell)
    return report


def _by_reports(settings: MixSettings) -> bool:
    return settings.contamination == "report" and not settings.dry_run


def _check(settings: MixSettings) -> None:
    are_shares(settings.targets)
    if not settings.inputs:
        raise ConfigError("Give at least one file of records.", "أعط ملف سجلات واحدا على الأقل.")
    if len({path.absolute() for path in settings.inputs}) < len(settings.inputs):
        raise ConfigError("An input is given twice.", "أعطي ملف إدخال مرتين.")
    if settings.out.absolute() in {path.absolute() for path in settings.inputs}:
        raise ConfigError("--out must not be one of the inputs.", "يجب ألا يكون --out أحد ملفات الإدخال.")
    if settings.out.suffix not in (".jsonl", ".parquet"):
        raise ConfigError("--out must end in .jsonl or .parquet.", "يجب أن ينتهي --out بـ .jsonl أو .parquet.")
    if settings.upsample_limit < 1 or (settings.total is not None and settings.total < 1):
        raise ConfigError("--total and --upsample-limit count from 1.", "يبدأ كل من --total و--upsample-limit من 1.")
    if not settings.splits or not settings.splits <= set(SPLITS) - {"test"}:
        raise ConfigError("--split is train or dev.", "قيمة --split هي train أو dev.")


@contextmanager
def _working_folder(settings: MixSettings) -> Iterator[Path]:
    """A folder beside the output, for this process alone; what a killed run left in it goes first."""
    work = settings.out.with_name(f".{settings.out.name}.work")
    with only_one(settings.out):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


class _Run:
    def __init__(self, settings: MixSettings, work: Path, request: dict[str, Any], tell: Tell) -> None:
        self.settings, self.work, self.request, self.tell = settings, work, request, tell
        self.quarantine = Quarantine(quarantine_path(settings.out))

    def go(self, guarded: Guarded | None) -> MixReport:
        """Check, plan, write."""
        settings, started, done = self.settings, time.monotonic(), False
        inputs = [facts_of(path) for path in settings.inputs]
        guarded = guarded or self._guard()
        try:
            for reason in guarded.reasons:
                error = RecordError(reason.file, reason.row, reason.field, reason.reason, reason.reason_ar)
                if settings.strict and reason.code == "bad_row":
                    raise error
                self.quarantine.add(error, reason.code, reason.id)
            counter = counter_for(settings.unit, settings.tokens, self.tell)
            facts = gather(guarded.files, counter, self.work, self._set_aside, self.tell)
            keep, plan = self._plan(facts)
            cells = cell_counts(facts, plan)
            self._tell_table(cells, counter, done=False)
            content = plan_content(settings, self.request, facts, plan, cells)
            content |= self._rest(inputs, guarded, counter, left_out(facts, keep, settings))
            if settings.dry_run:
                return MixReport(settings.out, report_path(settings.out), 0, "", cells, False, content)
            written = self._write(facts, plan, counter, inputs)
            done = True
        finally:
            self.quarantine.close(keep=done)
        content |= written.counts | {"seconds": round(time.monotonic() - started, 3)}
        self._tell_table(cells, counter, done=True)
        return finish(settings, content, written.records, written.content_sha256)

    def _guard(self) -> Guarded:
        if self.settings.contamination != "report":
            return compared(self.settings, self.work, self.tell)
        self.tell("The plan alone: test sets are not compared.", "الخطة وحدها: لم تقارن مجموعات الاختبار.")
        return Guarded(plain(self.settings.inputs), ())

    def _set_aside(self, error: RecordError, code: str, name: str | None) -> None:
        if self.settings.strict:
            raise error
        self.quarantine.add(error, code, name)

    def _plan(self, facts: Facts) -> tuple[Any, Plan]:
        require_no_test(facts)
        keep, clashes = once_each(facts)
        clashes += split_clashes(facts, shared_images=self.settings.shared_images)
        if clashes:
            refuse(facts, clashes, self.settings.out, keep_list=not self.settings.dry_run)
        if not self.settings.dry_run:
            conflicts_path(self.settings.out).unlink(missing_ok=True)
        return keep, make_plan(facts, keep, self.settings)

    def _write(self, facts: Facts, plan: Plan, counter: Counter, inputs: list[dict[str, Any]]) -> Written:
        # From here on the old mix may be replaced, and a report must not speak for another one.
        report_path(self.settings.out).unlink(missing_ok=True)
        written = write_mix(facts, plan, self.settings, counter.by, self.work)
        for before in inputs:
            if facts_of(Path(before["path"])) != before:
                raise changed(Path(before["path"]))
        return written

    def _rest(
        self, inputs: list[dict[str, Any]], guarded: Guarded, counter: Counter, left: dict[str, int]
    ) -> dict[str, Any]:
        total = sum(self.quarantine.counts.values())
        return {
            "counted_with": counter.by,
            "inputs": inputs,
            "left_out": left,
            "decontamination": list(guarded.about),
            "quarantine": {
                "path": str(quarantine_path(self.settings.out)) if total else None,
                "rows": total,
                "by_code": dict(sorted(self.quarantine.counts.items())),
            },
        }

    def _tell_table(self, cells: tuple[CellCounts, ...], counter: Counter, *, done: bool) -> None:
        self.tell(table(cells, counter.by, "en", done=done), table(cells, counter.by_ar, "ar", done=done))
