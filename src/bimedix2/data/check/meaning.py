"""Checks ``mismatch``, ``cut`` and ``length``: is it the translation of this source, and of all of it?

Two small logistic models (``words/weights.yaml``, fitted on the tuning halves by ``benchmarks/translation_lexicon.py``)
turn similarity, known words and length into a probability. Without an encoder they use words and length alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .finding import Context, Finding, Sides, sides
from .lexicon import Covered, coverage
from .word_lists import load_words

_SHORT, _MIDDLE = 3, 9  # words of the source up to which ``mismatch`` has models of their own
_HALVES_FROM = 4  # words of the source
# (from English length on, least and most Arabic characters for one English): seen on the tuning halves, widened.
_LENGTHS = ((60, 0.4, 2.0), (30, 0.36, 2.2), (15, 0.3, 2.5), (8, 0.22, 4.5))


@dataclass(frozen=True)
class Meaning:
    """What is measured of a pair.

    Attributes:
        similarity: cosine of the two texts, ``None`` without an encoder.
        halves: cosine of the translation with the second half of the source less that with the first, or ``None``.
        english, arabic: how the known words of each side are rendered.
        ratio: characters of the Arabic text for one of the English.
        size: characters of the English text.
        words: words of the source.
    """

    similarity: float | None
    halves: float | None
    english: Covered
    arabic: Covered
    ratio: float
    size: int
    words: int


def halves(source: str) -> tuple[str, str] | None:
    """First and second half of a source by words; ``None`` for a short one."""
    words = source.split()
    if len(words) < _HALVES_FROM:
        return None
    return " ".join(words[: (len(words) + 1) // 2]), " ".join(words[len(words) // 2 :])


def measure(
    source: str, translation: str, context: Context, similarity: float | None = None, difference: float | None = None
) -> Meaning:
    """Measure a pair; the two cosines come from the caller, who asks the encoder for many pairs at once."""
    pair = sides(source, translation, context)
    english, arabic = coverage(pair.english.original, pair.arabic.original)
    size = len(pair.english.text.strip())
    ratio = len(pair.arabic.text.strip()) / max(1, size)
    return Meaning(similarity, difference, english, arabic, ratio, size, len(source.split()))


def mismatch_features(m: Meaning) -> list[float]:
    """Input of the model of ``mismatch``; short strings, where words and encoder err, get their products too."""
    words = [*m.english, *m.arabic, math.log(max(1, m.size)), math.log(max(m.ratio, 0.01))]
    if m.similarity is None:
        return words
    words += [m.english.unknown * m.similarity, m.arabic.unknown * m.similarity]
    if m.words > _MIDDLE:
        return [m.similarity, *words]
    cosine, covered = m.similarity, math.sqrt(m.english.share * m.arabic.share)
    missing = m.english.missing * m.arabic.missing
    return [cosine, *words, cosine * covered, cosine**2, covered**2, missing, min(cosine, 0.6)]


def cut_features(m: Meaning, arabic_target: bool) -> list[float]:
    """Input of the model of ``cut``."""
    ratio = math.log(max(m.ratio, 0.01)) * (1 if arabic_target else -1)
    base = [ratio, (m.english if arabic_target else m.arabic).share, math.log(max(1, m.size))]
    return base if m.similarity is None or m.halves is None else [*base, m.similarity, m.halves]


@lru_cache(maxsize=1)
def _weights() -> dict[str, Any]:
    return load_words("weights")


def _probability(model: str, features: list[float]) -> float:
    entry = _weights()[model]
    total = entry["bias"] + sum(w * x for w, x in zip(entry["weights"], features, strict=True))
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))


def mismatch_model(m: Meaning) -> str:
    """Name of the model of ``mismatch``: sources of different length have models of their own."""
    length = "_short" if m.words <= _SHORT else "_middle" if m.words <= _MIDDLE else ""
    return ("mismatch" if m.similarity is not None else "mismatch_words") + length


def cut_model(m: Meaning, arabic_target: bool) -> str:
    """Name of the model of ``cut``."""
    return ("cut" if m.halves is not None else "cut_words") + ("" if arabic_target else "_english")


def mismatch_probability(m: Meaning) -> float:
    """How likely the translation renders another text."""
    return _probability(mismatch_model(m), mismatch_features(m))


def cut_probability(m: Meaning, arabic_target: bool) -> float:
    """How likely the second half is missing; 0 for sources under four words."""
    if m.words < _HALVES_FROM:
        return 0.0
    return _probability(cut_model(m, arabic_target), cut_features(m, arabic_target))


def _whole(pair: Sides, check: str, texts: tuple[str, str]) -> Finding:
    return pair.finding(check, "error", texts, [(0, len(pair.english.text))], [(0, len(pair.arabic.text))])


def check_length(source: str, translation: str, context: Context) -> list[Finding]:
    """A translation far shorter or longer than any good one of a source of that length."""
    pair = sides(source, translation, context)
    size = len(pair.english.text.strip())
    ratio = len(pair.arabic.text.strip()) / max(1, size)
    for start, least, most in _LENGTHS:
        if size >= start:
            if least <= ratio <= most:
                return []
            texts = (
                f"The Arabic text has {ratio:.2f} characters for one English; {least} to {most} are usual.",
                f"طول النص العربي {ratio:.2f} من الإنجليزي والمعتاد بين {least} و{most}.",
            )
            return [_whole(pair, "length", texts)]
    return []


def check_meaning(source: str, translation: str, context: Context, m: Meaning) -> list[Finding]:
    """``mismatch`` and ``cut`` by the fitted models and their thresholds."""
    pair = sides(source, translation, context)
    arabic_target = context.target_language == "ar"
    limits = _weights()["thresholds"]
    found = []
    if mismatch_probability(m) > limits[mismatch_model(m)]:
        texts = "This seems to be the translation of another text.", "يبدو أنها ترجمة نص آخر."
        found.append(_whole(pair, "mismatch", texts))
    elif cut_probability(m, arabic_target) > limits[cut_model(m, arabic_target)]:
        texts = "The end seems to be missing.", "يبدو أن آخر النص مفقود."
        found.append(_whole(pair, "cut", texts))
    return found
