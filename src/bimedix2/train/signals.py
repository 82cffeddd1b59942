"""Ctrl-C and SIGTERM as a question, so that a run ends between two steps with a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], bool]


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a question that the training loop asks after each step."""
    asked = [False]

    def handler(_signal: int, _frame: object) -> None:
        asked[0] = True

    previous = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0]
    finally:
        for number, old in previous.items():
            signal.signal(number, old)
