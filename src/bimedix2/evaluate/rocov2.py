"""Modality and body-region accuracy on ROCOv2's checked concepts, in both languages, against the majority class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bimedix2.data.sources._common import label, phrases
from bimedix2.data.sources.rocov2 import MODALITIES, REGIONS, Figure, read_figures
from bimedix2.records.schema import Language
from bimedix2.text import normalize_for_search

Fact = Literal["modality", "region"]
AskMany = Callable[[Sequence[tuple[str, str]]], list[str]]


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


def evaluate_rocov2(root: Path, ask: AskMany, folder: str = "test") -> list[dict[str, object]]:
    """Every fact in every language on one official split, as rows for a table."""
    figures, train = list(read_figures(root, folder)), list(read_figures(root, "train"))
    facts: tuple[Fact, ...] = ("modality", "region")
    languages: tuple[Language, ...] = ("en", "ar")
    return [asdict(fact_accuracy(figures, train, fact, lang, ask)) for fact in facts for lang in languages]
