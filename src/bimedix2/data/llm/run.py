"""Runs a step over records: many rows at once, each exactly once, until all are decided or something ends the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from bimedix2.endpoint.errors import (
    EndpointBadReplyError,
    EndpointBadRequestError,
    EndpointError,
)
from bimedix2.errors import BiMediX2Error
from bimedix2.records import Record

from .caller import Caller, Tally
from .errors import RunStoppedError
from .ledger import Call, Ledger, Row, put_call, put_row, see_row
from .prompts import Prompts
from .replies import Cut, Faulty, Good
from .rows import JobKeys, accepted, judge_stored, left_open, parked_by, text_of, tombstone
from .settings import RunSettings
from .step import Answered, Ask, By, Outcome, Parked, PassedOver, Step

_KEPT = 4000

Progress = Callable[[int, "StepRun"], None]


class StepRun:
    """One run of a step.

    Args:
        step: what is done to each record.
        ledger: of the workspace.
        callers: the models that the step asks.
        settings: how it is run.
        stop: set from outside to end the run; requests under way are waited for.
        tally: the callers' counts.
        prompts: for the request to repair a reply.
        progress: told after every decided row.
    """

    def __init__(
        self,
        step: Step,
        ledger: Ledger,
        callers: Mapping[By, Caller],
        settings: RunSettings,
        stop: asyncio.Event,
        tally: Tally,
        prompts: Prompts,
        progress: Progress | None = None,
    ) -> None:
        self.step, self.ledger, self.tally = step, ledger, tally
        self._callers, self._settings, self._stop, self._prompts = callers, settings, stop, prompts
        self._progress = progress
        self._fatal: BiMediX2Error | None = None
        self._failed_in_a_row = self._open = self.decided = self.done_before = 0
        self._answered = ledger.totals().replies > 0
        self._refused: list[Row] = []  # by a server that has not answered anything yet
        self._last_failure: EndpointError | None = None
        self._keys = JobKeys(step, {role: caller.server for role, caller in callers.items()}, settings)

    async def run(self, records: Iterable[Record]) -> None:
        """Decide every row, as far as the run gets.

        Raises:
            BiMediX2Error: what ended the run; everything that was answered is kept.
        """
        try:
            await self._all(records)
        except BaseExceptionGroup as group:  # the others were cancelled on account of the first
            raise group.exceptions[0] from None
        self._settle_refused()
        if self._fatal is not None:
            raise self._fatal
        if self._stop.is_set():
            raise RunStoppedError(self._open)

    async def _all(self, records: Iterable[Record]) -> None:
        slots = asyncio.Semaphore(self._settings.concurrency)
        started = 0
        async with asyncio.TaskGroup() as group:
            for position, (record, variant) in enumerate(self._rows(records)):
                todo = await self._todo(record, variant, position)
                if todo is None:
                    continue
                await slots.acquire()
                if self._stop.is_set() or (self._settings.limit is not None and started >= self._settings.limit):
                    break
                started += 1
                task = group.create_task(self._row(todo, record, variant))
                task.add_done_callback(lambda _: slots.release())

    def _rows(self, records: Iterable[Record]) -> Iterable[tuple[Record, int]]:
        return ((record, variant) for record in records for variant in range(self._settings.variants))

    async def _todo(self, record: Record, variant: int, position: int) -> Row | None:
        """The row if it is still to be decided; ``None`` if it was, by the same step under the same settings."""
        row_key, job_key = self._keys.of(record, variant)
        if self._keys.is_done(self.ledger, row_key, job_key):
            self.done_before += 1
            seen = see_row(row_key, self.ledger.run, position)
            if self.done_before % 1000:
                self.ledger.post(seen)
            else:  # so that the queue does not outgrow the writer
                await self.ledger.write(seen)
            return None
        return Row(row_key=row_key, id=record.id, job_key=job_key, run=self.ledger.run, position=position, state="open")

    async def _row(self, row: Row, record: Record, variant: int) -> None:
        """Decide one row; whatever goes wrong stays with it or ends the run."""
        self._open += 1
        try:
            decided = await self._decide(row, record, variant)
        except BiMediX2Error as error:
            self._end(error)
            self.ledger.post(put_row(left_open(row, error)))
            return
        if decided is None:
            return
        # Not waited for: its replies are on the disk, so a run that dies here decides it again at no cost.
        self.ledger.post(put_row(decided))
        self._open -= 1
        self.decided += 1
        if self._progress is not None:
            self._progress(self.decided, self)

    async def _decide(self, row: Row, record: Record, variant: int) -> Row | None:
        """The row as decided, or ``None`` where it stays open.

        Raises:
            BiMediX2Error: the run has to end.
        """
        try:
            outcome = await self._play(row, record, variant)
        except PassedOver as passed:
            return msgspec.structs.replace(row, state="passed_over", reason=passed.reason)
        except Parked as parked:
            return tombstone(row, record, parked)
        except EndpointBadReplyError as error:
            return tombstone(row, record, Parked("bad_reply", error.message, error.message_ar))
        except EndpointBadRequestError as error:
            refused = tombstone(row, record, Parked("bad_request", error.message, error.message_ar))
            return self._hold_refused(refused, error)
        except EndpointError as error:
            self._note_failure(row, error)
            return None
        return accepted(row, outcome)

    async def _play(self, row: Row, record: Record, variant: int) -> Outcome:
        """Play the step's job, each question answered from the ledger or by the server."""
        job = self.step.job(record, variant)
        try:
            ask = next(job)
            while True:
                ask = job.send(await self._answer(row.row_key, ask, variant))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        finally:
            job.close()

    async def _answer(self, row_key: str, ask: Ask[Any], variant: int) -> Answered:
        """An accepted reply to one question; faults go back to the model, a cut reply may be longer once.

        Raises:
            Parked: there is none.
        """
        messages, max_tokens, repairs, kind = ask.messages, ask.max_tokens, 0, "first"
        caller = self._callers[ask.by]
        while True:
            request = caller.request(messages, ask.reply, max_tokens, variant, ask.expected_tokens)
            call = Call(row_key, ask.stage, kind, ask.prompt.label, caller.server.model, request.key)
            stored = await caller.reply(request, call, self._may_send)
            self._answered, self._failed_in_a_row = True, 0
            verdict = judge_stored(stored, ask)
            if isinstance(verdict, Good):
                self.ledger.post(put_call(call, "accepted"))
                day = time.strftime("%Y-%m-%d", time.gmtime(stored.at))
                return Answered(verdict.value, stored.served or caller.server.model, stored.request_key, day)
            text, last = text_of(stored), parked_by(verdict, ask)
            self.ledger.post(put_call(call, "rejected", reason=last.reason))
            last.reply = text[:_KEPT]
            if isinstance(verdict, Cut) and max_tokens == ask.max_tokens:
                max_tokens, kind = 2 * max_tokens, "longer"
            elif isinstance(verdict, Faulty) and repairs < self._settings.repairs:
                repairs += 1
                messages, kind = (*messages, *self._repair(ask, text, verdict.problem)), f"repair{repairs}"
            else:
                raise last

    def _repair(self, ask: Ask[Any], reply: str, problem: str) -> tuple[dict[str, str], dict[str, str]]:
        prompt = self._prompts.get("repair", ask.prompt.language)
        said = {"role": "assistant", "content": reply[:_KEPT] or "…"}
        return said, prompt.messages(problem=problem)[-1]

    def _may_send(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if self._stop.is_set():
            raise RunStoppedError(self._open)

    def _end(self, error: BiMediX2Error) -> None:
        """Send nothing more; the first reason is the one that is told."""
        if self._fatal is None and not isinstance(error, RunStoppedError):
            self._fatal = error
        self._stop.set()

    def _note_failure(self, row: Row, error: EndpointError) -> None:
        """Leave a row open; end the run where rows fail one after the other, or all would."""
        self.ledger.post(put_row(left_open(row, error)))
        self._last_failure = error
        self._failed_in_a_row += 1
        if error.stops_run or self._failed_in_a_row >= self._settings.give_up_after:
            self._end(error)

    def _hold_refused(self, row: Row, error: EndpointError) -> Row | None:
        """Decide a row that the server refuses once it answered another; else the fault may not be the row's."""
        if self._answered:
            return row
        self._refused.append(row)
        self._last_failure = error
        if len(self._refused) >= self._settings.give_up_after:
            self._end(error)
        return None

    def _settle_refused(self) -> None:
        if self._answered:
            self.ledger.post(*(put_row(row) for row in self._refused))
            self._open -= len(self._refused)
            self.decided += len(self._refused)
        if self._open and self._fatal is None:
            self._fatal = self._last_failure
