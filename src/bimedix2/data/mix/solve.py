"""How much of every stratum a mix takes.

A stratum is a set of units that count towards the same cells; with pairs kept together one may count towards several
patterns at once. Wanted are parts ``x`` of the strata with ``sum_s x[s] size[s, p] = quota[p]`` for every pattern and
``0 <= x <= limit``, as near to one common part as that allows: the least ``sum_s size[s] (x[s] - common)^2``. Where
every stratum has one pattern, that is the quota over what is there.

The dual of this quadratic program has one unknown a pattern and is piecewise quadratic; a proximal Newton method with
step halving solves it in a few steps (Rockafellar 1976, doi 10.1137/0314056). If the quotas cannot be met, its limit
is the parts that come nearest to them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NEAR, _PULL, _ROUNDS, _STEPS = 1e-11, 1e-9, 12, 100
_SNAP = 1e-7


def parts(size: Floats, quota: Floats, limit: float) -> tuple[Floats, Floats]:
    """The parts, and what every pattern gets by them; less than its quota where that cannot be met.

    Args:
        size: (S, P) of each stratum in each pattern.
        quota: (P,) at least 0.
        limit: most uses of one unit.

    Returns:
        (S,) and (P,).
    """
    own, whole = size.sum(1), float(size.sum())
    share, wanted = size / own[:, None], quota / whole
    weight, common = own / whole, min(float(limit), float(quota.sum()) / whole)
    price = np.zeros(size.shape[1])
    for _ in range(_ROUNDS):
        price = _newton(share, weight, wanted, common, limit, price)
        part = np.clip(common + share @ price, 0.0, limit)
        if np.abs(wanted - (weight * part) @ share).max() < _NEAR:
            break
    part = np.where(part < _SNAP, 0.0, np.where(part > limit - _SNAP, limit, part))
    return part, part @ size


def _newton(share: Floats, weight: Floats, wanted: Floats, common: float, limit: float, centre: Floats) -> Floats:
    """The prices that maximise the dual, held back a little towards ``centre`` so that there is always a maximum."""

    def dual(price: Floats) -> tuple[float, Floats, NDArray[np.bool_]]:
        raw = common + share @ price
        part = np.clip(raw, 0.0, limit)
        worth = (weight * (0.5 * (part - common) ** 2 - part * (share @ price))).sum() + price @ wanted
        slope = wanted - (weight * part) @ share - _PULL * (price - centre)
        return float(worth - 0.5 * _PULL * ((price - centre) ** 2).sum()), slope, (raw > 0) & (raw < limit)

    price = centre
    for _ in range(_STEPS):
        value, slope, free = dual(price)
        if np.abs(slope).max() < _NEAR / 10:
            break
        bend = (share[free] * weight[free, None]).T @ share[free] + _PULL * np.eye(len(price))
        step = np.linalg.solve(bend, slope)
        size = 1.0
        while size > 1e-12 and dual(price + size * step)[0] < value:
            size /= 2
        price = price + size * step
    return price


def largest_total(size: Floats, shares: Floats, limit: float) -> float:
    """The largest total for which quotas of ``total * shares`` can be met, no larger than all there is."""
    there, wanted = size.sum(0), shares > 0
    most = min(float(size.sum()), float((limit * there[wanted] / shares[wanted]).min()))
    if is_met(size, most * shares, limit):
        return most
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if is_met(size, middle * shares, limit) else (low, middle)
    return low


def is_met(size: Floats, quota: Floats, limit: float) -> bool:
    """Whether quotas can be met."""
    return is_near(parts(size, quota, limit)[1], quota)


def is_near(got: Floats, quota: Floats) -> bool:
    """Whether quotas are met but for rounding: by a millionth of the whole."""
    return bool(np.all(np.abs(got - quota) <= 1e-6 * max(1.0, float(quota.sum()))))
