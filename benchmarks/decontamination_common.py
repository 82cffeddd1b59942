"""What the parts of the decontamination benchmark share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bimedix2.data.sources._reading import Reading
from bimedix2.data.sources.registry import find_source, settings_of
from bimedix2.records import Record, Turn
from bimedix2.text.canonical import canonical


def records_of(name: str, root: Path, splits: frozenset[str], pictures: Path | None = None) -> list[Record]:
    """Records of a source."""
    source = find_source(name)
    reading = Reading(root, splits, lambda error: None, settings_of(source.info, {}), pictures=pictures)  # type: ignore[arg-type]
    return list(source.read(reading))


def share(rows: dict[int, set[int]], wanted: Sequence[int]) -> float:
    """Share of the planted items whose own item is found."""
    return round(sum(item in rows.get(at, ()) for at, item in enumerate(wanted)) / max(1, len(wanted)), 4)


def caption(record_id: str, text: str, language: Any, **fields: Any) -> Record:
    """A caption as a record."""
    turns = (Turn(role="user", text="?", language=language), Turn(role="assistant", text=text, language=language))
    return Record(
        id=record_id,
        turns=turns,
        task="caption",
        modality="other",
        source=record_id.split(":")[0],
        licence="-",
        **fields,
    )


def grams(text: str, size: int = 13) -> set[tuple[str, ...]]:
    """Runs of words."""
    words = text.split()
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}


def text_baselines(planted: list[Record], items: list[Record], turn: int) -> dict[str, float]:
    """Equality of the turn's text as it is and in canonical form, and a run of 13 words in common."""
    pairs = [(own.turns[turn].text, item.turns[turn].text) for own, item in zip(planted, items, strict=True)]
    exact = sum(own == item for own, item in pairs)
    same = sum(canonical(own) == canonical(item) for own, item in pairs)
    common = sum(bool(grams(canonical(own)) & grams(canonical(item))) for own, item in pairs)
    return {
        "baseline: equal text": round(exact / len(pairs), 4),
        "baseline: equal canonical text": round(same / len(pairs), 4),
        "baseline: 13 words in common": round(common / len(pairs), 4),
    }
