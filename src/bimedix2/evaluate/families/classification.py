"""Naming one class of a closed list in free text, such as the modality of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bimedix2.evaluate.metrics.words import words
from bimedix2.evaluate.schema import Mode, Reply, Sample, Scored
from bimedix2.records.schema import Language


class Classification:
    """Right if the reply names the reference's class and no other of ``Sample.options``."""

    name = "classification"
    modes: tuple[Mode, ...] = ("named",)
    metrics: Mapping[str, Mapping[Language, str]] = {"accuracy": {"en": "Accuracy", "ar": "الدقة"}}
    headline = "accuracy"
    composites: Mapping[str, tuple[str, ...]] = {}
    lower_is_better: frozenset[str] = frozenset()

    def score(self, samples: Sequence[Sample], replies: Sequence[Reply], mode: Mode) -> list[Scored]:
        """One row per sample; a reply that names no class, or several, is not parsed."""
        return [_scored(sample, reply) for sample, reply in zip(samples, replies, strict=True)]


def _scored(sample: Sample, reply: Reply) -> Scored:
    named = named_class(reply.text, sample.options)
    return Scored(
        id=sample.id,
        language=sample.language,
        cluster=sample.cluster,
        group=sample.group,
        values={"accuracy": float(named == sample.reference)},
        parsed=named is not None,
    )


def named_class(reply: str, options: Sequence[str]) -> str | None:
    """The one option whose words stand together in the reply; ``None`` when none or several do.

    >>> named_class("It is an X-ray.", ["CT", "X-ray"])
    'X-ray'
    """
    text = f" {' '.join(words(reply))} "
    found = [option for option in options if f" {' '.join(words(option))} " in text]
    return found[0] if len(found) == 1 else None


FAMILY = Classification()
