"""Arabic beside English: which language a text is in, digits, and one normal form for search and scoring.

Nothing here changes text for display or for the model, except the digit helpers when a caller asks for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal, NamedTuple

Language = Literal["en", "ar"]

TATWEEL = "\u0640"

_ARABIC_BLOCKS = (
    (0x0600, 0x06FF),  # Arabic
    (0x0750, 0x077F),  # Supplement
    (0x0870, 0x08FF),  # Extended-B and Extended-A
    (0xFB50, 0xFDFF),  # Presentation Forms-A
    (0xFE70, 0xFEFF),  # Presentation Forms-B
    (0x10EC0, 0x10EFF),  # Extended-C
    (0x1EE00, 0x1EEFF),  # Mathematical alphabetic symbols
)


class ScriptCounts(NamedTuple):
    """How many letters of each script a text holds. Digits, marks, signs and tatweel count for none."""

    arabic: int
    latin: int
    other: int


@lru_cache(maxsize=4096)
def _script_of(character: str) -> str | None:
    """``"arabic"``, ``"latin"`` or ``"other"`` for a letter, else ``None``."""
    if not character.isalpha() or character == TATWEEL:
        return None
    point = ord(character)
    if any(first <= point <= last for first, last in _ARABIC_BLOCKS):
        return "arabic"
    return "latin" if unicodedata.name(character, "").startswith(("LATIN ", "FULLWIDTH LATIN ")) else "other"


def script_counts(text: str) -> ScriptCounts:
    """Count the letters of ``text`` by script.

    >>> script_counts("صورة CT للصدر")
    ScriptCounts(arabic=9, latin=2, other=0)
    """
    totals: Counter[str | None] = Counter()
    for character, times in Counter(text).items():
        totals[_script_of(character)] += times
    return ScriptCounts(totals["arabic"], totals["latin"], totals["other"])


def language_of(text: str, default: Language = "en") -> Language:
    """The language of ``text`` by the script of the majority of its letters.

    Args:
        text: any text. An Arabic sentence with a few Latin terms in it stays Arabic.
        default: the answer for a tie and for text without Arabic or Latin letters, such as ``"12 × 8"``.
    """
    counts = script_counts(text)
    if counts.arabic == counts.latin:
        return default
    return "ar" if counts.arabic > counts.latin else "en"


_WESTERN = "0123456789"
_ARABIC_INDIC = "٠١٢٣٤٥٦٧٨٩"
_PERSIAN = "۰۱۲۳۴۵۶۷۸۹"
_TO_WESTERN = str.maketrans(_ARABIC_INDIC + _PERSIAN, _WESTERN * 2)
_TO_ARABIC = str.maketrans(_WESTERN, _ARABIC_INDIC)
# The marks are rewritten only before a digit: ٫ also turns up where a writer meant a comma.
_ARABIC_DECIMAL = re.compile(r"٫(?=[0-9])")
_ARABIC_THOUSANDS = re.compile(r"(?<=[0-9])٬(?=[0-9])")
_ARABIC_PERCENT = re.compile(r"(?<=[0-9])(\s?)٪")
_WESTERN_PERCENT = re.compile(r"(?<=[٠-٩])(\s?)%")
# A whole number with at most one decimal point; "1.2.3" and "2023.05.01" are codes or dates, not decimals.
_WESTERN_NUMBER = re.compile(
    r"(?<![0-9A-Za-z.,])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?![0-9A-Za-z]|[.,][0-9])"
)


def to_western_digits(text: str) -> str:
    """Rewrite Arabic-Indic (٠-٩) and Persian (۰-۹) digits and their number marks with ASCII ones.

    ``٫`` becomes a decimal point, ``٬`` a thousands comma and ``٪`` a percent sign, each only beside a digit.
    The Arabic comma ``،`` is left alone: it separates list items more often than decimals.

    >>> to_western_digits("١٬٢٣٤٫٥ مم")
    '1,234.5 مم'
    """
    text = text.translate(_TO_WESTERN)
    text = _ARABIC_THOUSANDS.sub(",", _ARABIC_DECIMAL.sub(".", text))
    return _ARABIC_PERCENT.sub(r"\1%", text)


def to_arabic_digits(text: str) -> str:
    """Rewrite ASCII digits as Arabic-Indic ones, with ``٫``, ``٬`` and ``٪`` where they belong to a number.

    ``to_western_digits`` undoes it for every text that had no such digits or marks before. Codes such as ``T2``
    change too, so apply it to running text and never to identifiers.

    >>> to_arabic_digits("1,234.5 مم")
    '١٬٢٣٤٫٥ مم'
    """

    def marks(match: re.Match[str]) -> str:
        return match.group().replace(",", "٬").replace(".", "٫")

    text = _WESTERN_NUMBER.sub(marks, text).translate(_TO_ARABIC)
    return _WESTERN_PERCENT.sub(r"\1٪", text)


# Compatibility forms that PDFs and old systems emit for the same letters. Full NFKC would also turn the
# clinically different 10⁹ into 109 and ½ into 1⁄2, so only these blocks are folded.
_COMPATIBILITY = re.compile(r"[\uFB50-\uFDFF\uFE70-\uFEFC\uFF01-\uFFEE]")
_HARAKAT = re.compile(r"[\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E8\u06EA-\u06ED\u0640]")
_SEARCH_FOLDS = str.maketrans(
    {
        **dict.fromkeys("أإآٱ", "ا"),
        "ى": "ي",
        "ة": "ه",
        "ی": "ي",  # Farsi yeh and keheh look the same and come from other keyboards
        "ک": "ك",
        "\u00b5": "μ",  # micro sign, the same unit prefix
    }
)
_HAMZA_FOLDS = str.maketrans({"ؤ": "و", "ئ": "ي", "ء": None})


class _Visible(dict[int, int | None]):
    """Code point -> itself, or None for an invisible control; for ``str.translate``. Filled as characters come up."""

    def __missing__(self, point: int) -> int | None:
        self[point] = None if unicodedata.category(chr(point)) == "Cf" else point
        return self[point]


_VISIBLE = _Visible()


def _fold_compatibility(text: str) -> str:
    return _COMPATIBILITY.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)


def normalize_for_search(text: str, *, fold_hamza: bool = False) -> str:
    """One spelling for strings that a reader takes for the same: for search and scoring only.

    Never show the result and never give it to a model: it merges words that differ in meaning.

    Steps: presentation and full-width forms to plain letters, NFC, invisible controls, tatweel and harakat
    removed, ``أإآٱ → ا``, ``ى → ي``, ``ة → ه``, Farsi ``ی ک`` to Arabic, digits and number marks to ASCII, case
    folded, white space collapsed. NFC rather than NFKC, because NFKC makes ``10⁹`` equal to ``109``. The function
    is idempotent.

    Args:
        text: any text.
        fold_hamza: also ``ؤ → و``, ``ئ → ي`` and no bare ``ء``. Off by default: it merges سأل with سال's kin.

    >>> normalize_for_search("الأَشِعَّةُ  السِّينيّة")
    'الاشعه السينيه'
    """
    text = unicodedata.normalize("NFC", _fold_compatibility(text))
    text = text.translate(_VISIBLE)
    text = unicodedata.normalize("NFC", _HARAKAT.sub("", text)).casefold().translate(_SEARCH_FOLDS)
    if fold_hamza:
        text = text.translate(_HAMZA_FOLDS)
    text = unicodedata.normalize("NFC", text)
    return " ".join(to_western_digits(text).split())
