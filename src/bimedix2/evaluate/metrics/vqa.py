"""The six VQA metrics of MultiMedEval 1.0.0, which the paper's Table 5 reports, in plain Python.

They compare *sets* of cleaned words, so recall rewards long replies and BLEU-1 and F1 punish them: read them
together. The original reads English alone and so does this; :mod:`.vqa_corrected` is for both languages.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .cleaning import clean_answer

_EPSILON = 1e-8
_CLOSED_RECALL, _OPEN_RECALL = 0.4, 0.75
# A reply to a closed question is right when its recall of these words reaches 0.4, so one of two suffices.
_ACCEPTED = {"yes": frozenset({"yes"}), "no": frozenset({"no", "not"})}


class PairScore(NamedTuple):
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


def score_pair(prediction: str, reference: str) -> PairScore:
    """Compare one prediction with its reference."""
    predicted, wanted = clean_answer(prediction), clean_answer(reference.strip())
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


def bleu1(prediction: str, reference: str) -> float:
    """Clipped unigram precision times the brevity penalty exp(1 - r/c) (Papineni et al. 2002)."""
    words, target = prediction.split(), reference.split()
    if not words or not target:
        return 0.0
    # Three times as fast as an intersection of two Counters.
    left: dict[str, int] = {}
    for word in target:
        left[word] = left.get(word, 0) + 1
    clipped = 0
    for word in words:
        if left.get(word):
            left[word] -= 1
            clipped += 1
    penalty = 1.0 if len(words) > len(target) else math.exp(1 - len(target) / len(words))
    return penalty * clipped / len(words)
