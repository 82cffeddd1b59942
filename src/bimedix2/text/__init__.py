"""Arabic and English text: language, digits, search form, direction, terminals. Chat templates are in ``.chat``."""

from __future__ import annotations

from .arabic import (
    ScriptCounts,
    language_of,
    normalize_for_search,
    script_counts,
    to_arabic_digits,
    to_western_digits,
)
from .bidi import direction_of, isolate_ltr, ltr_runs, strip_bidi_controls
from .terminal import cell_width, choose_bidi, for_terminal

__all__ = [
    "ScriptCounts",
    "cell_width",
    "choose_bidi",
    "direction_of",
    "for_terminal",
    "isolate_ltr",
    "language_of",
    "ltr_runs",
    "normalize_for_search",
    "script_counts",
    "strip_bidi_controls",
    "to_arabic_digits",
    "to_western_digits",
]
