"""Share out the false alarms that the translation checks may raise, for ``translation_lexicon.py``.

All figures are out of fold: of models and of a word list that did not see the pair. The alarms of all checks together
on the clean pairs of a set and a direction stay within the budget. Short strings need theirs for ``mismatch``, and the
sentences of documents for lost negations; negations that only the translation has get what the others leave.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import NamedTuple

# With and without the encoder. New documents raise more: rules, too, were written by reading the tuning halves.
BUDGETS = {"": 0.023, "_words": 0.04}
# Models that share a limit, and the share of a group's clean pairs to which they alone may add alarms.
STEPS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("negation_lost_en",), 0.0135),
    (("negation_lost_ar",), 0.0135),
    (("mismatch_short", "mismatch_middle"), 0.021),
    (("mismatch",), 0.002),
    (("cut",), 0.001),
    (("cut_english",), 0.001),
    (("negation_added_en",), 1.0),  # what is left
    (("negation_added_ar",), 1.0),
)
CURVE = (0.006, 0.008, 0.01, 0.012, 0.0135, 0.015, 0.018, 0.021, 0.025, 0.03)


class Item(NamedTuple):
    """A pair with its faults' odds.

    Attributes:
        group: set and direction.
        fault: the error put in, empty for a clean pair.
        rules: whether a check without a model raises an alarm.
        odds: by model the logarithm of the odds of a fault.
    """

    group: str
    fault: str
    rules: bool
    odds: dict[str, float]


Limits = dict[str, float]


def alarm(item: Item, limits: Limits) -> bool:
    """Whether a pair raises an alarm; models without a limit raise none."""
    return item.rules or any(item.odds.get(model, -math.inf) > limit for model, limit in limits.items())


def lowest(items: list[Item], names: tuple[str, ...], limits: Limits, share: float, budget: float) -> float:
    """The lowest limit of some models at which no group of clean pairs goes beyond its share or the budget."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if not item.fault:
            groups[item.group].append(item)
    found = []
    for members in groups.values():
        quiet = [item for item in members if not alarm(item, limits)]
        left = int(budget * len(members)) - (len(members) - len(quiet))
        room = max(0, min(left, int(share * len(members))))
        odds = sorted((max(item.odds.get(name, -math.inf) for name in names) for item in quiet), reverse=True)
        found.append(odds[room] if room < len(odds) else -math.inf)
    return max(found)


def share_out(items: list[Item], suffix: str) -> Limits:
    """Limits of the models with the encoder (``suffix`` empty) or of those without (``_words``)."""
    limits: Limits = {}
    for names, share in STEPS:
        own = tuple(renamed(name, suffix) for name in names)
        limits |= dict.fromkeys(own, lowest(items, own, limits, share, BUDGETS[suffix]))
    return limits


def renamed(name: str, suffix: str) -> str:
    """``mismatch_short`` as ``mismatch_words_short``."""
    first, _, rest = name.partition("_")
    return first + suffix + (f"_{rest}" if rest else "")


def shares(items: list[Item], limits: Limits) -> dict[tuple[str, str], float]:
    """Share of pairs with an alarm by group and error."""
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for item in items:
        found[item.group, item.fault].append(alarm(item, limits))
    return {key: sum(hits) / len(hits) for key, hits in found.items()}


def table(items: list[Item], limits: Limits) -> list[str]:
    """Alarms on clean pairs by model, and the share of each error that raises one."""
    lines = []
    clean: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if not item.fault:
            clean[item.group].append(item)
    for group, members in clean.items():
        by = {name: sum(i.odds.get(name, -math.inf) > limit for i in members) for name, limit in limits.items()}
        lines.append(f"   {group}: {len(members)} clean, rules {sum(i.rules for i in members)}, {by}")
    for (group, fault), share in sorted(shares(items, limits).items()):
        lines.append(f"   {group} {fault or 'clean'}: {share:.4f}")
    return lines


def curve(items: list[Item], suffix: str) -> list[str]:
    """What other shares of alarms would catch: dropped negations, and other sentences by the model of short strings."""
    lines = []
    for word, varied, fixed in (("dropped", STEPS[:2], ()), ("other", STEPS[2:3], STEPS[3:4])):
        for share in CURVE:
            limits: Limits = {}
            for names, own_share in (*((names, share) for names, _ in varied), *fixed):
                own = tuple(renamed(name, suffix) for name in names)
                limits |= dict.fromkeys(own, lowest(items, own, limits, own_share, 1.0))
            told = (f"{g} {f} {s:.3f}" for (g, f), s in sorted(shares(items, limits).items()) if word in f)
            lines.append(f"   {share:.4f}: " + ", ".join(told))
    return lines
