"""BLEU, ROUGE-L and chrF of one report, from sacrebleu and rouge-score, with a choice of tokens.

torchmetrics and rouge-score drop every character outside a-z and 0-9 before ROUGE, so any Arabic report scores 0.0;
with the comparable words of :func:`words` it does not. sacrebleu without smoothing equals torchmetrics' BLEU to 4e-16
at a twentieth of its time, rouge-score its ROUGE to 3e-8; of rouge-score only the tokens are taken, because its table
of common subsequences costs more time than all other metrics of a report together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

from .words import words

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

Tokens = Literal["original", "script_aware"]


def bleu(prediction: str, reference: str, order: int, tokens: Tokens) -> float:
    """Sentence BLEU up to ``order``-grams with brevity penalty and no smoothing (Papineni et al. 2002), 0 to 1.

    Without smoothing BLEU-4 is 0 for any pair that shares no four words in a row, hence for most short reports.
    ``original`` splits at white space, case and punctuation included, as MultiMedEval does.
    """
    if tokens == "script_aware":
        prediction, reference = " ".join(words(prediction)), " ".join(words(reference))
    if not prediction.strip() or not reference.strip():
        return 0.0
    # sentence_score would warn on every call; a corpus of one sentence has the same value.
    return float(_bleu(order).corpus_score([prediction], [[reference]]).score) / 100


def rouge_l(prediction: str, reference: str, tokens: Tokens) -> float:
    """F-measure of the longest common subsequence (Lin 2004), 0 to 1; ``original`` keeps a-z and 0-9 only."""
    split = words if tokens == "script_aware" else _rouge_tokens()
    predicted, wanted = split(prediction), split(reference)
    common = common_subsequence(predicted, wanted)
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at once as bits of a number (Hyyrö 2004).

    >>> common_subsequence("a b c d".split(), "b x d c".split())
    2
    """
    places: dict[str, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    whole = (1 << len(a)) - 1
    row = whole  # a 0 marks where a row of the table rises
    for token in b:
        matches = row & places.get(token, 0)
        row = (row + matches) | (row - matches)
    return len(a) - (row & whole).bit_count()


def chrf(prediction: str, reference: str) -> float:
    """Character n-gram F-score (Popović 2015), 0 to 1; needs no tokens, so it suits Arabic."""
    if not prediction.strip() or not reference.strip():
        return 0.0
    return float(_chrf().sentence_score(prediction, [reference]).score) / 100


@cache
def _bleu(order: int) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, effective_order=False)


@cache
def _chrf() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@cache
def _rouge_tokens() -> Callable[[str], list[str]]:
    from rouge_score.tokenizers import DefaultTokenizer

    tokenize: Callable[[str], list[str]] = DefaultTokenizer(use_stemmer=False).tokenize
    return tokenize
