"""Check ``laterality``: left stays left, right stays right, both stays both, and in their order."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .finding import Context, Finding, Sides, sides
from .fold import Folded
from .word_lists import arabic_words, english_words, load_words

NAME = "laterality"
_ARABIC = {"left": "يسار", "right": "يمين", "both": "الجانبان", "one": "جانب واحد"}


class Side(NamedTuple):
    """One mention of a side in a folded text."""

    side: str
    start: int
    end: int


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    words = load_words("laterality")["sides"]
    other = english_words([phrase for entry in words.values() for phrase in entry.get("not_en", ())])
    english = "|".join(rf"(?P<{side}>{english_words(entry['en'])})" for side, entry in words.items())
    arabic = "|".join(rf"(?P<{side}>{arabic_words(entry['ar'])})" for side, entry in words.items())
    return re.compile(rf"(?P<none>{other})|{english}"), re.compile(arabic)


@lru_cache(maxsize=1)
def _capitals() -> list[tuple[str, bool, re.Pattern[str]]]:
    rows: list[tuple[str, bool, re.Pattern[str]]] = []
    for side, forms in load_words("laterality")["capitals"].items():
        lone = rf"(?<![\w&/.-])(?:{'|'.join(forms['lone'])})\.?(?=\s+[a-z]{{3}})"
        rows += [(side, True, re.compile(lone)), (side, False, re.compile(rf"\b(?:{'|'.join(forms['inside'])})\b"))]
    return rows


def mentions(folded: Folded, arabic: bool) -> list[Side]:
    """Sides in the order in which a text names them. The verb يسري and the nationality يمني are left out by their ي."""
    found = []
    for m in _patterns()[arabic].finditer(folded.text):
        last = folded.original[folded.starts[m.end() - 1]]
        verb = arabic and m.group()[-3:] in ("سري", "مني") and last != "ى" and "ال" not in m.group()[:4]
        if m.lastgroup and m.lastgroup != "none" and not verb:
            found.append(Side(m.lastgroup, *m.span()))
    return found


def _capital_mentions(pair: Sides, lone: bool) -> list[Side]:
    if len(pair.english.original) != len(pair.english.text):  # offsets would not agree
        return []
    return [
        Side(side, *m.span())
        for side, is_lone, pattern in _capitals()
        if is_lone == lone
        for m in pattern.finditer(pair.english.original)
    ]


def _english_mentions(pair: Sides, arabic: list[Side]) -> list[Side]:
    """English mentions, with LUQ and its like where Arabic spells their side out."""
    found = mentions(pair.english, False)
    if not re.search(r"(?<![a-z])[rl](?![a-z])", pair.arabic.text):  # kept as a letter there
        found += _capital_mentions(pair, lone=True)
    for extra in _capital_mentions(pair, lone=False):
        if sum(s.side == extra.side for s in found) < sum(s.side == extra.side for s in arabic):
            found.append(extra)
    return sorted(found, key=lambda side: side.start)


def _spans(found: list[Side], side: str) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in found if one.side == side]


def _differences(pair: Sides, english: list[Side], arabic: list[Side]) -> list[Finding]:
    found = []
    for side in ("left", "right"):
        other = "right" if side == "left" else "left"
        mine, theirs = _spans(english, side), _spans(arabic, side)
        if (mine and not theirs) or (
            len(mine) > len(theirs) and len(_spans(arabic, other)) > len(_spans(english, other))
        ):
            texts = f"'{side}' has no counterpart in Arabic.", f"«{_ARABIC[side]}» بلا مقابل في النص العربي."
            found.append(pair.finding(NAME, "critical", texts, mine, _spans(arabic, other)))
        elif theirs and not mine:
            texts = f"Arabic says '{side}', English does not.", f"في العربية «{_ARABIC[side]}» وليست في الإنجليزية."
            found.append(pair.finding(NAME, "critical", texts, _spans(english, other), theirs))
    return found


def _both(pair: Sides, english: list[Side], arabic: list[Side]) -> list[Finding]:
    """Bilateral against one side; loosely, because كلا and جانبي have other uses."""
    for side, other in (("both", "one"), ("one", "both")):
        mine, theirs = _spans(english, side), _spans(arabic, side)
        one_sided = _spans(arabic, "one") if side == "both" else []
        named = [s for s in arabic if s.side in ("left", "right")]
        if mine and not theirs and (one_sided or (named and not [s for s in english if s.side in ("left", "right")])):
            word = pair.english.text[slice(*mine[0])]
            texts = f"'{word}' became one side.", f"«{word}» صارت جانبا واحدا."
            spans = one_sided or [(s.start, s.end) for s in named]
            return [pair.finding(NAME, "critical", texts, mine, spans)]
        if side == "one" and mine and not theirs and _spans(arabic, other):
            texts = "'unilateral' became both sides.", "«أحادي الجانب» صار الجانبين."
            return [pair.finding(NAME, "critical", texts, mine, _spans(arabic, other))]
    return []


def _order(pair: Sides, english: list[Side], arabic: list[Side]) -> list[Finding]:
    """Both sides named equally often, but the other way round: the organs have changed sides."""
    mine = [s for s in english if s.side in ("left", "right")]
    theirs = [s for s in arabic if s.side in ("left", "right")]
    if len(mine) != len(theirs) or [s.side for s in mine] == [s.side for s in theirs]:
        return []
    texts = "Left and right come in another order.", "ورد اليمين واليسار بترتيب آخر."
    return [pair.finding(NAME, "critical", texts, [s[1:] for s in mine], [s[1:] for s in theirs])]


@lru_cache(maxsize=1)
def _positions() -> list[list[tuple[re.Pattern[str], re.Pattern[str]]]]:
    rows = load_words("laterality")["positions"]
    return [[(re.compile(english_words(w["en"])), re.compile(arabic_words(w["ar"]))) for w in row] for row in rows]


def _swapped_positions(pair: Sides) -> list[Finding]:
    found = []
    for row in _positions():
        for (english, arabic), (other_english, other_arabic) in (row, row[::-1]):
            mine = [m.span() for m in english.finditer(pair.english.text)]
            gained = [m.span() for m in other_arabic.finditer(pair.arabic.text)]
            if mine and not arabic.search(pair.arabic.text) and gained and not other_english.search(pair.english.text):
                word = pair.english.text[slice(*mine[0])]
                texts = f"'{word}' became its opposite.", f"«{word}» صارت عكسها."
                found.append(pair.finding(NAME, "critical", texts, mine, gained))
    return found


def check_laterality(source: str, translation: str, context: Context) -> list[Finding]:
    """Sides, and with ``context.positions`` also upper/lower and the like, that differ."""
    pair = sides(source, translation, context)
    arabic = mentions(pair.arabic, True)
    english = _english_mentions(pair, arabic)
    found = _differences(pair, english, arabic) or _order(pair, english, arabic) or _both(pair, english, arabic)
    return found + (_swapped_positions(pair) if context.positions else [])
