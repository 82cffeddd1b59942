"""One process at a time on one output file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bimedix2.errors import DataError


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Hold ``out`` for this process, and clear away what a killed one left half written beside it.

    Raises:
        DataError: ``busy``: another process holds it.
    """
    import fcntl

    out.parent.mkdir(parents=True, exist_ok=True)
    lock = out.with_name(f".{out.name}.lock")
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"{out} is being written by another process. Wait for it, or choose another --out.",
                f"تكتب عملية أخرى الملف {out}. انتظرها أو اختر --out آخر.",
                code="busy",
            ) from error
        for left in [*out.parent.glob(f".{out.name}-*"), *out.parent.glob(f".{out.stem}.quarantine.jsonl-*")]:
            if left.is_dir() and not left.is_symlink():  # a scratch folder
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        yield
    # The lock file stays: removing it could take it from under a process that is about to hold it.
