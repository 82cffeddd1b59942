"""An item as the page draws it: paragraphs with their direction, isolated measurements, highlighted places."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from bimedix2.records import Language, Record
from bimedix2.text import direction_of, language_of, ltr_runs, script_counts

from .entry import Entry
from .findings import FindingRow, Mark, marks
from .store import Found

Direction = Literal["ltr", "rtl"]
# Marks that steer direction unseen are shown by name: an override can make a text look like another.
_CONTROLS = {
    "\u061c": "ALM", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF",
    "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI",
}  # fmt: skip


def language_of_record(record: Record) -> Language:
    """Language of most turns; of a tie, Arabic, since the half that is still English came from the original."""
    languages = [turn.language for turn in record.turns if turn.role != "system"]
    return "ar" if 2 * languages.count("ar") >= len(languages) else "en"


def languages_of_record(record: Record) -> str:
    """Languages of the turns, such as ``en`` or ``ar+en``: what a translation has changed, in part or whole."""
    return "+".join(dict.fromkeys(turn.language for turn in record.turns if turn.role != "system"))


def item_view(
    number: int,
    record: Record,
    original: Record | None,
    found: Found | None,
    others: Sequence[Entry],
    mine: Entry | None,
) -> dict[str, Any]:
    """Everything that the page shows of an item, as values for JSON; texts are untrusted and stay texts."""
    findings = msgspec.json.decode(found.findings, type=tuple[FindingRow, ...]) if found else ()
    return {
        "number": number,
        "id": record.id,
        "source": record.source,
        "task": record.task,
        "modality": record.modality,
        "licence": record.licence,
        "images": len(record.images),
        "translation": _side(record, marks(findings, record, "translation")),
        "original": _side(original, marks(findings, original, "source")) if original is not None else None,
        "texts": [turn.text for turn in record.turns],
        "failed": list(found.failed) if found else [],
        "findings": [_finding(index, finding) for index, finding in enumerate(findings, start=1)],
        "notes": [block(note) for note in found.notes] if found else [],
        "score": found.score if found else None,
        "verdicts": [_verdict(index, entry) for index, entry in enumerate(others, start=1)],
        "mine": _verdict(0, mine) if mine is not None else None,
    }


def _finding(number: int, finding: FindingRow) -> dict[str, Any]:
    texts = {"en": finding.english or finding.arabic, "ar": finding.arabic or finding.english}
    return {"number": number, "check": finding.check, "severity": finding.severity, "text": texts}


def _verdict(reader: int, entry: Entry) -> dict[str, Any]:
    """A judgement without the name of its reviewer."""
    texts = entry.turns or ()
    return {
        "reader": reader,
        "action": entry.action,
        "reason": entry.reason,
        "note": entry.note,
        "turns": [block(text) for text in texts],
        "texts": list(texts),
    }


def _side(record: Record, found: Sequence[Mark]) -> dict[str, Any]:
    language = language_of_record(record)
    turns = [
        {
            "role": turn.role,
            "images": list(turn.images),
            **block(turn.text, turn.language, [mark for mark in found if mark.turn == index]),
        }
        for index, turn in enumerate(record.turns)
    ]
    return {"language": language, "turns": turns}


def block(text: str, language: str = "", found: Sequence[Mark] = ()) -> dict[str, Any]:
    """A text as paragraphs.

    Returns:
        ``lang``, ``dir`` and ``lines``; each line has a ``dir`` and ``runs``, each run is ``isolate`` (a
        left-to-right island) or not and holds ``parts``: ``text``, ``marks`` (numbers of findings) and ``control``.
    """
    language = language or language_of(text)
    direction: Direction = "rtl" if language == "ar" else "ltr"
    lines, offset = [], 0
    for line in text.split("\n"):
        own = [(max(m.start - offset, 0), min(m.end - offset, len(line)), m.number) for m in found]
        lines.append(_line(line, direction, [place for place in own if place[0] < place[1]]))
        offset += len(line) + 1
    return {"lang": language, "dir": direction, "lines": lines}


def _line(line: str, default: Direction, places: list[tuple[int, int, int]]) -> dict[str, Any]:
    # In an Arabic text "ضغط 120/80 mmHg" runs from the right, though most of its letters are Latin.
    direction = default if default == "rtl" and script_counts(line).arabic else direction_of(line, default)
    runs, position = [], 0
    for start, end in [*ltr_runs(line, direction), (len(line), len(line))]:
        for isolate, first, last in ((False, position, start), (True, start, end)):
            if first < last:
                runs.append({"isolate": isolate, "parts": _parts(line, first, last, places)})
        position = end
    return {"dir": direction, "runs": runs}


def _parts(line: str, first: int, last: int, places: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """A run cut wherever a highlight begins or ends, and around every control."""
    cuts = {first, last}
    for start, end, _ in places:
        cuts |= {cut for cut in (start, end) if first < cut < last}
    for index in range(first, last):
        if line[index] in _CONTROLS:
            cuts |= {index, index + 1}
    edges = sorted(cuts)
    found = []
    for start, end in pairwise(edges):
        text = line[start:end]
        numbers = sorted({number for low, high, number in places if low <= start and end <= high})
        part: dict[str, Any] = {"text": _CONTROLS.get(text, text), "marks": numbers}
        found.append({**part, "control": True} if text in _CONTROLS else part)
    return found
