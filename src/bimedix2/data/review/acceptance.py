"""Acceptance sampling: how many rows to look at, when a lot passes, and how sure that makes us.

Binomial and hypergeometric probabilities are exact sums. Sources: Clopper and Pearson (1934), Biometrika 26; for
finite lots Buonaccorsi (1987), The American Statistician 41; Schilling and Neubauer, Acceptance Sampling in Quality
Control, chapters 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class SamplingPlan(NamedTuple):
    """A single or double sampling plan by attributes.

    Attributes:
        n1: rows of the first sample.
        accept1: with so many defects or fewer the lot passes.
        reject1: with so many or more it fails; in between a second sample is drawn.
        n2: rows of the second sample; 0 for a single plan.
        accept2: with so many defects in both samples or fewer the lot passes.
    """

    n1: int
    accept1: int
    reject1: int
    n2: int = 0
    accept2: int = 0


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Probability of at most ``k`` defects in ``n`` draws from a process with a share ``p`` of defects."""
    return math.fsum(_binomial(i, n, p) for i in range(min(k, n) + 1))


def _binomial(k: int, n: int, p: float) -> float:
    if p in (0.0, 1.0):
        return float(k == (n if p else 0))
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(p) + (n - k) * math.log1p(-p))


def hypergeometric_cdf(k: int, lot: int, defects: int, n: int) -> float:
    """Probability of at most ``k`` defects in ``n`` rows drawn from a lot that holds ``defects``."""
    return math.fsum(_hypergeometric(i, lot, defects, n) for i in range(min(k, n, defects) + 1))


def _hypergeometric(k: int, lot: int, defects: int, n: int) -> float:
    if n - k > lot - defects:
        return 0.0
    log = _log_choose(defects, k) + _log_choose(lot - defects, n - k) - _log_choose(lot, n)
    return math.exp(log)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def at_most(defects: int, n: int, confidence: float = 0.95) -> float:
    """One-sided upper Clopper-Pearson limit of the share of defects.

    >>> round(at_most(0, 299), 4)
    0.01
    """
    if defects >= n:
        return 1.0
    low, high = defects / n, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(defects, n, middle) > 1 - confidence else (low, middle)
    return high


def at_most_in_lot(defects: int, n: int, lot: int, confidence: float = 0.95) -> int:
    """Largest number of defects in a lot of ``lot`` rows that a sample of ``n`` with ``defects`` cannot rule out."""
    low, high = defects, lot - (n - defects)  # the rows that were seen without a defect have none
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeometric_cdf(defects, lot, middle, n) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def zero_acceptance_size(share: float, confidence: float = 0.95, allowed: int = 0) -> int:
    """Smallest sample that, with ``allowed`` defects or fewer, shows that at most ``share`` is defective.

    >>> [zero_acceptance_size(share) for share in (0.05, 0.02, 0.01, 0.005)]
    [59, 149, 299, 598]
    """
    return _smallest(lambda n: binomial_cdf(allowed, n, share) <= 1 - confidence, allowed + 1)


def zero_acceptance_size_of_lot(share: float, lot: int, confidence: float = 0.95) -> int:
    """The same for a lot of ``lot`` rows drawn without replacement: smaller, and never more than the lot."""
    defects = math.floor(share * lot + 1e-9) + 1
    if defects > lot:
        return 0
    return min(lot, _smallest(lambda n: hypergeometric_cdf(0, lot, defects, n) <= 1 - confidence, 1))


def _smallest(holds: Callable[[int], bool], start: int) -> int:
    """Smallest n from ``start`` for which a condition holds that stays true once it is."""
    high = start
    while not holds(high):
        high *= 2
    low = start
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def chance_to_pass(plan: SamplingPlan, p: float) -> float:
    """Probability that a lot with a share ``p`` of defects passes: the plan's operating characteristic."""
    passed = binomial_cdf(plan.accept1, plan.n1, p)
    for first in range(plan.accept1 + 1, plan.reject1 if plan.n2 else 0):
        passed += _binomial(first, plan.n1, p) * binomial_cdf(plan.accept2 - first, plan.n2, p)
    return passed


class Standing(NamedTuple):
    """Where a lot stands.

    Attributes:
        state: ``passed``, ``failed`` or ``open``.
        needed: rows of the random order that must be looked at for the next decision.
    """

    state: str
    needed: int


def standing(plan: SamplingPlan, defective: list[bool | None]) -> Standing:
    """Apply a plan to the verdicts on the rows of a lot in random order; ``None`` is a row without a verdict.

    A lot smaller than the plan's sample is looked at whole.
    """
    first = min(plan.n1, len(defective))
    defects, open_rows = _counts(defective[:first])
    second = min(plan.n1 + plan.n2, len(defective))
    if defects >= plan.reject1 or (plan.n2 and defects > plan.accept2):
        return Standing("failed", first)
    if open_rows:
        return Standing("open", first)
    if defects <= plan.accept1:
        return Standing("passed", first)
    defects, open_rows = _counts(defective[:second])
    if defects > plan.accept2:
        return Standing("failed", second)
    return Standing("open" if open_rows else "passed", second)


def _counts(rows: list[bool | None]) -> tuple[int, int]:
    return sum(row is True for row in rows), sum(row is None for row in rows)
