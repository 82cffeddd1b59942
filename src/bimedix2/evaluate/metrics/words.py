"""Words of an answer for comparison, in Arabic and English alike.

Unlike the cleaners of English-only harnesses this keeps Arabic: one spelling for alef, ya and ta marbuta, no
marks or tatweel, ASCII digits, number words as digits, articles dropped in both languages.
"""

from __future__ import annotations

import re
from typing import Literal

from bimedix2.text import normalize_for_search

Decision = Literal["yes", "no", "both"]

_WORD = re.compile(r"\w+(?:[./]\w+)*%?")
_NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10",
    "صفر": "0", "واحد": "1", "اثنان": "2", "اثنين": "2", "ثلاثه": "3", "ثلاث": "3", "اربعه": "4", "اربع": "4",
    "خمسه": "5", "خمس": "5", "سته": "6", "ست": "6", "سبعه": "7", "سبع": "7", "ثمانيه": "8", "ثمان": "8",
    "تسعه": "9", "تسع": "9", "عشره": "10", "عشر": "10",
}  # fmt: skip
_ARTICLES = frozenset(("a", "an", "the"))
# و or ب, ك, ف may stand before the Arabic article; "لل" is لـ with the article.
_ARABIC_ARTICLE = re.compile(r"^(?:[وفبك]?ال|لل)(?=\w{2})")
_YES = frozenset(("yes", "yeah", "yep", "نعم", "اجل", "بلي"))
_NO = frozenset(("no", "nope", "لا", "كلا"))
# Negations inside a sentence; they decide only where no word of the lists above does.
_NEGATIONS = frozenset(("not", "without", "ليس", "ليست", "لم", "لن", "بدون", "دون"))
_LEADING = re.compile(r"^\W*(\w+)\s*(?:[,.;:!?،؛؟…—–-]|$)")
OPPOSITES = tuple(
    frozenset(pair)
    for pair in (
        ("left", "right"), ("يسار", "يمين"), ("ايسر", "ايمن"), ("يسري", "يمني"),
        ("pa", "ap"), ("axial", "coronal"), ("axial", "sagittal"), ("coronal", "sagittal"),
        ("t1", "t2"), ("محوري", "اكليلي"), ("محوري", "سهمي"), ("اكليلي", "سهمي"),
    )
)  # fmt: skip


def words(text: str) -> list[str]:
    """Comparable words of a text.

    >>> words("There are TWO nodules in the left-upper lobe.")
    ['there', 'are', '2', 'nodules', 'in', 'left', 'upper', 'lobe']
    >>> words("الرِّئة اليُسرى، ١٢ مم")
    ['رئه', 'يسري', '12', 'مم']
    """
    found = _WORD.findall(normalize_for_search(text))
    plain = (_ARABIC_ARTICLE.sub("", word) if len(word) > 3 else word for word in found)
    return [_NUMBERS.get(word, word) for word in plain if word not in _ARTICLES]


def decide(text: str) -> Decision | None:
    """Whether a reply says yes or no, in either language.

    A first word that stands alone before a mark decides ("No, there is not …"). Else, yes and no words together
    contradict each other (``both``), and a negation counts as no where neither occurs.

    >>> decide("Yes, there is no fracture."), decide("yes and no"), decide("لا يوجد كسر"), decide("The lung")
    ('yes', 'both', 'no', None)
    """
    normal = normalize_for_search(text)
    leading = _LEADING.match(normal)
    if leading and leading[1] in _YES | _NO:
        return "yes" if leading[1] in _YES else "no"
    found = set(_WORD.findall(normal))
    if found & _YES and found & _NO:
        return "both"
    if found & _YES:
        return "yes"
    return "no" if found & (_NO | _NEGATIONS) else None


def contradicts(reply: set[str], reference: set[str]) -> bool:
    """Whether the reply names the opposite of a word of the reference that the reference does not name itself."""
    return any(reply & (pair - reference) for pair in OPPOSITES if pair & reference)
