"""Counting verdicts: what the families that need a judge report beside their figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bimedix2.evaluate.schema import Reply, Verdict

NO_JUDGE = (
    "judge missing: give --judge-endpoint and --judge-model, or predictions that hold verdicts",
    "لا يوجد محكم: أعط --judge-endpoint و--judge-model أو إجابات تحمل أحكاما",
)


@dataclass
class Tally:
    """Verdicts, and those in which no answer was found."""

    verdicts: int = 0
    unparsed: int = 0

    def add(self, parsed: Iterable[bool]) -> None:
        """Count some more."""
        for found in parsed:
            self.verdicts += 1
            self.unparsed += not found

    def as_json(self) -> dict[str, Any]:
        """With the rate; ``None`` without verdicts."""
        rate = self.unparsed / self.verdicts if self.verdicts else None
        return {"verdicts": self.verdicts, "unparsed_verdicts": self.unparsed, "parse_fail_rate": rate}


def verdicts_by_question(reply: Reply, names: Sequence[str]) -> dict[str, list[Verdict]]:
    """Verdicts on a reply that answer one of the questions, in the order of the questions."""
    found = {name: [verdict for verdict in reply.verdicts if verdict.question == name] for name in names}
    return {name: verdicts for name, verdicts in found.items() if verdicts}


def note(english: str, arabic: str) -> dict[str, str]:
    """Something to know about a figure, in both languages."""
    return {"en": english, "ar": arabic}
