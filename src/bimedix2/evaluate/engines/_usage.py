"""What requests cost, and a budget that holds with many of them under way at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bimedix2.endpoint.errors import BudgetExceededError
from bimedix2.endpoint.price import Price, most_tokens


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Running totals.

    Attributes:
        requests: calls that were answered.
        retries: further attempts that those and failed calls took.
        prompt_tokens, completion_tokens: as the server counts them.
        uncounted: calls without a count (no ``usage`` in the reply, or none came in time). Their cost is taken to
            be the worst case, since the server may have charged for them.
        cost: in the currency of the price; 0 without one.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Usage(**dict(zip(Usage.__struct_fields__, (a + b for a, b in pairs), strict=True)))


class Ledger:
    """Adds up usage and refuses a call that could exceed the budget; safe to share between threads.

    Args:
        price: of the model.
        budget: most that may be spent, in the currency of the price.
        spent: totals to start from.
    """

    def __init__(self, price: Price | None, budget: float | None, spent: Usage) -> None:
        self.price, self.budget = price, budget
        self._total, self._reserved = spent, 0.0
        self._changed = threading.Condition()

    @property
    def total(self) -> Usage:
        """Totals so far."""
        with self._changed:
            return self._total

    def worst_case(self, messages: Sequence[Mapping[str, Any]], max_tokens: int) -> float:
        """Most that one attempt can cost.

        No tokenizer makes more tokens than the text has UTF-8 bytes, so their number bounds the prompt.
        """
        if self.price is None:
            return 0.0
        prompt = sum(most_tokens(message, self.price.image_tokens) for message in messages)
        return self.price.of(prompt, max_tokens)

    def reserve(self, worst: float) -> None:
        """Set ``worst`` aside for an attempt, waiting for those under way where they decide whether it fits.

        Raises:
            BudgetExceededError: it does not fit.
        """
        with self._changed:
            while self.budget is not None and self._total.cost + self._reserved + worst > self.budget:
                if self._total.cost + worst > self.budget or self._reserved <= 0:
                    raise BudgetExceededError(self.budget, self._total.cost, worst)
                self._changed.wait()
            self._reserved += worst

    def settle(self, worst: float, usage: Usage) -> None:
        """Replace what was set aside by what it came to."""
        with self._changed:
            # A running difference of floats may end a hair from 0.
            self._reserved = max(0.0, self._reserved - worst)
            self._total += usage
            self._changed.notify_all()
