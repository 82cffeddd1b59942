"""Whether an Arabic word is an English name written in Arabic letters, by the consonants of both.

Vowels, doubled letters and the choices that Arabic writers differ in (g as ج, غ or ك; p as ب; v as ف) are folded
together, so ``metformin`` and ميتفورمين both read ``mtfrmn``.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

_ENGLISH = (
    ("ph", "f"), ("th", "t"), ("ch", "k"), ("sh", "s"), ("ck", "k"), ("qu", "k"), ("x", "ks"), ("ce", "s"),
    ("ci", "s"), ("cy", "s"), ("c", "k"), ("q", "k"), ("p", "b"), ("v", "f"), ("z", "s"), ("j", "g"), ("g", "k"),
    ("w", ""), ("y", ""), ("h", ""),
)  # fmt: skip
_ARABIC = {
    "ب": "b", "ت": "t", "ث": "t", "ج": "k", "خ": "k", "د": "d", "ذ": "d", "ر": "r", "ز": "s", "س": "s", "ش": "s",
    "ص": "s", "ض": "d", "ط": "t", "ظ": "d", "غ": "k", "ف": "f", "ق": "k", "ك": "k", "ل": "l", "م": "m", "ن": "n",
}  # fmt: skip


@lru_cache(maxsize=8192)
def english_skeleton(name: str) -> str:
    """Consonants of an English name, folded."""
    name = name.lower()
    for old, new in _ENGLISH:
        name = name.replace(old, new)
    return re.sub(r"(.)\1+", r"\1", re.sub(r"[^a-z]|[aeiou]", "", name))


@lru_cache(maxsize=32768)
def arabic_skeleton(word: str) -> str:
    """Consonants of a folded Arabic word, folded the same way."""
    return re.sub(r"(.)\1+", r"\1", "".join(_ARABIC.get(letter, "") for letter in word))


def likeness(name: str, word: str) -> float:
    """How alike an English name and a folded Arabic word sound, 0 to 1 (ratio of equal consonants in order)."""
    one, other = english_skeleton(name), arabic_skeleton(word)
    if not one or not other:
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
