"""The two clocks that limits go by, replaceable in tests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

DAY = 86_400


class Clock(Protocol):
    """Tells the time."""

    def wall(self) -> float:
        """Seconds since 1970 in UTC; may jump either way."""

    def steady(self) -> float:
        """Seconds since some moment; never goes back."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def steady(self) -> float:
        """Seconds of uptime, with the time asleep where the system counts it."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


SYSTEM_CLOCK = SystemClock()
