"""Our own models, and every Hugging Face LLaVA that :func:`bimedix2.load` takes, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bimedix2.evaluate.schema import Reply, Sample

if TYPE_CHECKING:
    from bimedix2.inference.assistant import Assistant


class LocalEngine:
    """Answers greedily, in batches; images that a batch shares are encoded once.

    Args:
        name: model name for reports.
        identity: changes with the weights.
        load: loads the model; called when the first reply is needed, so that a finished run needs no model.
    """

    def __init__(self, name: str, identity: str, load: Callable[[], Assistant]) -> None:
        self.name = name
        self.fingerprint = f"local|{identity}|greedy"
        self._load = load
        self._model: Assistant | None = None

    @property
    def model(self) -> Assistant:
        """The loaded model."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        """Free-text replies in the language of each sample.

        Raises:
            BiMediX2Error: one of them cannot be answered (the runner then asks them one by one).
        """
        from bimedix2.inference import GenerationConfig, Question

        started = time.monotonic()
        questions = [
            Question(sample.prompt, tuple(str(root / image) for image in sample.images), sample.language)
            for sample in samples
        ]
        answers = self.model.ask_batch(questions, GenerationConfig(max_new_tokens=max_new_tokens))
        each = (time.monotonic() - started) / len(samples)
        return [
            Reply(id=sample.id, text=answer.text, tokens=answer.tokens, seconds=round(each, 4))
            for sample, answer in zip(samples, answers, strict=True)
        ]

    def option_scores(self, samples: Sequence[Sample], root: Path) -> list[Reply]:
        """Log-probability of each option's letter after the prompt, which is read once for all of them."""
        from bimedix2.inference import user_turn
        from bimedix2.inference.options import OptionQuestion, score_options

        started = time.monotonic()
        questions = []
        for sample in samples:
            turn, _ = user_turn(sample.prompt, len(sample.images), sample.language)
            images = [str(root / image) for image in sample.images]
            questions.append(OptionQuestion([turn], images, sample.letters or sample.options))
        scores = score_options(self.model, questions)
        each = (time.monotonic() - started) / len(samples)
        return [
            Reply(id=sample.id, option_logprobs=tuple(own), seconds=round(each, 4))
            for sample, own in zip(samples, scores, strict=True)
        ]
