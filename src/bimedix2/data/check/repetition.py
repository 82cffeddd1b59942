"""Check ``repetition``: the translation does not say again and again what the source says once."""

from __future__ import annotations

import re
from collections import Counter

from .finding import Context, Finding
from .fold import fold

NAME = "repetition"
_WORD = re.compile(r"\w+")
# Words of a phrase that is hardly said twice without the source doing it; articles are words in English alone.
_LONG = {"ar": 6, "en": 7}


def _loop(text: str) -> tuple[int, int] | None:
    """Start and end of one to five words that come three times in a row, one or two words four times."""
    words = list(_WORD.finditer(text))
    values = [word.group() for word in words]
    for size in range(1, 6):
        times = 4 if size <= 2 else 3
        for at in range(len(values) - size * times + 1):
            if values[at : at + size * times] == values[at : at + size] * times and not values[at].isdigit():
                return words[at].start(), words[at + size * times - 1].end()
    return None


def _phrases(text: str, long: int) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    return Counter(tuple(words[at : at + long]) for at in range(len(words) - long + 1))


def check_repetition(source: str, translation: str, context: Context) -> list[Finding]:
    """Loops, and long phrases that come twice in the translation but in no form twice in the source."""
    here, there = fold(source), fold(translation)
    loop = _loop(there.text)
    if loop and not _loop(here.text):
        texts = "The same words come again and again.", "الكلمات نفسها تتكرر مرارا."
        return [_finding(texts, there.span(*loop))]
    repeated = [phrase for phrase, times in _phrases(there.text, _LONG[context.target_language]).items() if times > 1]
    shorter = Counter(tuple(words) for words in _triples(here.text))
    if repeated and not any(times > 1 for times in shorter.values()):
        pattern = re.compile(r"\W+".join(map(re.escape, repeated[0])))
        places = [there.span(*match.span()) for match in pattern.finditer(there.text)]
        texts = "A phrase comes twice that the source has once.", "عبارة وردت مرتين وهي في الأصل مرة."
        return [_finding(texts, *places)]
    return []


def _triples(text: str) -> list[list[str]]:
    words = _WORD.findall(text)
    return [words[at : at + 3] for at in range(len(words) - 2)]


def _finding(texts: tuple[str, str], *spans: tuple[int, int]) -> Finding:
    return Finding(check=NAME, severity="error", translation=spans, english=texts[0], arabic=texts[1])
