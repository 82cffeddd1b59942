"""The six VQA metrics with the defects of the original definition mended, for Arabic and English alike.

What differs from ``multimedeval`` (:mod:`.vqa`): Arabic is read; closed questions are those that the data set
calls closed; a yes/no reply is judged by its first decisive word and a contradiction is wrong; naming the opposite
side is wrong; a metric without samples has no value rather than 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from .vqa import bleu1
from .words import contradicts, decide, words

_RECALL_OF_OPEN = 0.75


@dataclass(frozen=True)
class CorrectedScore:
    """Values of one prediction.

    Attributes:
        bleu1, f1, recall: over comparable words; recall and F1 over the sets of them.
        exact: whether the words are the same in the same order.
        closed: whether the question is of the closed type.
        correct: the yes/no decision, all words of another closed answer, or three quarters of an open one's.
        parsed: whether the reply decides at all (for yes/no), or says anything.
    """

    bleu1: float
    f1: float
    recall: float
    exact: bool
    closed: bool
    correct: bool
    parsed: bool


def score_corrected(prediction: str, reference: str, answer_type: str = "") -> CorrectedScore:
    """Compare one prediction with its reference.

    Args:
        prediction: raw reply.
        reference: the right answer.
        answer_type: ``closed`` or ``open`` as the data set says; by the reference if empty.
    """
    found, wanted = _answer_words(prediction), _answer_words(reference)
    reply, target = set(found), set(wanted)
    shared = len(reply & target)
    recall = shared / len(target) if target else 0.0
    f1 = 2 * shared / (len(reply) + len(target)) if shared else 0.0
    yes_no = wanted in (["yes"], ["no"])
    closed = answer_type == "closed" if answer_type else yes_no
    parsed = bool(found)
    if yes_no:
        decision = decide(prediction)
        correct, parsed = decision == wanted[0], decision in ("yes", "no")
    else:
        enough = recall == 1 if closed else recall >= _RECALL_OF_OPEN
        correct = enough and not contradicts(reply, target)
    return CorrectedScore(
        bleu1(" ".join(found), " ".join(wanted)), f1, recall, found == wanted, closed, correct, parsed
    )


_YES_NO = {"نعم": "yes", "اجل": "yes", "لا": "no", "كلا": "no"}


def _answer_words(text: str) -> list[str]:
    return [_YES_NO.get(word, word) for word in words(text)]
