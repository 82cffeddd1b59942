"""The server's SQLite file: one writer at a time, every table in the module that uses it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bimedix2.errors import ConfigError

_BUSY_MS = 5000


class Database:
    """A connection for every thread of one process.

    Args:
        folder: the data folder; made with mode 0700, the file with 0600.
        shared: open it beside a running server, for commands; SQLite lets one of them write at a time.

    Raises:
        ConfigError: ``busy``: another server uses the folder; ``data_folder``: it cannot be written.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        self.folder, self.path = folder, folder / "server.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"The data folder {folder} cannot be written ({error.strerror}). Choose another --data.",
                f"تتعذر الكتابة في مجلد البيانات {folder}. اختر مجلدا آخر بالخيار --data.",
                code="data_folder",
            ) from error
        try:
            if not shared:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise ConfigError(
                f"Another server uses {folder}. Stop it, or choose another --data.",
                f"يستخدم خادم آخر المجلد {folder}. أوقفه أو اختر مجلدا آخر بالخيار --data.",
                code="busy",
            ) from error
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def create(self, schema: str) -> None:
        """Run ``CREATE … IF NOT EXISTS`` statements."""
        self._connection().executescript(schema)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything or, on an exception, nothing."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have ended it, or may have left it open
                connection.execute("ROLLBACK")
            raise

    def read(self) -> sqlite3.Connection:
        """The calling thread's connection, for SELECT."""
        return self._connection()

    def close(self) -> None:
        """Close every connection and let another server have the folder."""
        with self._guard:
            for connection in self._open:
                connection.close()
            self._open.clear()
            if self._lock >= 0:  # closing a number twice could close somebody else's file
                os.close(self._lock)
                self._lock = -1

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            self._local.connection = connection
            with self._guard:
                self._open.append(connection)
        return connection
