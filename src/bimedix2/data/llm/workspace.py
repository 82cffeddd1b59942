"""A step, its input and its workspace put together: run it, or say what it would cost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bimedix2.cache import write_whole
from bimedix2.errors import BiMediX2Error, ConfigError, RecordError
from bimedix2.records import Record

from .budget import Budget
from .caller import Caller, Tally
from .estimate import Estimate, estimate
from .ledger import LEDGER, Ledger
from .prompts import Prompts
from .results import SUMMARY, read_inputs, unique, write_results
from .rows import JobKeys
from .run import Progress, StepRun
from .settings import RunSettings, Server
from .step import By, Step


@dataclass(frozen=True)
class Work:
    """One step over one input.

    Attributes:
        step: what is done.
        inputs: files of records.
        out: file of the new records, ``.jsonl`` or ``.parquet``.
        folder: the workspace: ledger, review queue and summary.
        servers: a model for every role of the step.
        settings: how it is run.
        prompts: where prompts come from.
    """

    step: Step
    inputs: Sequence[Path]
    out: Path
    folder: Path
    servers: Mapping[By, Server]
    settings: RunSettings = field(default_factory=RunSettings)
    prompts: Prompts = field(default_factory=Prompts)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did and where the workspace stands.

    Attributes:
        records, review, quarantine: lines of the three files.
        passed_over: records that the step is not for, by reason.
        open: rows that are begun but not decided, by reason.
        quarantined: records given up, by reason, without rows that could not be read.
        done_before, decided: rows decided by earlier runs, and by this one.
        requests, cached, failures: replies paid for, replies found in the ledger, attempts without a reply.
        prompt_tokens, completion_tokens: of this run, as the server counts them.
        lost: requests of a process that died, taken as paid for.
        cost: of the workspace over all runs, in the currency of the prices.
        seconds: that this run took.
        stopped: code of the error that ended it; empty where it got through.
    """

    records: int
    review: int
    quarantine: int
    passed_over: dict[str, int]
    open: dict[str, int]
    quarantined: dict[str, int]
    done_before: int
    decided: int
    requests: int
    cached: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    lost: int
    cost: float
    seconds: float
    stopped: str


def run_work(work: Work, progress: Progress | None = None) -> tuple[Summary, BiMediX2Error | None]:
    """Run a step and write its files, also where something ends it early; the error then comes beside the summary.

    Raises:
        BiMediX2Error: the run could not begin, or its files could not be written.
    """
    _check(work)
    started = time.monotonic()
    ledger = Ledger(work.folder)
    try:
        tally = Tally()
        run, error = asyncio.run(_run(work, ledger, tally, progress))
        asyncio.run(ledger.write())  # all that was posted is on the disk
        counts = write_results(ledger, work.out, work.folder)
        summary = _summary(ledger, run, tally, counts, time.monotonic() - started, error)
    finally:
        ledger.close()
    write_whole(work.folder / SUMMARY, msgspec.json.format(msgspec.json.encode(summary), indent=2))
    return summary, error


async def _run(
    work: Work, ledger: Ledger, tally: Tally, progress: Progress | None
) -> tuple[StepRun, BiMediX2Error | None]:
    stop = asyncio.Event()
    budget = Budget(work.settings.budget, ledger.totals().cost)
    callers: dict[By, Caller] = {}
    by_server: dict[str, Caller] = {}
    for role in work.step.roles:
        server = work.servers[role].checked(work.settings.budget)
        mark = msgspec.json.encode(server).decode()
        if mark not in by_server:
            by_server[mark] = Caller(server, ledger, budget, stop, tally, work.settings.accept_models)
        callers[role] = by_server[mark]
    run = StepRun(work.step, ledger, callers, work.settings, stop, tally, work.prompts, progress)
    try:
        with _stopping(stop):
            await run.run(read_inputs(work.inputs, ledger))
    except BiMediX2Error as error:
        return run, error
    finally:
        for caller in by_server.values():
            await caller.close()
    return run, None


@contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM lets requests under way finish; a second ends the process as usual."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    try:
        for number in signals:
            loop.add_signal_handler(number, first)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def estimate_work(work: Work) -> Estimate:
    """What a run would cost; nothing is sent, and the workspace is opened only if it is there.

    Raises:
        BiMediX2Error: an input or setting cannot be used, or the workspace is in use.
    """
    _check(work)
    ledger = Ledger(work.folder) if (work.folder / LEDGER).is_file() else None
    try:
        rate = ledger.tokens_per_byte() if ledger else None
        records = _with_state(work, ledger)
        return estimate(work.step, records, work.servers, variants=work.settings.variants, tokens_per_byte=rate)
    finally:
        if ledger is not None:
            ledger.close()


def _with_state(work: Work, ledger: Ledger | None) -> Iterator[tuple[Record, bool]]:
    def ignore(_: RecordError) -> None: ...

    keys = JobKeys(work.step, work.servers, work.settings)
    for record in unique(work.inputs, ignore):
        yield record, ledger is not None and keys.is_done(ledger, *keys.of(record, 0))


def _check(work: Work) -> None:
    for server in work.servers.values():
        server.checked(work.settings.budget)
    if work.out.suffix not in (".jsonl", ".parquet"):
        raise RecordError(work.out, 0, "file", "must end in .jsonl or .parquet", "يجب أن ينتهي بـ .jsonl أو .parquet")
    for path in work.inputs:
        if not path.is_file():
            raise RecordError(path, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")
        if path.resolve() == work.out.resolve():
            raise ConfigError(
                f"{path} is both input and output. Give --out another name.",
                f"الملف {path} مدخل ومخرج معا. أعط --out اسما آخر.",
            )
    sampled = all(work.servers[role].temperature > 0 for role in work.step.roles[:1])
    seeded = all(work.servers[role].seed is not None for role in work.step.roles[:1])
    if work.settings.variants > 1 and not (sampled and seeded):
        raise ConfigError(
            "Several variants need --temperature above 0 and a seed; else all are the same.",
            "تحتاج النسخ المتعددة إلى --temperature أكبر من صفر وإلى بذرة، وإلا تطابقت.",
        )


def _summary(
    ledger: Ledger, run: StepRun, tally: Tally, counts: dict[str, int], seconds: float, error: BiMediX2Error | None
) -> Summary:
    states = ledger.states()

    def by_reason(state: str) -> dict[str, int]:
        return {reason: count for (name, reason), count in sorted(states.items()) if name == state}

    return Summary(
        **counts,
        passed_over=by_reason("passed_over"),
        open=by_reason("open"),
        quarantined=by_reason("tombstone"),
        done_before=run.done_before,
        decided=run.decided,
        requests=tally.requests,
        cached=tally.cached,
        failures=tally.failures,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        lost=ledger.lost,
        cost=ledger.totals().cost,
        seconds=round(seconds, 3),
        stopped=error.code if error else "",
    )
