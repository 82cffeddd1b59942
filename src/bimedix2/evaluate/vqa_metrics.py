"""The six VQA metrics of MultiMedEval 1.0.0, which the paper's Table 5 reports, in plain Python.

They compare *sets* of cleaned words, so recall rewards long replies and BLEU-1 and F1 punish them: read them
together. For Arabic the same formulas are used after the words were normalised and yes/no mapped, because the
original never treats an Arabic answer as closed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bimedix2.records.schema import Language

from .cleaning import clean_answer

_EPSILON = 1e-8
_CLOSED_RECALL, _OPEN_RECALL = 0.4, 0.75
# A reply to a closed question is right when its recall of these words reaches 0.4, so one of two suffices.
_ACCEPTED = {"yes": frozenset({"yes"}), "no": frozenset({"no", "not"})}
ARABIC_YES_NO = {"نعم": "yes", "لا": "no", "كلا": "no"}


@dataclass(frozen=True)
class PairScore:
    """Values of one prediction.

    Attributes:
        bleu1, f1, recall: of cleaned words.
        closed: whether the reference is yes or no.
        correct: recall >= 0.4 for closed questions, >= 0.75 for open ones.
    """

    bleu1: float
    f1: float
    recall: float
    closed: bool
    correct: bool


@dataclass(frozen=True)
class VqaScores:
    """The six metrics over a set, their mean, and how many questions they are about."""

    bleu1: float
    closed_accuracy: float
    open_recall: float
    recall: float
    open_accuracy: float
    f1: float
    n: int
    n_closed: int
    n_open: int

    @property
    def mean(self) -> float:
        """Plain mean of the six, as the paper averages them."""
        six = (self.bleu1, self.closed_accuracy, self.open_recall, self.recall, self.open_accuracy, self.f1)
        return sum(six) / 6

    def to_dict(self) -> dict[str, Any]:
        """All values and the mean."""
        return {**asdict(self), "mean": self.mean}


def score_pair(prediction: str, reference: str, language: Language = "en") -> PairScore:
    """Compare one prediction with its reference."""
    predicted, wanted = (_clean(text, language) for text in (prediction, reference.strip().lower()))
    words, target = set(predicted.split()), set(wanted.split())
    shared = len(words & target)
    precision = shared / len(words) if words else 0.0
    recall = shared / len(target) if target else 0.0
    f1 = 2 * precision * recall / (precision + recall + _EPSILON)
    closed = wanted in _ACCEPTED
    if closed:
        accepted = _ACCEPTED[wanted]
        correct = len(words & accepted) / len(accepted) >= _CLOSED_RECALL
    else:
        correct = recall >= _OPEN_RECALL
    return PairScore(bleu1(predicted, wanted), f1, recall, closed, correct)


def _clean(text: str, language: Language) -> str:
    if language != "ar":
        return clean_answer(text)
    from bimedix2.text import normalize_for_search

    words = re.findall(r"\w+(?:[./-]\w+)*%?", normalize_for_search(text))
    return clean_answer(" ".join(_YES_NO.get(word, word) for word in words))


def _yes_no() -> dict[str, str]:
    from bimedix2.text import normalize_for_search

    return {normalize_for_search(word): value for word, value in ARABIC_YES_NO.items()}


_YES_NO = _yes_no()


def bleu1(prediction: str, reference: str) -> float:
    """Clipped unigram precision times the brevity penalty exp(1 - r/c) (Papineni et al. 2002)."""
    words, target = prediction.split(), reference.split()
    if not words or not target:
        return 0.0
    clipped = sum((Counter(words) & Counter(target)).values())
    penalty = 1.0 if len(words) > len(target) else math.exp(1 - len(target) / len(words))
    return penalty * clipped / len(words)


def score_vqa(pairs: Iterable[tuple[str, str]], language: Language = "en") -> VqaScores:
    """The six metrics over (prediction, reference) pairs; a group without members counts 0."""
    return aggregate([score_pair(prediction, reference, language) for prediction, reference in pairs])


def aggregate(scores: Sequence[PairScore]) -> VqaScores:
    """Mean of per-sample values, closed and open questions apart where the metric says so."""
    closed = [score for score in scores if score.closed]
    opened = [score for score in scores if not score.closed]
    return VqaScores(
        bleu1=_mean([score.bleu1 for score in scores]),
        closed_accuracy=_mean([float(score.correct) for score in closed]),
        open_recall=_mean([score.recall for score in opened]),
        recall=_mean([score.recall for score in scores]),
        open_accuracy=_mean([float(score.correct) for score in opened]),
        f1=_mean([score.f1 for score in scores]),
        n=len(scores),
        n_closed=len(closed),
        n_open=len(opened),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def bootstrap_interval(scores: Sequence[PairScore], *, seed: int = 0, rounds: int = 1000) -> tuple[float, float]:
    """95 % percentile interval of the mean of six, questions drawn with replacement (Efron 1979)."""
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, len(scores), (rounds, len(scores)))
    means = [aggregate([scores[index] for index in draw]).mean for draw in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
