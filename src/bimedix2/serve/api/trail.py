"""The audit log beside answers: the line that one begins is on the disk before its first word goes out."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bimedix2.serve.api.gate import describe
from bimedix2.serve.errors import ServeError
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.store.failures import StorageError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is written and waits for the disk."""

    number: int
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[None]


class Trail:
    """Writes lines in the event loop, which takes microseconds, and waits for the disk in a thread.

    Lines that wait at the same time share one wait. Writing in the thread too would make it fight over the
    interpreter's lock with the event loop, which costs more than the writing.

    Args:
        log: where they go.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._waiting: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, line: dict[str, Any], *, durable: bool) -> asyncio.Future[None]:
        """Write a line; the future ends when it is there, or with ``StorageError``.

        Args:
            line: arguments of ``AuditLog.record``.
            durable: the future waits for the disk, as what must be there before an answer goes out has to.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        written.add_done_callback(_seen)
        try:
            number = self._log.append(line)
        except StorageError as error:
            written.set_exception(error)
            return written
        if not durable:
            written.set_result(None)
            return written
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
            self._thread.start()
        self._waiting.put(_Line(number, loop, written))
        return written

    async def close(self) -> None:
        """Wait until the disk has every line."""
        if self._thread is not None:
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        await asyncio.to_thread(self._log.flush)

    def _work(self) -> None:
        line: _Line | None
        while (line := self._waiting.get()) is not None:
            lines = [line]
            with suppress(queue.Empty):
                while (line := self._waiting.get_nowait()) is not None:
                    lines.append(line)
            self._settle(lines)
            if line is None:
                return

    def _settle(self, lines: list[_Line]) -> None:
        error: ServeError | None = None
        try:
            self._log.sync(lines[-1].number)
        except StorageError as full:
            error = full
        except Exception as fault:  # noqa: BLE001 - a thread that ends would leave every later answer waiting
            _LOG.error("audit_failed", extra={"error": describe(fault)})
            error = StorageError()
        for line in lines:
            with suppress(RuntimeError):  # the loop has gone, and with it whoever waited
                line.loop.call_soon_threadsafe(_end(line.written, error))


def _end(written: asyncio.Future[None], error: ServeError | None) -> Callable[[], None]:
    def end() -> None:
        if written.done():
            return
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)

    return end


def _seen(written: asyncio.Future[None]) -> None:
    if not written.cancelled():
        written.exception()  # whoever has to know awaits it, and /health tells the others
