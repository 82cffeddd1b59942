"""Numbers written as words, English and Arabic, as the values they may stand for.

A value is the set of its readings: ``third`` is 3 or 1/3. Only words that stand for one number are listed; English
*one* and *second*, Arabic واحد and ثانية, have other meanings, so the check that uses this treats 1 and 2 softly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["digits", "code", "word", "month", "loose"]


@dataclass(frozen=True)
class Number:
    """A number in a folded text.

    Attributes:
        readings: values that it may stand for.
        start, end: where it stands in the folded text.
        kind: ``digits`` must have a partner on the other side, ``word`` must not be contradicted there, ``code``
            (the 19 of COVID-19), ``month`` and ``loose`` (ordinals, fractions) may be partners but need none.
    """

    readings: frozenset[float]
    start: int
    end: int
    kind: Kind


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_EN_UNITS = {word: value for value, word in enumerate(_UNITS.split())}
_EN_TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
EN_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_EN_ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), 1)}
_EN_LOOSE = {
    "once": (1,), "twice": (2,), "thrice": (3,), "both": (2,), "pair": (2,), "couple": (2,), "double": (2,),
    "half": (0.5, 50, 1, 2), "quarter": (0.25, 25, 1, 4), "halves": (0.5,), "triple": (3,), "dozen": (12, 10),
    "dozens": (10,), "decade": (10,), "decades": (10,), "century": (100,), "fortnight": (14, 2), "single": (1,),
    "tens": (10,), "hundreds": (100,), "thousands": (1000,), "millions": (1e6,), "billions": (1e9,),
    "bilateral": (2,), "daily": (1,), "quadruple": (4,),
}  # fmt: skip
_EN_ANY = "|".join(sorted([*_EN_UNITS, *_EN_TENS], key=len, reverse=True))
_EN_CARDINAL = re.compile(
    rf"\b(?:(?:{_EN_ANY}|an?(?= (?:hundred|thousand|million|billion)\b)|hundred(?=s?\b))"
    rf"(?:(?:[ -]|,? and )(?:{_EN_ANY}|{'|'.join(EN_SCALES)})\b)*)(?![a-z])"
)
_EN_OTHER = re.compile(rf"\b(?:{'|'.join(sorted([*_EN_ORDINALS, *_EN_LOOSE], key=len, reverse=True))})\b")
_ROMAN = re.compile(r"(?<![A-Za-z.])(?:I{1,3}|IV|VI{0,3}|IX|XI{0,2}|X)(?![A-Za-z'’]|\.[A-Za-z])")
_ROMANS = "I II III IV V VI VII VIII IX X XI XII"
_ROMAN_VALUES = {roman: value for value, roman in enumerate(_ROMANS.split(), 1)}

# Months are figures in some dates and words in others. "may" and "march" are words of their own without a figure.
MONTHS_EN = {
    m: v for v, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sept sep", "october oct", "november nov", "december dec"), 1)
    for m in names.split()
}  # fmt: skip
MONTHS_AR = {
    name: value
    for value, names in enumerate(
        ("يناير|كانون الثاني", "فبراير|شباط", "مارس|اذار", "ابريل|نيسان", "مايو|ايار", "يونيو|يونيه|حزيران",
         "يوليو|يوليه|تموز", "اغسطس|اب", "سبتمبر|ايلول", "اكتوبر|تشرين الاول", "نوفمبر|تشرين الثاني",
         "ديسمبر|كانون الاول"), 1)
    for name in names.split("|")
    if name != "اب"  # also "father"
}  # fmt: skip
_EN_MONTH = re.compile(rf"\b(?:{'|'.join(MONTHS_EN)})\b\.?")
_DATE_BESIDE = re.compile(r"\d\W?\s?(?:of )?[a-z]+\b|[a-z]+\W?\s?\d|(?:in|of|since|until|by) [a-z]")
_AR_MONTH = re.compile(rf"(?<!\w)[وفبل]?({'|'.join(MONTHS_AR)})(?!\w)")


def _read_english(words: list[str]) -> list[float]:
    """Values of a run of number words; ``two three`` is two numbers, ``twenty three`` one."""
    done: list[float] = []
    total = current = 0.0
    last = 0.0  # the word before: 20 allows 3, 100 allows both, 3 allows only a scale
    open_run = False
    for word in words:
        if word in EN_SCALES:
            scale = EN_SCALES[word]
            if scale == 100:
                current = (current or 1) * 100
            else:
                total, current = total + (current or 1) * scale, 0.0
            last, open_run = scale, True
            continue
        value = 1.0 if word in ("a", "an") else float(_EN_UNITS.get(word, _EN_TENS.get(word, 0)))
        fits = not open_run or (last >= 100 and value < last) or (20 <= last <= 90 and 0 < value < 10)
        if not fits:
            done.append(total + current)
            total = current = 0.0
        current, last, open_run = current + value, value, True
    return [*done, total + current] if open_run else done


def english_numbers(text: str, original: str) -> list[Number]:
    """Number words, ordinals, months and Roman numerals of a folded English text.

    Args:
        text: folded.
        original: the same text as written and of the same length, for Roman numerals; any other is not read.
    """
    found = []
    for match in _EN_CARDINAL.finditer(text):
        values = _read_english(re.findall(r"[a-z]+", match.group().replace(" and ", " ")))
        for value in values:
            kind: Kind = "word" if value > 2 else "loose"
            found.append(Number(frozenset({value}), match.start(), match.end(), kind))
    for match in _EN_OTHER.finditer(text):
        word = match.group()
        readings = _EN_LOOSE.get(word) or (_EN_ORDINALS[word], 1 / _EN_ORDINALS[word])
        found.append(Number(frozenset(map(float, readings)), match.start(), match.end(), "loose"))
    found += [
        Number(frozenset({float(MONTHS_EN[m.group().rstrip(".")])}), m.start(), m.end(), "month")
        for m in _EN_MONTH.finditer(text)
        if m.group() not in ("may", "march", "mar", "jan", "dec", "may.")
        or _DATE_BESIDE.search(text[max(0, m.start() - 6) : m.end() + 4])
    ]
    if len(original) == len(text):
        found += [
            Number(frozenset({float(_ROMAN_VALUES[m.group()])}), m.start(), m.end(), "loose")
            for m in _ROMAN.finditer(original)
        ]
    return found


_AR_UNITS = {
    "ثلاث": 3, "ثلاثه": 3, "اربع": 4, "اربعه": 4, "خمس": 5, "خمسه": 5, "ست": 6, "سته": 6, "سبع": 7, "سبعه": 7,
    "ثمان": 8, "ثماني": 8, "ثمانيه": 8, "تسع": 9, "تسعه": 9, "عشر": 10, "عشره": 10,
    "واحد": 1, "واحده": 1, "احد": 1, "احدي": 1, "اثنان": 2, "اثنين": 2, "اثنتان": 2, "اثنتين": 2, "اثنا": 2,
    "اثني": 2, "اثنتا": 2, "اثنتي": 2, "صفر": 0,
}  # fmt: skip
_AR_TENS = {
    stem + end: 10 * v
    for v, stem in enumerate(("عشر", "ثلاث", "اربع", "خمس", "ست", "سبع", "ثمان", "تسع"), 2)
    for end in ("ون", "ين")
}
_AR_HUNDREDS = {
    stem + hundred: 100.0 * v
    for v, stem in (
        (1, ""), (3, "ثلاث"), (4, "اربع"), (5, "خمس"), (6, "ست"), (7, "سبع"), (8, "ثمان"), (8, "ثماني"), (9, "تسع")
    )
    for hundred in ("مئه", "مائه", "ميه")
} | dict.fromkeys(("مئتان", "مئتين", "مائتان", "مائتين", "مئتا", "مئتي", "مائتي"), 200.0)  # fmt: skip
AR_SCALES = {
    **dict.fromkeys(("الف", "الاف", "الفا"), 1e3), **dict.fromkeys(("مليون", "ملايين", "مليونا"), 1e6),
    **dict.fromkeys(("مليار", "مليارات", "مليارا", "بليون"), 1e9), **dict.fromkeys(("تريليون", "تريليونات"), 1e12),
}  # fmt: skip
_AR_PLURAL_SCALES = {
    "عشرات": 10.0, "مئات": 100.0, "مئين": 100.0, "الفان": 2e3, "الفين": 2e3, "الفي": 2e3,
    "مليونان": 2e6, "مليونين": 2e6, "مليوني": 2e6, "ملياران": 2e9, "مليارين": 2e9, "ملياري": 2e9,
}  # fmt: skip
_AR_FRACTIONS = {
    "نصف": (0.5, 50, 1, 2), "ثلث": (1 / 3, 3), "ثلثي": (2 / 3, 2, 3, 1 / 3), "ثلثا": (2 / 3, 2, 3, 1 / 3),
    "ثلثين": (2 / 3, 2, 3, 1 / 3), "ثلثان": (2 / 3, 2, 3, 1 / 3), "ربع": (0.25, 25, 4), "خمس": (0.2,),
    "ارباع": (0.75, 3, 4, 0.25), "اثلاث": (1 / 3, 3), "سدس": (1 / 6, 6), "ثمن": (1 / 8, 8), "عشر": (0.1,),
    "مرتين": (2,), "ضعف": (2,), "ضعفي": (2,), "ضعفين": (2,), "مره": (1,), "كلا": (2,), "كلتا": (2,), "زوج": (2,),
    "كلاهما": (2,), "كلتاهما": (2,), "كليهما": (2,), "كلتيهما": (2,), "مزدوج": (2,), "عقد": (10,), "عقود": (10,),
    "قرن": (100,), "دسته": (12,), "ثلاثي": (3,), "رباعي": (4,), "ثنائي": (2,), "احادي": (1,),
    "ثلاثيه": (3,), "رباعيه": (4,), "ثنائيه": (2,), "خماسي": (5,), "سداسي": (6,), "نصفي": (0.5, 2),
}  # fmt: skip
_AR_ORDINALS = {
    "اول": 1, "اولي": 1, "ثاني": 2, "ثانيه": 2, "ثان": 2, "ثالث": 3, "ثالثه": 3, "رابع": 4, "رابعه": 4, "خامس": 5,
    "خامسه": 5, "سادس": 6, "سادسه": 6, "سابع": 7, "سابعه": 7, "ثامن": 8, "ثامنه": 8, "تاسع": 9, "تاسعه": 9,
    "عاشر": 10, "عاشره": 10, "حادي": 1, "حاديه": 1,
}  # fmt: skip
_AR_DECADES = {
    stem + end: 10.0 * value
    for value, stem in enumerate(("عشر", "ثلاث", "اربع", "خمس", "ست", "سبع", "ثمان", "تسع"), 2)
    for end in ("ينيات", "ينات")
}
_AR_WORD = re.compile(r"[\u0621-\u064a]+")
_DUAL = re.compile(r"(?<!\w)[\u0621-\u064a]{2,}(?:ين|ان|تا|تي|ا)(?!\w)")


@lru_cache(maxsize=8192)
def _arabic_word(word: str) -> tuple[str, float, bool] | None:
    """(class, value, whether و stands before it) of an Arabic word, with its clitics taken off."""
    for prefix in ("", "و", "ف", "ب", "ل", "ك", "ال", "وال", "بال", "لل", "ول", "وب", "فال", "ولل", "وبال", "كال"):
        if not word.startswith(prefix):
            continue
        core, joined = word[len(prefix) :], prefix.startswith("و")
        for name, table in (("tens", _AR_TENS), ("hundred", _AR_HUNDREDS), ("scale", AR_SCALES)):
            if core in table:
                return name, float(table[core]), joined
        if core in _AR_PLURAL_SCALES:
            return "plural", _AR_PLURAL_SCALES[core], joined
        if core in _AR_UNITS and not (prefix.endswith("ل") and core == "واحد"):
            return "unit", float(_AR_UNITS[core]), joined
        if core in _AR_ORDINALS:
            return "ordinal", float(_AR_ORDINALS[core]), joined
        if core in _AR_DECADES:
            return "decade", _AR_DECADES[core], joined
    return None


@dataclass
class _Run:
    """An Arabic number being read word by word."""

    start: int = 0
    end: int = 0
    total: float = 0.0
    current: float = 0.0
    last: str = ""
    last_value: float = 0.0
    ordinal: bool = False

    def value(self) -> float:
        return self.total + self.current

    def fits(self, kind: str, value: float, joined: bool) -> bool:
        """Whether a word goes on with this number instead of starting another."""
        if not self.last:
            return True
        if kind == "unit" and value == 10 and not joined:  # خمسة عشر
            return self.last in ("unit", "ordinal") and self.last_value < 10
        if kind == "tens":
            return joined and self.last in ("unit", "ordinal", "hundred", "scale", "plural") and self.last_value != 10
        if kind in ("hundred", "unit"):
            smaller = self.last in ("scale", "plural") or (kind == "unit" and self.last == "hundred")
            return (joined and smaller) or (kind == "hundred" and self.last == "unit" and not joined)
        if kind == "scale":
            return not joined and self.last in ("unit", "tens", "hundred", "plural")
        return False

    def take(self, kind: str, value: float) -> None:
        if kind == "scale":
            self.total, self.current = self.total + (self.current or 1) * value, 0.0
        elif kind == "hundred" and self.last == "unit" and value == 100:
            self.current *= 100
        else:
            self.current += value
        self.last, self.last_value = kind, value
        self.ordinal = self.ordinal or kind == "ordinal"


def _arabic_runs(text: str) -> list[_Run]:
    runs: list[_Run] = []
    run = _Run()
    for match in _AR_WORD.finditer(text):
        read = _arabic_word(match.group())
        gap = text[run.end : match.start()] if run.last else ""
        if run.last and (read is None or gap.strip() or not run.fits(*read)):
            runs.append(run)
            run = _Run()
        if read is None:
            continue
        if not run.last:
            run.start = match.start()
        run.take(read[0], read[1])
        run.end = match.end()
    return [*runs, run] if run.last else runs


def _arabic_kind(run: _Run, text: str) -> Kind:
    before = re.search(r"\d\s*$", text[: run.start])
    if run.ordinal or run.value() <= 2 or run.last in ("plural", "decade") or before:
        return "loose"
    # A bare ألف or مليون, "the thousand", is a word for a multitude more often than a figure.
    bare = run.end - run.start <= 6 and run.last in ("scale", "hundred")
    definite_ten = text[run.start : run.end] in ("عشر", "العشر", "خمس", "الخمس", "سبع", "الفا")
    return "loose" if bare or definite_ten else "word"


def arabic_numbers(text: str) -> list[Number]:
    """Number words, fractions, ordinals and months of a folded Arabic text."""
    found = []
    for run in _arabic_runs(text):
        value = run.value()
        readings = {value, 1900 + value} if run.last == "decade" else {value}
        found.append(Number(frozenset(readings), run.start, run.end, _arabic_kind(run, text)))
    for match in _AR_WORD.finditer(text):
        word = re.sub(r"^(?:و|ف)?(?:ب|ل|ك)?(?:ال|لل)?", "", match.group())
        fraction = _AR_FRACTIONS.get(word) or _AR_FRACTIONS.get(match.group())
        if fraction:
            found.append(Number(frozenset(map(float, fraction)), match.start(), match.end(), "loose"))
    found += [
        Number(frozenset({float(MONTHS_AR[m[1]])}), m.start(1), m.end(1), "month") for m in _AR_MONTH.finditer(text)
    ]
    return found


def has_dual(text: str) -> bool:
    """Whether a folded Arabic text has a word that may be a dual (يومين, حالتان): it stands for an English 2."""
    return _DUAL.search(text) is not None
