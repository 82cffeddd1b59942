"""A budget that holds with many requests under way: money is set aside before a request is sent."""

from __future__ import annotations

import asyncio

from bimedix2.endpoint.errors import BudgetExceededError


class Budget:
    """Counts what is spent and refuses a request that could exceed the limit.

    Args:
        limit: most that may be spent, in the currency of the prices; ``None`` for no limit.
        spent: by earlier runs in the same workspace.
    """

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        self.limit, self.spent = limit, spent
        self._reserved, self._open = 0.0, 0
        self._settled = asyncio.Event()

    async def reserve(self, worst: float) -> None:
        """Set the most that a request can cost aside, waiting for those under way where they decide.

        Raises:
            BudgetExceededError: it does not fit.
        """
        while self.limit is not None and self.spent + self._reserved + worst > self.limit:
            if self.spent + worst > self.limit or not self._open:
                raise BudgetExceededError(self.limit, self.spent, worst)
            self._settled.clear()
            await self._settled.wait()
        self._reserved += worst
        self._open += 1

    def settle(self, worst: float, cost: float) -> None:
        """Replace what was set aside by what it came to."""
        self._open -= 1
        # A running difference of floats may end a hair from 0.
        self._reserved = max(0.0, self._reserved - worst) if self._open else 0.0
        self.spent += cost
        self._settled.set()
