"""The sentence encoder with a memory, for ``translation_checks.py``: an error leaves most texts as they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bimedix2.data.check import UseScorer


class RememberingScorer(UseScorer):
    """Encodes each text once; the cosines are those of ``UseScorer`` to the last bits of a float."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, np.ndarray] = {}

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Cosines, -1 to 1."""
        new = [text for text in dict.fromkeys(text for pair in pairs for text in pair) if text not in self._known]
        if new:
            vectors = np.asarray(self._encoder.encode([text or " " for text in new]), dtype=np.float32)
            self._known |= dict(zip(new, vectors, strict=True))
        return [float(self._known[one] @ self._known[other]) for one, other in pairs]
