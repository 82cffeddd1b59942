"""METEOR (Banerjee and Lavie 2005) by NLTK: alpha 0.9, beta 3, gamma 0.5.

``meteor`` is what MultiMedEval computes and needs WordNet 3.0 (:mod:`.wordnet`). ``meteor_exact`` uses no synonyms,
needs nothing and reads Arabic.
"""

from __future__ import annotations

from functools import cache, lru_cache

from .treebank import treebank
from .wordnet import NoSynonyms, Synonyms, wordnet
from .words import words

_CACHED_WORDS = 50_000


def meteor(prediction: str, reference: str) -> float:
    """METEOR with stems and WordNet synonyms over Treebank tokens, as MultiMedEval computes it.

    Raises:
        LookupError: WordNet is not installed (see :func:`wordnet_missing`).
    """
    return _meteor(treebank(prediction), treebank(reference), wordnet())


def meteor_exact(prediction: str, reference: str) -> float:
    """METEOR over comparable words with English stems and no synonyms, in both languages."""
    return _meteor(words(prediction), words(reference), NoSynonyms())


def wordnet_missing() -> bool:
    """Whether there is no WordNet on this machine."""
    try:
        wordnet()
    except LookupError:
        return True
    return False


def _meteor(prediction: list[str], reference: list[str], synonyms: Synonyms) -> float:
    from nltk.translate.meteor_score import single_meteor_score

    if not prediction or not reference:
        return 0.0
    return float(single_meteor_score(reference, prediction, stemmer=_stemmer(), wordnet=synonyms))


class _CachedStemmer:
    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = lru_cache(_CACHED_WORDS)(PorterStemmer().stem)


@cache
def _stemmer() -> _CachedStemmer:
    return _CachedStemmer()
