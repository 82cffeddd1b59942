"""The thread that owns the model: jobs join and leave between two steps (Orca, Yu et al., OSDI 2022)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import torch

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.errors import DeadlineError, QueueFullError, ServeError

from .batch import Batch
from .errors import closed, engine_fault, is_out_of_memory, out_of_memory
from .ticket import Ticket

if TYPE_CHECKING:
    from .model import BatchModel

_LOG = logging.getLogger(__name__)
_FIRST_GUESS = 5.0
_LONGEST_RETRY = 60.0


class Scheduler:
    """Queues jobs and runs them together.

    Args:
        model: used by this scheduler's thread alone.
        places: answers written at a time.
        queue: jobs that may wait for a place.
        prefix_bytes: bound of the prefix cache.
    """

    def __init__(self, model: BatchModel, *, places: int, queue: int, prefix_bytes: int) -> None:
        self.batch = Batch(model, places, prefix_bytes)
        self._places, self._queue = places, queue
        self._waiting: deque[Ticket] = deque()
        self._held: list[Ticket] = []
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = _FIRST_GUESS
        self._thread = threading.Thread(target=self._run, name="bimedix2-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Queue a job.

        Raises:
            QueueFullError: no more may wait.
            EngineDownError: the scheduler is closed.
        """
        with self._changed:
            if self._closed or not self._thread.is_alive():
                raise closed()
            busy = len(self._held) + len(self._waiting)
            if busy >= self._places + self._queue:
                raise QueueFullError(self._retry_after())
            self._waiting.append(ticket)
            ticket.tell_position(max(0, busy - self._places + 1))
            self._changed.notify()

    def cancel(self, ticket: Ticket) -> None:
        """Give up a job; its place is free before the next step."""
        with self._changed:
            ticket.cancelled = True
            self._changed.notify()

    def counts(self) -> tuple[int, int]:
        """Jobs that have a place, and jobs that wait for one."""
        with self._changed:
            free = min(self._places - len(self._held), len(self._waiting))
            return len(self._held) + free, len(self._waiting) - free

    def is_alive(self) -> bool:
        """Whether the thread still answers."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End every job and the thread; returns once both are gone."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _retry_after(self) -> float:
        rounds = (len(self._waiting) + 1) / self._places
        return float(min(max(1.0, self._seconds * rounds), _LONGEST_RETRY))

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while self._await_work():
                    self._turn()
        finally:
            with self._changed:
                self._closed = True
                left = [*self._waiting, *self._held]
                self._waiting.clear()
                self._held.clear()
            for ticket in left:
                ticket.emit(closed())

    def _await_work(self) -> bool:
        """Wait until there is something to do, then sort out who has gone and who gets a place."""
        with self._changed:
            while not self._closed and not self._waiting and not self._held:
                self._changed.wait()
            if self._closed:
                return False
            gone = [ticket for ticket in (*self._waiting, *self._held) if ticket.cancelled or ticket.is_late()]
            for ticket in gone:
                if ticket in self._held:
                    self._held.remove(ticket)
                    self.batch.drop(ticket)
                else:
                    self._waiting.remove(ticket)
            while self._waiting and len(self._held) < self._places:
                ticket = self._waiting.popleft()
                self._held.append(ticket)
                self.batch.admit(ticket)
                ticket.tell_position(0)
            for position, ticket in enumerate(self._waiting, start=1):
                ticket.tell_position(position)
        for ticket in gone:
            if not ticket.cancelled:
                ticket.emit(DeadlineError())
        return True

    def _turn(self) -> None:
        """One piece of one prompt, then one token of every answer."""
        for failed in (self.batch.read, self.batch.step):
            for ticket, error in failed():
                self._fail(ticket, error)
        for ticket, last in self.batch.finished():
            self._seconds += 0.2 * (time.monotonic() - ticket.started - self._seconds)
            # The place is free before the caller hears of it, who may ask again at once.
            self._release(ticket)
            ticket.emit(last)

    def _release(self, ticket: Ticket) -> None:
        with self._changed:
            self._held.remove(ticket)

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        self.batch.drop(ticket)
        self._release(ticket)
        ticket.emit(as_serve_error(error))
        if not isinstance(error, BiMediX2Error):
            # Only the kind: an exception's text may quote what somebody wrote.
            _LOG.error("request %s failed in the engine: %s", ticket.job.request_id, type(error).__name__)


def as_serve_error(error: Exception) -> ServeError:
    """What a caller is told about a failed job."""
    if isinstance(error, ServeError):
        return error
    if is_out_of_memory(error):
        return out_of_memory()
    if isinstance(error, BiMediX2Error):
        return ServeError(str(error), error.message_ar, code=error.code, status=400, param="messages")
    return engine_fault()
