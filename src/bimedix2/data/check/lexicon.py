"""Which words of the two sides translate each other, by a word list learned from parallel text.

The list (``words/lexicon.tsv``) was learned with IBM model 1 (Brown et al. 1993) from the tuning halves of TICO-19 and
of the Arabic VQA-RAD, both CC0; ``benchmarks/translation_lexicon.py`` makes it. It tells "Is there a fracture?" from
"Is there a mass?", which sentence encoders find alike.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .fold import fold

_FILE = Path(__file__).parent / "words" / "lexicon.tsv"
MOST_MISSING, MOST_KNOWN = 4, 6  # more say no more
_RARE = 0.3  # weight of the prior beside the weights of rare words
_PRIOR = 0.75  # share of known words that find their partner in a good pair, counted as one word
_WORD_EN = re.compile(r"[a-z]+")
_WORD_AR = re.compile(r"[\u0621-\u064a]+|[a-z]+")
_ARTICLE = re.compile(r"(?:[وف])?(?:[بلك])?(?:ال|لل)(?=\w{2})")
_ENDING = re.compile(r"(?:ها|هم|ات|ين|ون|ان|يه|ه|ا)$")
_STOPS_EN = (
    "a an the of is are was were be to in on at for and or this that these those it its as by from with do does did "
    "has have had i you your he she they we can could will would should may might been being if than then so"
)
_STOPS_AR = "في من علي الي عن هذه هذا التي الذي هو هي ان او ام مع كان كانت قد تم ذلك تلك"
_SKIPPED_EN, _SKIPPED_AR = frozenset(_STOPS_EN.split()), frozenset(_STOPS_AR.split())


def english_stems(text: str) -> list[str]:
    """Content words of an English text without plural endings."""
    stems = []
    for word in _WORD_EN.findall(fold(text).text):
        if word in _SKIPPED_EN:
            continue
        for ending, new in (("ies", "y"), ("sses", "ss"), ("es", "e"), ("s", "")):
            if word.endswith(ending) and len(word) > len(ending) + 2 and not word.endswith(("ss", "us", "is")):
                word = word[: -len(ending)] + new
                break
        stems.append(word)
    return stems


def arabic_stems(text: str) -> list[str]:
    """Content words of an Arabic text without clitics and common endings; Latin words as they are."""
    stems = []
    for word in _WORD_AR.findall(fold(text).text):
        if word in _SKIPPED_AR:
            continue
        article = _ARTICLE.match(word)
        start = article.end() if article else int(len(word) > 4 and word[0] in "وب")
        core = word[start:]
        if len(core) > 4:
            core = _ENDING.sub("", core)
        elif len(core) > 3:
            core = core.removesuffix("ه")
        stems.append(core)
    return stems


class Entry(NamedTuple):
    """A known stem: in how many texts it was seen, and the stems of the other language that render it."""

    seen: int
    partners: frozenset[str]


class Covered(NamedTuple):
    """How the known words of one side are rendered on the other.

    Attributes:
        share: of them that have a partner there, 0 to 1.
        weighted: the same, rare words counting more.
        rarest: 1 if the rarest has one, 0 if not, between them where no word is known.
        missing: how many have none, at most ``MOST_MISSING``.
        known: how many there are, at most ``MOST_KNOWN``.
        unknown: words of the side that the list lacks, at most ``MOST_MISSING``: nothing speaks against them.
    """

    share: float
    weighted: float
    rarest: float
    missing: float
    known: float
    unknown: float


@lru_cache(maxsize=1)
def _lexicon() -> tuple[dict[str, Entry], dict[str, Entry]]:
    """English stem → its entry, and Arabic stem → its entry."""
    tables: dict[str, dict[str, Entry]] = {"en": {}, "ar": {}}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            language, stem, count, partners = line.split("	")
            tables[language][stem] = Entry(int(count), frozenset(partners.split()))
    return tables["en"], tables["ar"]


def tables() -> tuple[dict[str, Entry], dict[str, Entry]]:
    """English stem → its entry, and Arabic stem → its entry."""
    return _lexicon()


def _covered(stems: list[str], table: dict[str, Entry], other: set[str]) -> Covered:
    hits = [(bool(entry.partners & other), entry.seen**-0.5) for stem in stems if (entry := table.get(stem))]
    total = sum(weight for _, weight in hits)
    return Covered(
        (sum(hit for hit, _ in hits) + _PRIOR) / (len(hits) + 1),
        (sum(weight for hit, weight in hits if hit) + _PRIOR * _RARE) / (total + _RARE),
        float(max(hits, key=lambda hit: hit[1])[0]) if hits else _PRIOR,
        min(sum(not hit for hit, _ in hits), MOST_MISSING),
        min(len(hits), MOST_KNOWN),
        min(len(stems) - len(hits), MOST_MISSING),
    )


def coverage(english: str, arabic: str) -> tuple[Covered, Covered]:
    """For the English and for the Arabic side, how its known words are rendered; unknown words do not count."""
    to_arabic, to_english = _lexicon()
    mine, theirs = list(dict.fromkeys(english_stems(english))), list(dict.fromkeys(arabic_stems(arabic)))
    return _covered(mine, to_arabic, set(theirs)), _covered(theirs, to_english, set(mine))


def agreement(english: str, arabic: str) -> float | None:
    """Share, 0 to 1, of the known words of both sides that have a partner; ``None`` without known words on both."""
    to_arabic, to_english = _lexicon()
    mine, theirs = set(english_stems(english)), set(arabic_stems(arabic))
    left = [bool(to_arabic[stem].partners & theirs) for stem in mine if stem in to_arabic]
    right = [bool(to_english[stem].partners & mine) for stem in theirs if stem in to_english]
    return (sum(left) + sum(right)) / len(left + right) if left and right else None
