"""What a check says, and what it is told about a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from bimedix2.records.schema import Language

from .fold import Folded, Span, fold
from .glossary import Glossary

Severity = Literal["critical", "error", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a translation.

    Attributes:
        check: name of the check.
        severity: ``critical`` can change care (a number, a side, a negation …), ``error`` is any other fault that
            fails the pair, ``note`` is shown but fails nothing.
        source, translation: (start, end) character offsets of what to look at on each side.
        english, arabic: the explanation in both languages.
        turn: 0-based turn of a record.
    """

    check: str
    severity: Severity
    source: tuple[Span, ...] = ()
    translation: tuple[Span, ...] = ()
    english: str
    arabic: str
    turn: int | None = None


@dataclass(frozen=True)
class Context:
    """What a check may know beside the two texts.

    Attributes:
        source_language: language of the source, the translation is to be in the other one; ``None``, only for
            ``check_pairs``, tells it by the letters of every row.
        glossary: the user's terms.
        positions: also compare upper/lower, anterior/posterior and the like.
    """

    source_language: Language | None = "en"
    glossary: Glossary = field(default_factory=Glossary)
    positions: bool = False

    @property
    def target_language(self) -> Language:
        """Language that the translation is to be in."""
        return "en" if self.source_language == "ar" else "ar"


@dataclass(frozen=True)
class Sides:
    """A pair by language: most checks compare English with Arabic whichever of them is the source."""

    english: Folded
    arabic: Folded
    source_is_english: bool

    def finding(
        self,
        check: str,
        severity: Severity,
        texts: tuple[str, str],
        english: Sequence[Span] = (),
        arabic: Sequence[Span] = (),
    ) -> Finding:
        """A finding whose spans are given in the folded texts of the two languages."""
        at_english = tuple(self.english.span(*span) for span in english)
        at_arabic = tuple(self.arabic.span(*span) for span in arabic)
        source, translation = (at_english, at_arabic) if self.source_is_english else (at_arabic, at_english)
        return Finding(
            check=check,
            severity=severity,
            source=source,
            translation=translation,
            english=texts[0],
            arabic=texts[1],
        )


def sides(source: str, translation: str, context: Context) -> Sides:
    """The two texts, folded and put in their places by language."""
    if context.source_language == "ar":
        return Sides(fold(translation), fold(source), False)
    return Sides(fold(source), fold(translation), True)
