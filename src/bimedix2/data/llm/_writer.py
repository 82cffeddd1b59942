"""One thread that writes to SQLite: whatever has come up since its last commit goes into the next one."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import LedgerError

_BATCH = 512


class Statement(NamedTuple):
    """SQL and its values."""

    sql: str
    values: Sequence[Any] = ()


class _Waiter(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def tell(self, error: LedgerError | None) -> None:
        self.loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: LedgerError | None) -> None:
        if self.future.done():  # cancelled meanwhile
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


_Item = tuple[Sequence[Statement], _Waiter | None]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that is on the disk when a commit returns."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


class Writer:
    """Writes groups of statements in the order in which they are given; each group is in one transaction.

    A commit that reaches the disk costs milliseconds on some disks; shared by all replies that came meanwhile, it
    costs each next to nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._failed: LedgerError | None = None
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    async def write(self, *statements: Statement) -> None:
        """Return when the statements are on the disk.

        Raises:
            LedgerError: they could not be written.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        self._queue.put((statements, waiter))
        await waiter.future

    def post(self, *statements: Statement) -> None:
        """Write without waiting: they come before all that is given later."""
        self._queue.put((statements, None))

    def close(self) -> None:
        """Write what is left and end the thread.

        Raises:
            LedgerError: something that nobody waited for could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def _work(self) -> None:
        connection = connect(self._path)
        try:
            going = True
            while going:
                batch, going = self._next_batch()
                if batch:
                    self._commit(connection, batch)
        finally:
            connection.close()

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """What waits in the queue, at least one item; ``False`` when nothing comes after it."""
        batch: list[_Item] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _BATCH:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, connection: sqlite3.Connection, batch: list[_Item]) -> None:
        if self._failed is None:
            try:
                connection.execute("BEGIN IMMEDIATE")
                for statements, _ in batch:
                    for statement in statements:
                        connection.execute(statement.sql, statement.values)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                # Nothing after this may be believed to be stored, so nothing more is.
                self._failed = LedgerError(self._path, str(error))
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        for _, waiter in batch:
            if waiter is not None:
                waiter.tell(self._failed)
