"""The audit log beside answers: the line that one begins is on the disk before its first word goes out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bimedix2.serve.store.audit import AuditLog

# Lines that wait at the same time share one write to the disk, so that many threads make it faster.
_THREADS = 16


class Trail:
    """Writes lines without holding up the event loop.

    Args:
        log: where they go.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="audit")
        self._under_way: set[asyncio.Future[None]] = set()

    def write(self, line: dict[str, Any]) -> asyncio.Future[None]:
        """Start to write; the future ends when the disk has it, or with ``StorageError``.

        Args:
            line: arguments of ``AuditLog.record``.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.run_in_executor(self._threads, lambda: self._log.record(**line))
        self._under_way.add(written)
        written.add_done_callback(self._ended)
        return written

    async def close(self) -> None:
        """Wait for the lines under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._threads.shutdown()

    def _ended(self, written: asyncio.Future[None]) -> None:
        self._under_way.discard(written)
        if not written.cancelled():
            written.exception()  # seen: whoever has to know awaits it, and /health tells the others
