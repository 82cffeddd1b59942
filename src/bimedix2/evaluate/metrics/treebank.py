"""The tokens of NLTK's ``word_tokenize``, with the Punkt model of a package instead of a download.

NLTK runs some thirty expressions over every sentence. They are looked up word by word instead where that cannot make
a difference, which a test holds against NLTK itself; other sentences go to NLTK whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache

_CACHED_WORDS = 50_000
# The rules of NLTK look past a space only where quotes or brackets are concerned, and at the end of a sentence.
_CONTEXT = re.compile(r"[^ -~\n]|[\"`<>{}\[\]]|(?<![A-Za-z])'|'(?![A-Za-z])")
_NEIGHBOUR = "x"


def treebank(text: str) -> list[str]:
    """Treebank tokens of a text, sentence by sentence.

    >>> treebank("No effusion, pneumothorax (or edema). It's 3.5 cm.")
    ['No', 'effusion', ',', 'pneumothorax', '(', 'or', 'edema', ')', '.', 'It', "'s", '3.5', 'cm', '.']
    """
    return [token for sentence in _split()(text) for token in _tokens(sentence)]


def _tokens(sentence: str) -> list[str]:
    words = sentence.split()
    if not words or _CONTEXT.search(sentence) or not any(map(str.isalnum, words[-1])):
        return _whole()(sentence)
    tokens = [token for word in words[:-1] for token in _inside(word)]
    tokens.extend(_last(words[-1]))
    return tokens


@lru_cache(_CACHED_WORDS)
def _inside(word: str) -> tuple[str, ...]:
    """Tokens of a word that others stand around."""
    return tuple(_whole()(f"{_NEIGHBOUR} {word} {_NEIGHBOUR}")[1:-1])


@lru_cache(_CACHED_WORDS)
def _last(word: str) -> tuple[str, ...]:
    """Tokens of the word that ends a sentence."""
    return tuple(_whole()(f"{_NEIGHBOUR} {word}")[1:])


@cache
def _whole() -> Callable[[str], list[str]]:
    from nltk.tokenize.destructive import NLTKWordTokenizer

    tokenize: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return tokenize


@cache
def _split() -> Callable[[str], list[str]]:
    from punkt import tokenizer_for

    return tokenizer_for("english").tokenize
