"""Modality and body-region accuracy on ROCOv2's checked concepts, in both languages, against the majority class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bimedix2.data.sources._common import label, phrases
from bimedix2.data.sources.rocov2 import MODALITIES, REGIONS, Figure, read_figures
from bimedix2.records.schema import Language
from bimedix2.text import normalize_for_search

if TYPE_CHECKING:
    from bimedix2.inference.assistant import Assistant

Fact = Literal["modality", "region"]
AskMany = Callable[[Sequence[tuple[str, str]]], list[str]]
_MAX_TOKENS = 24


@dataclass(frozen=True)
class FactAccuracy:
    """Accuracy on one fact in one language.

    Attributes:
        accuracy: share of figures named right.
        majority: accuracy of always naming the class that is most frequent in the training figures.
        n: figures with the fact checked.
        unparsed: share of replies that name no class, or several.
    """

    fact: Fact
    language: Language
    accuracy: float
    majority: float
    n: int
    unparsed: float


def classes(fact: Fact) -> list[str]:
    """English names of a fact's classes."""
    return [name for name, _ in MODALITIES.values()] if fact == "modality" else list(REGIONS.values())


def parse_class(reply: str, fact: Fact, language: Language) -> str | None:
    """The one class whose name stands in a reply, or ``None`` when none or several do."""
    text = f" {_words(reply)} "
    named = [name for name in classes(fact) if f" {_words(label(name, language))} " in text]
    return named[0] if len(named) == 1 else None


def _words(text: str) -> str:
    """Normalised words with single spaces: ``"X-ray."`` gives ``"x ray"``."""
    return " ".join(re.findall(r"\w+", normalize_for_search(text)))


def fact_accuracy(
    figures: Sequence[Figure], train: Sequence[Figure], fact: Fact, language: Language, ask: AskMany
) -> FactAccuracy:
    """Ask one fixed question about each figure and compare.

    Args:
        figures: figures to ask about; those without the fact are left out.
        train: figures that give the majority class.
        fact: modality or region.
        language: of question and reply.
        ask: takes (question, image path) pairs and returns the replies.
    """
    kept = [figure for figure in figures if getattr(figure, fact)]
    question = phrases(fact, language)[0]
    replies = ask([(question, figure.image) for figure in kept])
    found = [parse_class(reply, fact, language) for reply in replies]
    right = sum(name == getattr(figure, fact) for name, figure in zip(found, kept, strict=True))
    common = Counter(getattr(figure, fact) for figure in train if getattr(figure, fact)).most_common(1)[0][0]
    majority = sum(getattr(figure, fact) == common for figure in kept)
    n = len(kept)
    return FactAccuracy(fact, language, right / n, majority / n, n, sum(name is None for name in found) / n)


def evaluate_rocov2(
    assistant: Assistant, root: Path, *, folder: str = "test", limit: int | None = None, batch: int = 16
) -> list[FactAccuracy]:
    """Every fact in every language on one official split.

    Args:
        assistant: the model.
        root: data root that holds ``rocov2/``.
        folder: ``train``, ``valid`` or ``test``.
        limit: only the first figures.
        batch: questions per batch.
    """
    figures, train = list(read_figures(root, folder))[:limit], list(read_figures(root, "train"))
    facts: tuple[Fact, ...] = ("modality", "region")
    languages: tuple[Language, ...] = ("en", "ar")
    ask = partial(_ask_in_batches, assistant, root, batch)
    return [fact_accuracy(figures, train, fact, lang, ask) for fact in facts for lang in languages]


def _ask_in_batches(assistant: Assistant, root: Path, batch: int, questions: Sequence[tuple[str, str]]) -> list[str]:
    from bimedix2.inference import GenerationConfig, Question

    config = GenerationConfig(max_new_tokens=_MAX_TOKENS)
    replies: list[str] = []
    for start in range(0, len(questions), batch):
        part = [Question(text, (str(root / image),)) for text, image in questions[start : start + batch]]
        replies += [answer.text for answer in assistant.ask_batch(part, config)]
    return replies
