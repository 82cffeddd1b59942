"""What the translator and the critic reply, and what is made of a translation on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from bimedix2.records import Language
from bimedix2.text import language_of, script_counts

from .checks import Fault

NAMES: dict[Language, dict[Language, str]] = {
    "en": {"en": "English", "ar": "Modern Standard Arabic"},
    "ar": {"en": "الإنجليزية", "ar": "العربية الفصحى"},
}
_ENOUGH_LETTERS = 20


class Translation(msgspec.Struct, frozen=True):
    """A model's translation: for every turn with text its texts."""

    turns: list[list[str]]


class CritiqueError(msgspec.Struct, frozen=True):
    """One fault that the critic found."""

    quote: str = ""
    fault: str = ""
    better: str = ""


class Critique(msgspec.Struct, frozen=True):
    """A model's judgement of a translation."""

    score: Annotated[int, msgspec.Meta(ge=0, le=100)]
    errors: list[CritiqueError] = []
    critical: bool = False

    def lines(self) -> list[str]:
        """The faults as text."""
        parts = ((error.quote, error.fault, error.better) for error in self.errors)
        return [" | ".join(part for part in found if part.strip()) for found in parts if any(found)]


class Draft(NamedTuple):
    """A translation, what is known of it, and the replies that made it."""

    turns: list[list[str]]
    faults: list[Fault]
    critique: Critique | None = None


def rank(draft: Draft) -> tuple[bool, int, int]:
    """Better drafts compare greater: nothing critical, then the score, then fewer faults."""
    critique = draft.critique
    assert critique is not None
    return not critique.critical, critique.score, -len(draft.faults)


_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "shape": '"turns" must hold messages of {} strings but holds {}',
        "empty": "a translation is empty",
        "language": "the translation is not in {}",
    },
    "ar": {
        "shape": 'يجب أن تكون أعداد السلاسل في رسائل "turns" هي {} لكنها {}',
        "empty": "إحدى الترجمات فارغة",
        "language": "الترجمة ليست بلغة {}",
    },
}


def shape_problems(
    wanted: list[list[str]], found: list[list[str]], target: Language, instructions: Language
) -> Sequence[str]:
    """What is wrong with the form of a translation, in words that the model can act on.

    Args:
        wanted: the texts of the source.
        found: their translations.
        target: language that they should be in.
        instructions: language of the answer.
    """
    words = _WORDS[instructions]
    if [len(texts) for texts in found] != [len(texts) for texts in wanted]:
        return [words["shape"].format([len(texts) for texts in wanted], [len(texts) for texts in found])]
    if any(not text.strip() for texts in found for text in texts):
        return [words["empty"]]
    asked, got = (" ".join(text for texts in turns for text in texts) for turns in (wanted, found))
    counts = script_counts(asked)
    # A short text may be an abbreviation, which stays.
    if counts.arabic + counts.latin < _ENOUGH_LETTERS or language_of(got, target) == target:
        return []
    return [words["language"].format(NAMES[instructions][target])]
