"""Targets that cannot be met: which cell lacks how much, and the nearest that can."""

from __future__ import annotations

import math

from bimedix2.errors import DataError

from .settings import MixSettings
from .solve import Floats, is_met, is_near, largest_total
from .targets import are_shares

_MOST_USES = 64


def require_feasible(
    size: Floats, quota: Floats, got: Floats, patterns: tuple[str, ...], settings: MixSettings
) -> None:
    """Raise ``DataError`` unless every pattern gets its quota.

    Args:
        size: (S, P) of strata by pattern.
        quota, got: (P,) wanted and possible.
        patterns: their names, "" for the rest.
        settings: of the mix.
    """
    if is_near(got, quota):
        return
    unit, unit_ar = ("tokens", "رمز") if settings.unit == "tokens" else ("records", "سجل")
    lines, lines_ar = [], []
    for name, want, most, there in zip(patterns, quota, got, size.sum(0), strict=True):
        if abs(want - most) <= 1e-6 * max(1.0, float(quota.sum())):
            continue
        named, named_ar = (f"cell {name}", f"الخلية {name}") if name else ("the other cells", "الخلايا الأخرى")
        less = f"lacks {math.ceil(want - most):,}" if want > most else f"cannot have fewer than {math.ceil(most):,}"
        less_ar = f"ينقصها {math.ceil(want - most):,}" if want > most else f"لا يمكن أن تقل عن {math.ceil(most):,}"
        lines.append(f"  {named} {less} {unit}: {want:,.0f} wanted, {there:,.0f} there")
        lines_ar.append(f"  {named_ar} {less_ar} {unit_ar}: المطلوب {want:,.0f} والموجود {there:,.0f}")
    ways, ways_ar = _ways(size, quota, got, patterns, settings)
    raise DataError(
        "The targets cannot be met:\n" + "\n".join(lines) + f"\nNearest feasible: {' or '.join(ways)}.",
        "لا يمكن تحقيق الأهداف:\n" + "\n".join(lines_ar) + f"\nأقرب خطة ممكنة: {' أو '.join(ways_ar)}.",
        code="infeasible",
    )


def _ways(
    size: Floats, quota: Floats, got: Floats, patterns: tuple[str, ...], settings: MixSettings
) -> tuple[list[str], list[str]]:
    ways, ways_ar = [], []
    if are_shares(settings.targets):
        total = math.floor(largest_total(size, quota / quota.sum(), settings.upsample_limit) + 1e-6)
        if total:
            ways.append(f"--total {total} with the same shares")
            ways_ar.append(f"‏--total {total} بالحصص نفسها")
    else:
        same = [f"'{name}={math.floor(most + 1e-6)}'" for name, most in zip(patterns, got, strict=True) if name]
        ways.append("--target " + " --target ".join(same))
        ways_ar.append("‏--target " + " --target ".join(same))
    limit = _limit(size, quota, settings.upsample_limit)
    if limit:
        ways.append(f"--upsample-limit {limit} with the same targets")
        ways_ar.append(f"‏--upsample-limit {limit} بالأهداف نفسها")
    return ways, ways_ar


def _limit(size: Floats, quota: Floats, now: int) -> int | None:
    """Fewest uses of a record, up to 64, with which the targets can be met."""
    for limit in range(now + 1, _MOST_USES + 1):
        if is_met(size, quota, limit):
            return limit
    return None
