"""How fast requests may leave: so many a minute, so many tokens a minute, and a pause when the server asks for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Spreads a rate evenly, so that no minute, wherever it starts, holds more than the rate.

    Args:
        per_minute: units a minute; ``None`` sets no limit.

    >>> pace = Pace(120)  # one every half second
    >>> pace.book(1, start=10.0), pace.free_at
    (None, 10.5)
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self.free_at = 0.0

    def book(self, cost: float, start: float) -> None:
        """Use ``cost`` units from ``start`` on, which is not before :attr:`free_at`."""
        self.free_at = start + cost * self._seconds

    def correct(self, difference: float) -> None:
        """Book ``difference`` units more than was thought, or fewer where it is negative."""
        self.free_at += difference * self._seconds


class Limits:
    """Lets requests go one by one at the allowed pace.

    Args:
        requests_per_minute, tokens_per_minute: ``None`` sets no limit.
        stopped: whether nothing new is to be sent; then nobody waits any longer.
        clock, sleep: replaced in tests.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        stopped: Callable[[], bool] = lambda: False,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._requests, self._tokens = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._stopped, self._clock, self._sleep = stopped, clock, sleep
        self._held_until = 0.0

    async def wait(self, tokens: float) -> None:
        """Return when a request of about ``tokens`` tokens, read and written, may be sent."""
        start = max(self._clock(), self._requests.free_at, self._tokens.free_at)
        self._requests.book(1, start)
        self._tokens.book(tokens, start)
        while (left := max(start, self._held_until) - self._clock()) > 0 and not self._stopped():
            await self._sleep(left)

    def correct(self, estimated: float, used: float) -> None:
        """Replace the estimate of one request by what the server counted."""
        self._tokens.correct(used - estimated)

    def hold(self, seconds: float) -> None:
        """Let nothing go for a while: the server said that it is too much, whoever asked."""
        self._held_until = max(self._held_until, self._clock() + seconds)
