"""Cells of a mix, ``language/modality/task``, and the patterns that name them; trainer and mixer mean the same by them.

A pattern is shell-like, and ``*`` runs over slashes: ``ar/*/*``, ``*/xray/report``, ``ar/*``.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from .schema import Record


def cell_of(record: Record) -> str:
    """The cell of a record; its language is the last answer's."""
    answered = next(turn for turn in reversed(record.turns) if turn.role == "assistant")
    return f"{answered.language}/{record.modality}/{record.task}"


def first_match(cell: str, patterns: Iterable[str]) -> int:
    """Place of the first pattern that fits a cell, or -1.

    >>> first_match("ar/ct/vqa", ["en/*/*", "*/ct/*", "ar/*/*"])
    1
    """
    return next((place for place, pattern in enumerate(patterns) if fnmatchcase(cell, pattern)), -1)
