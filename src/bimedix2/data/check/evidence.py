"""How strong the evidence is that a negating word without a partner is a fault and not a free rendering.

Translators write "absent" as غير موجود and "cannot be" as يتعذر, so a missing partner alone proves little. A small
logistic model (``words/weights.yaml``, fitted by ``benchmarks/translation_negation.py``) weighs what the word list and
the encoder say: whether the denied word itself is rendered on the other side, and whether the two texts agree better
once the negating word is taken out, as a whole and beside the place where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from .finding import Sides
from .fold import Span
from .lexicon import Entry, arabic_stems, english_stems, tables
from .scorers import Scorer
from .word_lists import load_words

_NEGATORS = frozenset(arabic_stems("لا لم لن ليس ليست غير عدم دون بدون بلا عديم خال انعدام"))
_PREFIXES = ("non-", "un", "non", "in", "im", "ir", "il", "a", "dis", "mis")
_BARE = {"without": "with", "cannot": "can", "can't": "can", "won't": "will"}
_DROPPED = frozenset(("no", "not", "never", "none", "nor", "neither"))
_HEAD_REACH = 70  # characters behind a particle in which the denied word is looked for
_WINDOWS, _WINDOW_REACH = (4, 6), 0.3  # words; part of the text's length
_BEFORE, _AFTER = 2, 4  # words of the phrase around the negating word
_FAR = 3.0  # hundreds of characters


class Doubt(NamedTuple):
    """A negating word without a partner.

    Attributes:
        english: whether it stands on the English side.
        span: where, in the folded text.
        word: as folded.
        features: what is known without an encoder, by name.
        text, bare: its sentence as written, and that without it ("unknown" becomes "known").
        other: the sentence of the other language.
    """

    english: bool
    span: Span
    word: str
    features: dict[str, float]
    text: str
    bare: str
    other: str


class Around(NamedTuple):
    """What else stands in the two sentences: lengths in characters, distances as parts of the length.

    Attributes:
        size: of the shorter sentence.
        weak: distance of the nearest weak word of the other side, ``None`` without one.
        weak_count: weak words of the other side.
        absorbed: whether a weak word may be the partner.
        opposed: distance of the nearest word without partner of the other side, ``None`` without one.
        opposed_count, own_count: words without partner on the other and on the same side.
    """

    size: int
    weak: float | None
    weak_count: int
    absorbed: bool
    opposed: float | None
    opposed_count: int
    own_count: int


def bases(word: str) -> list[str]:
    """What an English word with a negating prefix or suffix may deny: ``unlikely`` likely."""
    found = [word[len(prefix) :] for prefix in _PREFIXES if word.startswith(prefix) and len(word) > len(prefix) + 2]
    return found + [word.removesuffix(end) for end in ("less", "-free") if word.endswith(end)]


def without(text: str, span: Span, word: str, english: bool) -> str:
    """A text as written without a negating word; ``span`` in the text as written, ``word`` folded."""
    start, end = span
    if not english:
        return text[:start] + text[end:].lstrip()
    if word in _BARE:
        new = _BARE[word]
    elif word.endswith("n't"):
        new = word.removesuffix("n't")
    else:
        new = "" if word in _DROPPED else next(iter(bases(word)), "")
    return text[:start] + new + text[end:]


def _entries(words: Sequence[str], table: dict[str, Entry]) -> list[Entry]:
    return [table[word] for word in words if word in table]


def _prefixed(word: str, table: dict[str, Entry], other: set[str]) -> dict[str, float]:
    base = _entries([stem for form in bases(word) for stem in english_stems(form)], table)
    own = _entries(english_stems(word), table)
    return {
        "base_known": bool(base),
        "base_rendered": any(entry.partners & other for entry in base),
        "word_known": bool(own),
        "word_denied": any(entry.partners & _NEGATORS for entry in own),
        "word_rendered": any((entry.partners - _NEGATORS) & other for entry in own),
    }


def _denied(after: str, english: bool, table: dict[str, Entry], other: set[str]) -> dict[str, float]:
    """Whether the words behind a particle are rendered."""
    clause = re.split(r"[.;؛!?؟\n]", after)[0]
    heads = (english_stems if english else arabic_stems)(clause)[:3]
    known = _entries(heads, table)
    features: dict[str, float] = {
        "rendered_share": (sum(bool(entry.partners & other) for entry in known) + 0.5) / (len(known) + 1),
        "no_head": not heads,
    }
    for at in range(2):
        entry = table.get(heads[at]) if at < len(heads) else None
        features[f"known_{at}"] = entry is not None
        features[f"rendered_{at}"] = bool(entry and entry.partners & other)
    return features


def features(
    pair: Sides, parts: tuple[Span, Span], span: Span, english: bool, kind: str, around: Around
) -> dict[str, float]:
    """What is known of a negating word without an encoder; ``parts`` are the sentences in the folded texts."""
    text = (pair.english if english else pair.arabic).text
    mine = tables()[0 if english else 1]
    other_text = (pair.arabic if english else pair.english).text[slice(*parts[1 if english else 0])]
    other = set((arabic_stems if english else english_stems)(other_text))
    word = text[slice(*span)]
    found = {
        f"{'english' if english else 'arabic'}_{kind}": 1.0,
        "size": math.log(around.size / 100),
        "far": _FAR if around.weak is None else min(_FAR, around.weak * around.size / 100),
        "weak": min(around.weak_count, 3),
        "absorbed": around.absorbed,
        "opposed": min(around.opposed_count, 2),
        "opposed_far": 1.0 if around.opposed is None else around.opposed,
        "own": min(around.own_count, 3),
    }
    if english:
        found["no"] = word in ("no", "without", "never")
    else:
        found |= {f"is_{form}": form in word for form in ("غير", "عدم", "دون", "لم")}
    if kind == "prefixed":
        found |= _prefixed(word, mine, other)
    else:
        found |= _denied(text[span[1] : span[1] + _HEAD_REACH], english, mine, other)
    return {name: float(value) for name, value in found.items()}


def _phrase(doubt: Doubt) -> tuple[str, str, float]:
    """Some words around the negating one, the same without it, and its place in the sentence, 0 to 1."""
    text, bare = doubt.text, doubt.bare
    start = next((at for at, (a, b) in enumerate(zip(text, bare, strict=False)) if a != b), min(len(text), len(bare)))
    tail = 0
    while tail < min(len(text), len(bare)) - start and text[-1 - tail] == bare[-1 - tail]:
        tail += 1
    while start and not text[start - 1].isspace():
        start -= 1
    while tail and not text[len(text) - tail].isspace():
        tail -= 1
    end, bare_end = len(text) - tail, len(bare) - tail
    before, after = text[:start].split()[-_BEFORE:], text[end:].split()[:_AFTER]
    phrases = [
        " ".join([*before, middle.strip(), *after]) for middle in (text[start:end], bare[start : max(start, bare_end)])
    ]
    return phrases[0], phrases[1], start / max(1, len(text))


def _windows(other: str, place: float) -> list[str]:
    """Runs of words of the other side that stand about where the negating word stands."""
    words = other.split()
    reach = _WINDOW_REACH + 3 / max(3, len(words))
    found = [
        " ".join(words[at : at + size])
        for size in _WINDOWS
        for at in range(0, max(1, len(words) - size + 1), size // 3)
        if abs((at + size / 2) / max(1, len(words)) - place) <= reach
    ]
    return list(dict.fromkeys(found)) or [other]


def listen(doubt: Doubt, scorer: Scorer) -> dict[str, float]:
    """What the encoder adds: by how much the texts agree better without the negating word."""
    phrase, bare, place = _phrase(doubt)
    windows = _windows(doubt.other, place)
    asked = [(doubt.other, doubt.text), (doubt.other, doubt.bare)]
    told = scorer.score(asked + [(window, text) for text in (phrase, bare) for window in windows])
    whole = told[1] - told[0]
    beside, beside_bare = max(told[2 : 2 + len(windows)]), max(told[2 + len(windows) :])
    return {
        "whole": 10 * whole,
        "whole_long": whole * max(1, len(doubt.text)) ** 0.5,
        "beside": 10 * (beside_bare - beside),
        "beside_level": beside,
    }


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, float]]:
    weights: dict[str, dict[str, float]] = load_words("weights")
    return weights


def odds(found: dict[str, float], model: str, limit: str) -> float:
    """Logarithm of the odds of a fault by a model of ``weights.yaml``, less its ``limit``.

    ``limit`` is ``lost_en`` or ``lost_ar`` for a word of the source, ``added_en`` or ``added_ar`` for one of the
    translation: good translations often say with "not" what the source says without, so that needs more evidence.
    """
    weights = _models()[model]
    return sum(weights.get(name, 0.0) * value for name, value in found.items()) + weights["bias"] - weights[limit]
