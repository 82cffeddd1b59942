"""Check ``negation``, second part: a word that denies by itself has not become its opposite (abnormal, سلبي …)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .finding import Context, Finding, Sides, sides
from .fold import Span
from .word_lists import CLITICS, arabic_words, english_words, folded, load_words

NAME = "negation"


class _Word(NamedTuple):
    english: re.Pattern[str]
    arabic: re.Pattern[str]
    kept: re.Pattern[str]  # Arabic words that render the English ones, those with other meanings too


def _arabic(own: list[str], other: list[str]) -> re.Pattern[str]:
    """Words of one meaning, but not inside a phrase of the opposite one: طبيعي in غير طبيعي."""
    longer = [form for form in folded(other) if any(form != mine and mine in form.split() for mine in folded(own))]
    taken = "|".join(rf"{CLITICS}{re.escape(form)}" for form in longer)
    word = arabic_words(own, endings=True)
    return re.compile(
        rf"(?P<other>(?<!\w)(?:{taken})\w{{0,3}}(?!\w))|(?P<own>{word})" if taken else rf"(?P<own>{word})"
    )


def _word(own: dict[str, list[str]], other: dict[str, list[str]]) -> _Word:
    kept = [*own["ar"], *own.get("also", ())]
    return _Word(re.compile(english_words(own["en"])), _arabic(own["ar"], other["ar"]), _arabic(kept, other["ar"]))


@lru_cache(maxsize=1)
def _opposites() -> list[tuple[_Word, _Word]]:
    rows: list[tuple[_Word, _Word]] = []
    for first, second in load_words("polarity")["opposites"]:
        rows.append((_word(first, second), _word(second, first)))
    return rows


_DENIED_EN = re.compile(
    r"(?:\b(?:no|not|non|never|neither|nor|without|cannot|hardly|less|almost)\b|n't\b)[^.;,]{0,25}$"
)
_DENIED_AR = re.compile(
    r"(?<!\w)[وفبل]{0,2}(?:(?:لا|لم|لن|ليس|ليست|غير|عدم|دون|بدون)\s[^.؛،]{0,12}"
    r"|(?:لم [يت]كن|لا [يت]عد|ليس|ليست)\s[^.؛،]{0,60})$"
)
# "more than 10", "more slowly"; لا توجد سوى, "there are only".
_OTHER_USE = re.compile(r"(?<=more)(?: than \d| \w+ly\b)|(?: \S+){0,2} (?:سوي|الا)(?!\w)")


def _spans(pattern: re.Pattern[str], text: str, denied: re.Pattern[str]) -> list[Span]:
    """Places of a word where no other word denies it."""
    return [
        m.span()
        for m in pattern.finditer(text)
        if ("own" not in m.groupdict() or m["own"] is not None)
        and not denied.search(text[max(0, m.start() - 70) : m.start()])
        and not re.match(r" (?:no|not)\b", text[m.end() :])
        and not _OTHER_USE.match(text, m.end())
    ]


def _swapped(pair: Sides, lost: _Word, gained: _Word) -> tuple[list[Span], list[Span]] | None:
    """English places of the word that Arabic lost, Arabic places of the opposite that it gained."""
    english, arabic = pair.english.text, pair.arabic.text
    wanted = _spans(lost.english, english, _DENIED_EN)
    if not wanted or any(True for m in lost.kept.finditer(arabic) if m["own"]):
        return None
    opposite = _spans(gained.arabic, arabic, _DENIED_AR)
    return (wanted, opposite) if len(opposite) > len(gained.english.findall(english)) else None


def check_polarity(source: str, translation: str, context: Context) -> list[Finding]:
    """Words that became their opposites."""
    pair = sides(source, translation, context)
    found = []
    for row in _opposites():
        for lost, gained in (row, row[::-1]):
            places = _swapped(pair, lost, gained)
            if places:
                word = pair.english.text[slice(*places[0][0])]
                start, end = pair.arabic.span(*places[1][0])
                other = pair.arabic.original[start:end]
                texts = f"'{word}' stands against its opposite '{other}'.", f"«{word}» يقابلها عكسها «{other}»."
                found.append(pair.finding(NAME, "critical", texts, *places))
    return found
