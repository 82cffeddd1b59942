"""A job on its way through the engine, and the road back to the event loop that waits for it."""

from __future__ import annotations

import asyncio
import time

from bimedix2.serve.engines.protocol import Delta, Job
from bimedix2.serve.errors import DeadlineError

Item = Delta | BaseException


class Ticket:
    """One job between the event loop and the thread that owns the model.

    Attributes:
        job: what to answer.
        cancelled: set by the event loop, read by the thread between two steps.
        position: queue position that was told last; ``None`` before any.
        started: ``time.monotonic()`` of the submission.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.cancelled = False
        self.position: int | None = None
        self.started = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    def emit(self, item: Item) -> None:
        """Send something to whoever waits; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:
            # The event loop is gone, and with it everyone who could read this.
            self.cancelled = True

    def tell_position(self, position: int) -> None:
        """Send news of the queue, if it is news; nothing is said to a job that never waited."""
        if position != self.position and (position or self.position is not None):
            self.position = position
            self.emit(Delta(queue_position=position))

    async def receive(self) -> Delta:
        """The next piece; waits no longer than the job's deadline, for the thread may be busy with something long.

        Raises:
            DeadlineError: the deadline has passed.
            BaseException: what was sent in place of a piece.
        """
        left = None if self.job.deadline is None else self.job.deadline - time.monotonic()
        try:
            item = await asyncio.wait_for(self._items.get(), left)
        except TimeoutError:
            raise DeadlineError from None
        if isinstance(item, BaseException):
            raise item
        return item

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.job.deadline is not None and time.monotonic() >= self.job.deadline
