"""Check ``options``: the choices of a question keep their number, their letters and their order."""

from __future__ import annotations

import re
from typing import NamedTuple

from .finding import Context, Finding, Sides, sides
from .fold import Folded, Span
from .lexicon import agreement
from .numbers import figures
from .transliterate import likeness

NAME = "options"
_ALIKE = 0.8  # likeness of sound that counts
_MARGIN = 1.0  # by which two choices must fit better the other way round
_LATIN = "abcdefghij"
_ARABIC = ("ا", "ب", "ج", "د", "ه", "و", "ز", "ح", "ط", "ي")
_LETTER = "[a-j]|هـ?|[ابجدوزحطي]"
_AT_LINE = re.compile(rf"(?m)^[ \t]*(?:[-*][ \t]*)?(?:\(({_LETTER})\)|({_LETTER})[.):/-])[ \t]+(?=\S)")
_INLINE = re.compile(rf"(?<!\w)(?:\(({_LETTER})\)|({_LETTER})[.)])[ \t]+(?=\S)")


class Option(NamedTuple):
    """One choice: the place of its letter in the alphabet, where the letter stands, and the text behind it (folded)."""

    letter: int
    start: int
    end: int
    text: str


def _index(letter: str) -> int:
    return _LATIN.index(letter) if letter in _LATIN else _ARABIC.index(letter[0])


def options(folded: Folded) -> list[Option]:
    """The choices of a text, at line starts or running on; none where the letters do not begin with A and B."""
    for pattern in (_AT_LINE, _INLINE):
        found = list(pattern.finditer(folded.text))
        letters = [_index(m[1] or m[2]) for m in found]
        if len(found) >= 2 and {0, 1} <= set(letters):
            ends = [m.start() for m in found[1:]] + [len(folded.text)]
            texts = [folded.text[m.end() : end].split("\n")[0].strip() for m, end in zip(found, ends, strict=True)]
            rows = zip(letters, found, texts, strict=True)
            return [Option(letter, m.start(), m.end(), text) for letter, m, text in rows]
    return []


def _spans(found: list[Option]) -> list[Span]:
    return [(option.start, option.end) for option in found]


def _marks(text: str, arabic: bool) -> frozenset[str]:
    """What is written alike in both languages: figures and, in Arabic, Latin words."""
    folded = Folded(text, text, tuple(range(len(text))))
    words = re.findall(r"(?<![a-z])[a-z][a-z0-9-]+(?![a-z])", text) if arabic else []
    return frozenset([str(min(number.readings)) for number in figures(folded, arabic)] + words)


def _likeness(english: str, arabic: str) -> float:
    """How well an Arabic choice renders an English one, -1 to 1, by figures, known words and sound; 0 says nothing."""
    mine, theirs = _marks(english, False), _marks(arabic, True)
    theirs = frozenset(mark for mark in theirs if mark[0].isdigit() or mark in english)
    if mine or theirs:
        return 2 * len(mine & theirs) / len(mine | theirs) - 1 if mine else 0.8
    known = agreement(english, arabic)
    if known is not None:
        return 2 * known - 1
    sound = (likeness(e, a) for e in re.findall(r"[a-z]{5,}", english) for a in re.findall(r"\w{4,}", arabic))
    best = max(sound, default=0.0)
    return best if best >= _ALIKE else 0.0


def _exchanged(english: list[Option], arabic: list[Option]) -> list[tuple[int, int]]:
    """Pairs of choices that fit better the other way round."""
    size = len(english)
    score = [[_likeness(e.text, a.text) for a in arabic] for e in english]
    return [
        (i, j)
        for i in range(size)
        for j in range(i + 1, size)
        if score[i][j] + score[j][i] > score[i][i] + score[j][j] + _MARGIN and max(score[i][j], score[j][i]) > 0
    ]


def _finding(pair: Sides, texts: tuple[str, str], english: list[Option], arabic: list[Option]) -> Finding:
    return pair.finding(NAME, "critical", texts, _spans(english), _spans(arabic))


def check_options(source: str, translation: str, context: Context) -> list[Finding]:
    """Choices that were lost, added, lettered anew or exchanged."""
    pair = sides(source, translation, context)
    english, arabic = options(pair.english), options(pair.arabic)
    if not english and not arabic:
        return []
    if len(english) != len(arabic):
        texts = (
            f"{len(english)} choices in English, {len(arabic)} in Arabic.",
            f"عدد الخيارات في الإنجليزية {len(english)} وفي العربية {len(arabic)}.",
        )
        return [_finding(pair, texts, english, arabic)]
    if [o.letter for o in english] != [o.letter for o in arabic]:
        texts = "The letters of the choices come in another order.", "حروف الخيارات مرتبة ترتيبا آخر."
        return [_finding(pair, texts, english, arabic)]
    swapped = _exchanged(english, arabic)
    if not swapped:
        return []
    at = sorted({index for both in swapped for index in both})
    texts = "Choices were exchanged.", "تبادلت خيارات أماكنها."
    return [_finding(pair, texts, [english[i] for i in at], [arabic[i] for i in at])]
