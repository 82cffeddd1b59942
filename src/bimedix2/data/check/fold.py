"""One spelling for matching, with the way back to the offsets of the text as written.

``bimedix2.text.normalize_for_search`` folds too, but forgets where a letter stood; a finding must point at it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from bimedix2.text.arabic import TATWEEL

Span = tuple[int, int]

_FOLDS = {
    **dict.fromkeys("أإآٱ", "ا"),
    "ى": "ي",
    "ی": "ي",
    "ة": "ه",
    "ک": "ك",
    "٫": ".",
    "٬": ",",
    "٪": "%",
    "’": "'",
    "‘": "'",
    "µ": "μ",
    **dict.fromkeys("‐‑‒–—−", "-"),
    **{digit: str(value) for digits in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹") for value, digit in enumerate(digits)},
}
_DROPPED = {"Mn", "Me", "Cf"}


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    if character in _FOLDS:
        return _FOLDS[character]
    if character == TATWEEL or unicodedata.category(character) in _DROPPED:
        return ""
    if character.isspace():
        return "\n" if character in "\n\r\u2028\u2029" else " "
    point = ord(character)
    if 0xFB50 <= point <= 0xFEFC or 0xFF01 <= point <= 0xFFEE:  # presentation and full-width forms
        plain = unicodedata.normalize("NFKC", character)
        return "".join(_FOLDS.get(letter, letter) for letter in plain).lower()
    return character.lower()


@dataclass(frozen=True)
class Folded:
    """A folded text.

    Attributes:
        original: the text as written.
        text: its folded form, lower case, with ASCII digits and without marks and invisible controls.
        starts: for every character of ``text`` its offset in ``original``.
    """

    original: str
    text: str
    starts: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """Offsets in ``original`` of ``text[start:end]``."""
        if start >= end:
            return (0, 0)
        return self.starts[start], self.starts[end - 1] + 1


@lru_cache(maxsize=512)
def fold(text: str) -> Folded:
    """Fold ``text`` as ``Folded`` says.

    >>> fold("الرِّئة ٣٫٥").text
    'الرئه 3.5'
    """
    pieces = [_fold_character(character) for character in text]
    starts = tuple(at for at, piece in enumerate(pieces) for _ in piece)
    return Folded(text, "".join(pieces), starts)
