"""How far reviewers agree beyond chance.

Sources: Cohen (1960), Educational and Psychological Measurement 20; Krippendorff, Computing Krippendorff's
Alpha-Reliability (2011); Gwet (2008), British Journal of Mathematical and Statistical Psychology 61.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

Rating = Hashable


def share_equal(pairs: Sequence[tuple[Rating, Rating]]) -> float | None:
    """Share of units on which two readers said the same; ``None`` without units."""
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else None


def cohen_kappa(pairs: Sequence[tuple[Rating, Rating]]) -> float | None:
    """Cohen's kappa of two readers; ``None`` where chance alone explains all, as when both only ever accept."""
    observed = share_equal(pairs)
    if observed is None:
        return None
    n = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    agreed, chance = sum(one == other for one, other in pairs), sum(first[k] * second[k] for k in first)
    if chance == n * n:
        return None
    return (n * agreed - chance) / (n * n - chance)


def gwet_ac1(pairs: Sequence[tuple[Rating, Rating]], categories: int) -> float | None:
    """Gwet's AC1 of two readers: it does not collapse where nearly all rows get the same verdict.

    Args:
        pairs: verdicts of both readers on each unit.
        categories: number of verdicts that could have been given.
    """
    observed = share_equal(pairs)
    if observed is None or categories < 2:
        return None
    counts = Counter(rating for pair in pairs for rating in pair)
    shares = [count / (2 * len(pairs)) for count in counts.values()]
    chance = sum(share * (1 - share) for share in shares) / (categories - 1)
    return (observed - chance) / (1 - chance)


def krippendorff_alpha(units: Iterable[Sequence[Rating]]) -> float | None:
    """Krippendorff's alpha for nominal ratings by any number of readers.

    Args:
        units: the ratings that each unit got; units with fewer than two say nothing about agreement.

    Returns:
        1 for perfect agreement, 0 for chance; ``None`` where there is no pair or only one value occurs.
    """
    paired = [Counter(ratings) for ratings in units if len(ratings) > 1]
    totals: Counter[Rating] = Counter()
    for counts in paired:
        totals.update(counts)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return None
    disagreed = sum((c.total() ** 2 - sum(k * k for k in c.values())) / (c.total() - 1) for c in paired)
    return 1 - (n - 1) * disagreed / expected
