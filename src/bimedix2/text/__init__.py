"""Arabic and English text: language by script, digits, normalisation for search, direction."""

from .arabic import language_of, normalize_for_search, script_counts, to_arabic_digits, to_western_digits
from .bidi import direction_of, isolate_ltr, strip_bidi_controls

__all__ = [
    "direction_of",
    "isolate_ltr",
    "language_of",
    "normalize_for_search",
    "script_counts",
    "strip_bidi_controls",
    "to_arabic_digits",
    "to_western_digits",
]
