"""Checks as work for a runner: batches of pairs or of records with their originals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bimedix2.records.schema import Language, Record

from .finding import Context
from .glossary import Glossary, read_glossary
from .pairs import CheckResult, PairRow, check_pairs, check_record
from .rows import BadRow
from .scorers import UseScorer, load_scorer

BATCH = 64
"""Items of a batch: the encoder is fastest from here on. The same for every number of workers, since the last bits of a
similarity may depend on what is scored together."""


@dataclass(frozen=True)
class CheckOptions:
    """What a worker needs to know.

    Attributes:
        glossary: file of terms.
        source_language: of all pairs; ``None`` tells it by the letters of each.
        positions: also compare upper and lower and the like.
        encoder: use the sentence encoder.
        scorers: further ones, ``package.module:name``.
        least: by name of a scorer the figure under which a pair fails.
    """

    glossary: Path | None = None
    source_language: Language | None = None
    positions: bool = False
    encoder: bool = False
    scorers: tuple[str, ...] = ()
    least: Mapping[str, float] = field(default_factory=dict)

    def loaded(self) -> dict[str, Any]:
        """Arguments of ``check_pairs``."""
        terms = read_glossary(self.glossary) if self.glossary else Glossary()
        return {
            "context": Context(self.source_language, terms, self.positions),
            "similarity": UseScorer() if self.encoder else None,
            "scorers": [load_scorer(name) for name in self.scorers],
            "least": dict(self.least),
        }


def pair_checker(options: CheckOptions) -> Callable[[Sequence[PairRow | BadRow]], list[CheckResult | None]]:
    """The function that checks the good rows of a batch together; ``None`` for bad ones."""
    loaded = options.loaded()

    def check(batch: Sequence[PairRow | BadRow]) -> list[CheckResult | None]:
        found = iter(check_pairs([row for row in batch if isinstance(row, PairRow)], **loaded))
        return [next(found) if isinstance(row, PairRow) else None for row in batch]

    return check


def record_checker(
    options: CheckOptions,
) -> Callable[[Sequence[tuple[Record | None, Record] | BadRow]], list[CheckResult | None]]:
    """The function that checks (original, translation); ``None`` where there is no original."""
    loaded = options.loaded()

    def one(row: tuple[Record | None, Record] | BadRow) -> CheckResult | None:
        if isinstance(row, BadRow) or row[0] is None:
            return None
        return check_record(row[0], row[1], **loaded)

    def check(batch: Sequence[tuple[Record | None, Record] | BadRow]) -> list[CheckResult | None]:
        return [one(row) for row in batch]

    return check


def texts_of(row: PairRow | tuple[Record, Record]) -> list[tuple[str, str]]:
    """Texts that were compared."""
    if isinstance(row, PairRow):
        return [(row.source, row.translation)]
    original, record = row
    return [(one.text, other.text) for one, other in zip(original.turns, record.turns, strict=False)]
