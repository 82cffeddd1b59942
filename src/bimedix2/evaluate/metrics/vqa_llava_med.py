"""LLaVA-Med's own VQA scores: words counted, not collected in sets, and yes or no sought as letters.

They share names with MultiMedEval's and differ in value, so they are a mode of their own and never mixed.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .cleaning import clean_answer


class LlavaMedScore(NamedTuple):
    """Values of one prediction.

    Attributes:
        exact: distinct reference words in the prediction over all of its words, so that "CT" is exact for
            "computed tomography (CT)".
        f1, precision, recall: of words by how often the prediction says them, and the reference those it lacks.
        closed_hit: the reference stands somewhere in a prediction that holds "yes" or "no", be it in "normal".
    """

    exact: float
    f1: float
    precision: float
    recall: float
    closed_hit: bool


def score_llava_med(prediction: str, reference: str) -> LlavaMedScore:
    """Compare one prediction with its reference; every share is 0 where its denominator is.

    >>> score_llava_med("The lungs are clear", "clear lungs").recall
    1.0
    """
    predicted, wanted = clean_answer(prediction), clean_answer(reference)
    words, target = Counter(predicted.split()), Counter(wanted.split())
    shared = words.keys() & target.keys()
    said = sum(words[word] for word in shared)
    lacking = sum(count for word, count in target.items() if word not in shared)
    total = words.total()
    precision = said / total if total else 0.0
    recall = said / (said + lacking) if said else 0.0
    f1 = 2 * precision * recall / (precision + recall) if said else 0.0
    decided = "yes" in predicted or "no" in predicted
    return LlavaMedScore(len(shared) / total if total else 0.0, f1, precision, recall, decided and wanted in predicted)
