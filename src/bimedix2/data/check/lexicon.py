"""Which words of the two sides translate each other, by a word list learned from parallel text.

The list (``words/lexicon.tsv``) was learned with IBM model 1 (Brown et al. 1993) from the tuning halves of TICO-19 and
of the Arabic VQA-RAD, both CC0; ``benchmarks/translation_lexicon.py`` makes it. It tells "Is there a fracture?" from
"Is there a mass?", which sentence encoders find alike.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from .fold import fold

_FILE = Path(__file__).parent / "words" / "lexicon.tsv"
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


@lru_cache(maxsize=1)
def _lexicon() -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """English stem → Arabic stems, and the reverse."""
    english: dict[str, frozenset[str]] = {}
    arabic: dict[str, set[str]] = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        word, _, forms = line.partition("\t")
        english[word] = frozenset(forms.split())
        for form in english[word]:
            arabic.setdefault(form, set()).add(word)
    return english, {form: frozenset(words) for form, words in arabic.items()}


def agreement(english: str, arabic: str) -> float | None:
    """Share, 0 to 1, of the known words of both sides that have a partner; ``None`` without known words on both."""
    to_arabic, to_english = _lexicon()
    mine = {stem for stem in english_stems(english) if stem in to_arabic}
    theirs = {stem for stem in arabic_stems(arabic) if stem in to_english}
    if not mine or not theirs:
        return None
    hits = sum(bool(to_arabic[stem] & theirs) for stem in mine) + sum(bool(to_english[stem] & mine) for stem in theirs)
    return hits / (len(mine) + len(theirs))


def coverage(english: str, arabic: str) -> tuple[float, float]:
    """Shares, 0 to 1, of the known words of each side that have a partner on the other; unknown words do not count."""
    to_arabic, to_english = _lexicon()
    mine = [stem for stem in english_stems(english) if stem in to_arabic]
    theirs = arabic_stems(arabic)
    present, known = set(theirs), [stem for stem in theirs if stem in to_english]
    own = set(mine)
    left = (sum(bool(to_arabic[stem] & present) for stem in mine) + _PRIOR) / (len(mine) + 1)
    right = (sum(bool(to_english[stem] & own) for stem in known) + _PRIOR) / (len(known) + 1)
    return left, right
