"""Puts replies to a judge: what is stored is not asked again, and a request that fails takes no other along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from bimedix2.errors import BiMediX2Error
from bimedix2.evaluate.controls import MODEL
from bimedix2.evaluate.registry import find_family
from bimedix2.evaluate.runner import Job, Notes, Say
from bimedix2.evaluate.schema import Mode, Reply, Sample, Verdict

from .judge import Judge, Request
from .protocols import JudgeQuestion
from .verdicts import VERDICTS, VerdictFile, verdict_key
from .wording import Wording, digest

_MAX_FAILED = 6
_TOLD = 25


@runtime_checkable
class JudgedFamily(Protocol):
    """A scoring family that needs a judge: what it asks about one reply in one mode."""

    def questions(self, sample: Sample, reply: Reply, mode: Mode, texts: Wording) -> list[JudgeQuestion]:
        """Questions to the judge; none where the reply can be scored without."""
        ...


@dataclass
class Outcome:
    """How asking a judge ended.

    Attributes:
        complete: every verdict is there.
        errors: key of a request -> why it has no verdict.
        stopped: a fault that every further request would meet too, such as a used-up budget.
    """

    complete: bool = True
    errors: dict[str, BiMediX2Error] = field(default_factory=dict)
    stopped: BiMediX2Error | None = None


def judge_jobs(
    jobs: Sequence[Job],
    judge: Judge,
    run: Path,
    modes: Sequence[Mode],
    say: Say,
    notes: Notes | None = None,
    *,
    ask: bool = True,
) -> bool:
    """Judge the replies of every job whose family needs it, the model's own before its controls'.

    Args:
        jobs: after :func:`bimedix2.evaluate.runner.ask_all`; receive ``verdicts`` and ``judge``, also where this
            is interrupted.
        judge: what to ask.
        run: folder of the run; verdicts are in its ``verdicts.jsonl``.
        modes: scoring modes; each family's defaults if it has none of them.
        say: receives progress and the errors of single requests.
        notes: receives the reason where the judge cannot go on.
        ask: ask for what is missing; otherwise take what is stored.

    Returns:
        Whether every verdict is there. Those that are stay; the same command asks only for the rest.
    """
    from bimedix2.evaluate.scoring import modes_of

    file = VerdictFile(run / VERDICTS)
    work: list[tuple[Job, list[Request]]] = []
    for job in sorted(jobs, key=lambda job: job.condition != MODEL):
        family = find_family(job.task.family)
        if isinstance(family, JudgedFamily):
            wanted = modes_of(family, modes)
            work.append((job, requests_of(family, job.samples, job.in_order(), wanted, judge, job.condition)))
    outcome = Outcome()
    try:
        if ask:
            ask_judge([request for _, requests in work for request in requests], judge, file, say, outcome)
    finally:
        for job, requests in work:
            found = verdicts_of(requests, file)
            job.verdicts = {name: verdicts for (name, _), verdicts in found.items()}
            job.judge = about(requests, judge, file, outcome)
    if notes is not None:
        notes.stopped = notes.stopped or outcome.stopped
    return outcome.complete


def judge_replies(
    family: JudgedFamily,
    samples: Sequence[Sample],
    replies: Sequence[Reply],
    modes: Sequence[Mode],
    judge: Judge,
    path: Path,
    say: Say,
) -> tuple[list[Reply], dict[str, Any], Outcome]:
    """Judge stored predictions; a reply that came with verdicts on a question keeps those.

    Args:
        family, samples, replies, modes: as for scoring.
        judge: what to ask.
        path: file of the verdicts.
        say: as for :func:`judge_jobs`.

    Returns:
        The replies with their verdicts, what judged them, and how it ended.
    """
    requests = [
        request
        for sample, reply in zip(samples, replies, strict=True)
        for request in requests_of(family, [sample], [reply], modes, judge)
        if request.question.name not in {verdict.question for verdict in reply.verdicts}
    ]
    file, outcome = VerdictFile(path), Outcome()
    ask_judge(requests, judge, file, say, outcome)
    found = verdicts_of(requests, file)
    judged = [
        msgspec.structs.replace(reply, verdicts=(*reply.verdicts, *found.get((sample.id, sample.language), ())))
        for sample, reply in zip(samples, replies, strict=True)
    ]
    return judged, about(requests, judge, file, outcome), outcome


def requests_of(
    family: JudgedFamily,
    samples: Sequence[Sample],
    replies: Sequence[Reply | None],
    modes: Sequence[Mode],
    judge: Judge,
    condition: str = MODEL,
) -> list[Request]:
    """What there is to ask about a set of replies; failed and missing ones are not judged."""
    return [
        Request(verdict_key(judge.fingerprint, question.messages, repeat), sample, condition, question, repeat)
        for sample, reply in zip(samples, replies, strict=True)
        if reply is not None and not reply.error
        for mode in modes
        for question in family.questions(sample, reply, mode, judge.texts)
        for repeat in range(judge.repeats)
    ]


def verdicts_of(requests: Sequence[Request], file: VerdictFile) -> dict[tuple[str, str], tuple[Verdict, ...]]:
    """(sample id, language) -> the verdicts that are there."""
    found: dict[tuple[str, str], tuple[Verdict, ...]] = {}
    for request in requests:
        row = file.get(request.key)
        if row is not None:
            place = request.sample.id, request.sample.language
            # Equal questions share a stored verdict, whatever it was first asked for.
            verdict = Verdict(question=request.question.name, repeat=request.repeat, text=row.text)
            found[place] = (*found.get(place, ()), verdict)
    return found


def about(requests: Sequence[Request], judge: Judge, file: VerdictFile, outcome: Outcome) -> dict[str, Any]:
    """Judge, settings, failures and cost behind a set of verdicts, as results keep them."""
    keys = {request.key for request in requests}
    rows = [row for key in sorted(keys) if (row := file.get(key)) is not None]
    return {
        "model": judge.endpoint.model,
        "answered_as": sorted({row.model for row in rows if row.model}),
        "fingerprint": judge.fingerprint,
        "prompts": digest(judge.texts),
        "repeats": judge.repeats,
        "prompt_tokens": sum(row.prompt_tokens for row in rows),
        "completion_tokens": sum(row.completion_tokens for row in rows),
        "cost": round(sum(row.cost for row in rows), 6),
        "errors": dict(Counter(error.code for key, error in outcome.errors.items() if key in keys)),
    }


def ask_judge(requests: Sequence[Request], judge: Judge, file: VerdictFile, say: Say, outcome: Outcome) -> None:
    """Ask for every verdict that is not stored; each is on disk as soon as it arrives.

    It ends early when several requests in a row failed, or when a fault such as a wrong key or a used-up budget would
    meet every further one.
    """
    missing = list({request.key: request for request in requests if file.get(request.key) is None}.values())
    if not missing:
        return
    stored, worst = len({request.key for request in requests}) - len(missing), judge.at_most(missing)
    cost = f", at most {worst:.2f}" if worst is not None else ""
    say(f"judge {judge.endpoint.model}: {stored} verdicts are stored, {len(missing)} to go{cost}")
    done = in_a_row = 0
    outcome.complete = False
    with closing(_answers(missing, judge, file)) as answers:
        for request, error in answers:
            done, in_a_row = done + 1, in_a_row + 1 if error else 0
            if error is not None:
                outcome.errors[request.key] = error
                say(f"judge: {request.sample.task} {request.sample.language} {request.sample.id}: {error.code}")
                if getattr(error, "stops_run", False) or in_a_row >= _MAX_FAILED:
                    outcome.stopped = error
                    return
            if done % _TOLD == 0 or done == len(missing):
                say(f"judge: {done - len(outcome.errors)}/{len(missing)} verdicts")
    outcome.complete = not outcome.errors


def _answers(
    requests: Sequence[Request], judge: Judge, file: VerdictFile
) -> Generator[tuple[Request, BiMediX2Error | None], None, None]:
    """Every request as it ends, with its error; when this is closed, those under way still end and are kept."""

    def one(request: Request) -> tuple[Request, BiMediX2Error | None]:
        try:
            file.add(judge.ask(request))
        except BiMediX2Error as error:
            return request, error
        return request, None

    waiting = iter(requests)
    under_way: set[Future[tuple[Request, BiMediX2Error | None]]] = set()
    pool = ThreadPoolExecutor(judge.concurrency, thread_name_prefix="judge")
    try:
        while True:
            free = judge.concurrency - len(under_way)
            under_way |= {pool.submit(one, request) for request in islice(waiting, free)}
            if not under_way:
                return
            ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            judge.write_usage()
            for future in ended:
                yield future.result()
    finally:
        with judge.endpoint.no_retries():
            pool.shutdown()
        judge.write_usage()
