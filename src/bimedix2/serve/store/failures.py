"""A full or read-only disk as one error that says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bimedix2.serve.errors import ServeError


class StorageError(ServeError):
    """The data folder cannot be read or written now; nothing of the request was kept."""

    code = "storage_unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The server cannot write to its disk; it may be full or read-only. Nothing was saved. "
            "Tell the person who runs the server, and try again later.",
            "يتعذر على الخادم الكتابة على القرص، فقد يكون ممتلئا أو للقراءة فقط. لم يحفظ شيء. "
            "أبلغ المسؤول عن الخادم ثم أعد المحاولة لاحقا.",
            retry_after=30.0,
        )


@contextmanager
def storage() -> Iterator[None]:
    """Turn what the disk or SQLite says into ``StorageError``; the cause stays out of the answer and of the logs."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
        raise StorageError from error
