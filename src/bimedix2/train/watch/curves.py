"""What the plots draw, worked out from the rows of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from .lines import Row

Point = tuple[int, float]


def smooth(points: Iterable[tuple[int, float | None, float | None]], window: int) -> list[Point]:
    """Weighted mean around every point, so that a falling curve is not drawn too high, as a mean of the past would.

    Args:
        points: (x, value, weight); those without a value or weight count for nothing.
        window: points of a mean; fewer at both ends.
    """
    found = list(points)
    weights = np.array([weight or 0.0 if value is not None else 0.0 for _, value, weight in found])
    values = np.array([value or 0.0 for _, value, _ in found])
    sums = np.concatenate([[0.0], np.cumsum(values * weights)])
    totals = np.concatenate([[0.0], np.cumsum(weights)])
    places = np.arange(len(found))
    first = np.maximum(0, places - window // 2)
    last = np.minimum(len(found), places - window // 2 + window)
    weight = totals[last] - totals[first]
    means = np.divide(sums[last] - sums[first], weight, out=np.zeros(len(found)), where=weight > 0)
    return [(found[i][0], float(means[i])) for i in np.flatnonzero(weight > 0)]


def window_of(rows: Sequence[Row]) -> int:
    """Points of a mean: a twentieth of the curve, at most 100."""
    return max(1, min(100, len(rows) // 20))


def by_index(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Rows by number of the stage."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["stage_index"], []).append(row)
    return found


def by_stage(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by name of the stage; a name that occurs again gets its number."""
    found: dict[str, list[Row]] = {}
    for index, own in by_index(rows).items():
        name = str(own[0]["stage"])
        found[name if name not in found else f"{name} ({index + 1})"] = own
    return found


def stage_starts(rows: Iterable[Row]) -> dict[int, int]:
    """Number of steps before each stage, by the steps that were made."""
    lengths = {row["stage_index"]: int(row["step"]) for row in rows}
    starts = dict.fromkeys(lengths, 0)
    for before, index in pairwise(lengths):
        starts[index] = starts[before] + lengths[before]
    return starts


def topic_of(cell: str) -> str:
    """``xray/vqa`` of ``ar/xray/vqa``."""
    return cell.partition("/")[2]


def trained_tokens(rows: Iterable[Row]) -> dict[str, float]:
    """Supervised tokens of every cell over the rows."""
    tokens: dict[str, float] = {}
    for row in rows:
        for cell, (_, count) in row.get("cells", {}).items():
            tokens[cell] = tokens.get(cell, 0.0) + count
    return tokens


def shares(names: Sequence[str], tokens: Mapping[str, float]) -> list[float]:
    """Per cent of every name in the sum of all tokens."""
    total = sum(tokens.values()) or 1.0
    return [100 * tokens.get(name, 0.0) / total for name in names]
