"""Who hears of progress: a line in English and the same in Arabic."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, str], None]


def silent(english: str, arabic: str) -> None:
    """Nobody hears."""
