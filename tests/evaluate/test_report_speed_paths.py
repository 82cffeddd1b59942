"""Short cuts of the report metrics give what the libraries give that they cut short."""

from __future__ import annotations

import random
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bimedix2.evaluate.metrics.meteor import wordnet_missing
from bimedix2.evaluate.metrics.overlap import common_subsequence, rouge_l
from bimedix2.evaluate.metrics.treebank import treebank
from bimedix2.evaluate.metrics.wordnet import wordnet

# Everything the expressions of the tokenizer look for, and letters of both scripts around it.
PIECES = [
    "a", "lung", "Dr", "cannot", "gonna", "more'n", "d'ye", "'tis", "can't", "they'll", "s'", "'s", "patient's", "3",
    "3.5", "1,200", "12/5", "e.g.", "p.m.", ".", "..", "...", ",", ",,", ":", ";", "?", "!", "%", "$", "#", "@", "*",
    "&", "-", "--", "(", ")", "[", "]", "{", "<", ">", "'", "''", '"', "`", "``", "«", "”", "—", "/", "+", "=", "_",
    "الرئة", "؟", "é", "\u00a0", "\t", "x", "No", "N'T", "wanna",
]  # fmt: skip
TEXTS = st.lists(
    st.tuples(st.sampled_from(PIECES), st.sampled_from(["", "", " ", " ", "\n", "  "])).map("".join), max_size=12
).map("".join)
FIXED = [
    "No effusion, pneumothorax (or edema). It's 3.5 cm: see Dr. Smith's note, p.m.",
    'Impression: 1. Normal. 2. (See above.) "Clear lungs." Isn\'t it?',
    "ends with a bracket. )",
    "a, 5:3 and a:b ,c",
    "الرئتان سليمتان. No effusion",
    "",
    " \n ",
]


@pytest.mark.parametrize("text", FIXED)
def test_treebank_tokens_of_fixed_texts(text: str) -> None:
    assert treebank(text) == _nltk(text)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("x ' x")
@example("wanna x, wanna.")
def test_treebank_tokens_equal_nltk(text: str) -> None:
    assert treebank(text) == _nltk(text)


def _nltk(text: str) -> list[str]:
    """``nltk.word_tokenize`` with its sentences from the packaged model."""
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from punkt import sent_tokenize

    return [token for sentence in sent_tokenize(text) for token in NLTKWordTokenizer().tokenize(sentence)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abcde"), max_size=90), st.lists(st.sampled_from("abcde"), max_size=90))
def test_rouge_l_equals_rouge_score(a: list[str], b: list[str]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    given_text, wanted = " ".join(a), " ".join(b)
    expected = RougeScorer(["rougeL"]).score(wanted, given_text)["rougeL"].fmeasure
    assert rouge_l(given_text, wanted, "original") == expected
    assert common_subsequence(a, b) == common_subsequence(b, a)


def test_common_subsequence_by_hand() -> None:
    # Arabic tokens: the middle one is replaced, the outer two stay in order.
    assert common_subsequence(["الرئة", "سليمة", "اليوم"], ["الرئة", "مصابة", "اليوم"]) == 2
    assert common_subsequence(["a"] * 100, ["a"] * 70) == 70
    assert common_subsequence([], ["a"]) == common_subsequence(["a"], []) == 0


@pytest.mark.skipif(wordnet_missing(), reason="WordNet is not installed (Debian: wordnet-base)")
def test_synonyms_equal_nltks_own_reader() -> None:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    ours = wordnet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = type("Plain", (WordNetCorpusReader,), {"map_wn": lambda *_: None})(str(ours._reader.root), None)
    lemmas = random.Random(0).sample(sorted(theirs._lemma_pos_offset_map), 300)
    inflected = [lemma + ending for lemma in lemmas[:100] for ending in ("s", "es", "ing")]
    for word in [*lemmas, *inflected, "geese", "better", "Left", "axes", "galore", ".", "رئة", ""]:
        expected = [[lemma.name() for lemma in synset.lemmas()] for synset in theirs.synsets(word)]
        assert [[lemma.name() for lemma in synset.lemmas()] for synset in ours.synsets(word)] == expected, word
