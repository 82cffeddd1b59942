"""Figures over the last steps of a stage: one step alone is too noisy to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

Row = Mapping[str, Any]
WINDOW = 50


class Recent:
    """The last steps of the stage that runs.

    A loss over several steps is the mean over their supervised tokens: ``sum(loss x tokens) / sum(tokens)``, so a
    step with few tokens of a cell counts little for it. A step whose loss is not finite is left out.

    Args:
        window: steps; a new stage begins with none.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.rows: deque[Row] = deque(maxlen=window)

    def add(self, row: Row) -> None:
        """Add the next step."""
        if self.rows and self.rows[-1].get("stage_index") != row.get("stage_index"):
            self.rows.clear()
        self.rows.append(row)

    def loss(self) -> float | None:
        """Nats per supervised token (per image where the stage has the objective ``words``)."""
        return weighted((row.get("loss"), row.get("supervised")) for row in self.rows)

    def cells(self) -> dict[str, float]:
        """The same for every cell that occurs, by name."""
        return {name: value for name in self._names() if (value := self._cell(name)) is not None}

    def languages(self) -> dict[str, float]:
        """The same for every language, English first, over all of its cells: their mixes differ, so do not compare."""
        found: dict[str, list[tuple[Any, Any]]] = {}
        for row in self.rows:
            for name, (loss, tokens) in row.get("cells", {}).items():
                found.setdefault(name.partition("/")[0], []).append((loss, tokens))
        return {name: value for name in sorted(found, reverse=True) if (value := weighted(found[name])) is not None}

    def speed(self, what: str = "tokens") -> float | None:
        """``tokens`` or ``supervised`` tokens per second of step; ``None`` for a stage that reads no tokens."""
        timed = [row for row in self.rows if row.get("seconds") and row.get("tokens")]
        seconds = sum(row["seconds"] for row in timed)
        return sum(row.get(what) or 0 for row in timed) / seconds if seconds else None

    def seconds_left(self) -> float | None:
        """Until the end of the stage, by the median step; checkpoints and validations come on top."""
        times = [row["seconds"] for row in self.rows if row.get("seconds") is not None]
        if not times or self.rows[-1].get("steps") is None:
            return None
        return float(median(times)) * max(0, int(self.rows[-1]["steps"]) - int(self.rows[-1]["step"]))

    def _names(self) -> list[str]:
        return sorted({name for row in self.rows for name in row.get("cells", {})})

    def _cell(self, name: str) -> float | None:
        return weighted(row["cells"][name] for row in self.rows if name in row.get("cells", {}))


def weighted(pairs: Iterable[tuple[Any, Any]]) -> float | None:
    """``sum(value x weight) / sum(weight)`` over the pairs that have a value; ``None`` if there is nothing."""
    total = weights = 0.0
    for value, weight in pairs:
        if value is not None and weight:
            total += value * weight
            weights += weight
    return total / weights if weights else None


def by_topic(cells: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Losses by ``modality/task``, each with the languages it has and ``gap`` = Arabic − English where it has both.

    Languages differ in tokens per word, so a gap is to be compared with itself over time, not with zero.
    """
    topics: dict[str, dict[str, float]] = {}
    for name, loss in cells.items():
        language, _, topic = name.partition("/")
        topics.setdefault(topic, {})[language] = loss
    for row in topics.values():
        if {"en", "ar"} <= row.keys():
            row["gap"] = row["ar"] - row["en"]
    return dict(sorted(topics.items()))


def mean_gap(topics: Mapping[str, Mapping[str, float]]) -> float | None:
    """Mean of the gaps of the topics that exist in both languages."""
    gaps = [row["gap"] for row in topics.values() if "gap" in row]
    return sum(gaps) / len(gaps) if gaps else None
