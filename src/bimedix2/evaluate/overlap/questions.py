"""Which evaluation questions are in training: the same words, nearly the same, or inside a longer text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

Say = Callable[[str], None]
SIMILAR = 0.6
"""Cosine from which two questions count as similar. Of VQA-RAD's pairs of questions about one image with different
answers 0.44 % reach it in English and 0.23 % in Arabic; of questions with one word dropped 90 % and 83 %; of second,
independent Arabic translations 27 %, so a rewording escapes more often than not
(``benchmarks/overlap_thresholds.py``). Character n-grams raise more false alarms where they find as many."""
GRAM, COVERED = 8, 0.5
"""Tülu 3 (arXiv 2411.15124): an item is hit if training n-grams of 8 words cover more than half of its words."""
_ASKED, _KNOWN, _SAY = 256, 16384, 2048


class Near(NamedTuple):
    """The training texts that one text is like.

    Attributes:
        best: place of the most similar one, -1 where there is none.
        similarity: its cosine, 0 to 1.
        similar: places of all at or above the threshold, most similar first.
    """

    best: int
    similarity: float
    similar: tuple[int, ...]


def vectorizer() -> Any:
    """Tf-idf of words and word pairs, as the answers by look-up weigh them, in single precision."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    pattern = r"(?u)\b\w+\b"
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=pattern, dtype=np.float32)


def nearest(
    asked: Sequence[str], known: Sequence[str], threshold: float = SIMILAR, say: Say = lambda _: None
) -> list[Near]:
    """For every text the training texts that are like it; both canonical.

    Weights are learnt from both sides: a word that training lacks must make a question less similar, not vanish.
    Cosines are computed in blocks of 256 × 16,384.

    Args:
        asked, known: texts of evaluation and of training, each at most once.
        threshold: least cosine of a similar text.
        say: receives progress lines.
    """
    nothing = Near(-1, 0.0, ())
    if not known or not any(text.strip() for text in asked):
        return [nothing] * len(asked)
    table = vectorizer()
    table.fit([*known, *asked])
    training = table.transform(known)
    blocks = [training[first : first + _KNOWN].T.tocsr() for first in range(0, len(known), _KNOWN)]
    found: list[Near] = []
    for start in range(0, len(asked), _ASKED):
        rows = table.transform(asked[start : start + _ASKED])
        found += _nearest_block(rows, blocks, threshold)
        if len(found) % _SAY == 0:
            say(f"questions compared: {len(found)}/{len(asked)} with {len(known)}")
    return found


def _nearest_block(rows: Any, blocks: Sequence[Any], threshold: float) -> list[Near]:
    count = rows.shape[0]
    best, cosine = np.full(count, -1), np.zeros(count, np.float32)
    similar: list[list[tuple[float, int]]] = [[] for _ in range(count)]
    for number, block in enumerate(blocks):
        values = (rows @ block).toarray()
        place = values.argmax(1)
        top = values[np.arange(count), place]
        better = top > cosine
        best[better], cosine[better] = place[better] + number * _KNOWN, top[better]
        for row, column in zip(*np.nonzero(values >= threshold), strict=True):
            similar[row].append((-float(values[row, column]), int(column) + number * _KNOWN))
    return [
        Near(int(at), min(1.0, float(value)), tuple(place for _, place in sorted(own)))
        for at, value, own in zip(best, cosine, similar, strict=True)
    ]


class Coverage:
    """Which runs of eight words of the evaluation texts occur in training texts, seen one after the other.

    Args:
        asked: canonical evaluation texts; only their runs are kept, so memory does not grow with training.
    """

    def __init__(self, asked: Iterable[str]) -> None:
        self._wanted = {gram for text in asked for gram in _grams(text.split())}
        self._seen: set[tuple[str, ...]] = set()

    def add(self, text: str) -> None:
        """Look at a canonical training text."""
        if self._wanted:
            self._seen.update(gram for gram in _grams(text.split()) if gram in self._wanted)

    def of(self, text: str) -> float:
        """Share of the words of a canonical text that lie in runs seen in training; 0 for fewer than eight words."""
        words = text.split()
        inside = np.zeros(len(words), bool)
        for start, gram in enumerate(_grams(words)):
            if gram in self._seen:
                inside[start : start + GRAM] = True
        return float(inside.mean()) if words else 0.0


def _grams(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + GRAM]) for start in range(len(words) - GRAM + 1)]
