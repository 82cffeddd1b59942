"""What workers do in the tests of runners; a module of its own, for workers import it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bimedix2.errors import RecordError


def doubler() -> Callable[[Sequence[int]], tuple[int, list[int]]]:
    """The process, and twice every number."""
    return lambda batch: (os.getpid(), [2 * number for number in batch])


def failing_at(number: int, how: str) -> Callable[[Sequence[int]], list[int]]:
    def work(batch: Sequence[int]) -> list[int]:
        if number in batch:
            if how == "record":
                raise RecordError("file.jsonl", number, "turns", "is odd", "فردي")
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("text of a record")
        return list(batch)

    return work


def slow(folder: Path) -> Callable[[Sequence[int]], None]:
    (folder / f"{os.getpid()}.worker").touch()

    def work(batch: Sequence[int]) -> None:
        time.sleep(0.2)

    return work
