"""What of a record is translated, and what must not change: option letters, order, images.

A turn is cut into pieces. Only texts go to a model; option letters are put back by us, and an answer that repeats an
option takes that option's translation, so that the two cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bimedix2.records.schema import Language, Record, Turn

LATIN = tuple("ABCDEFGHIJ")
ARABIC = ("أ", "ب", "ج", "د", "هـ", "و", "ز", "ح", "ط", "ي")
LETTERS: dict[Language, tuple[str, ...]] = {"en": LATIN, "ar": ARABIC}
_INDEX = {letter: index for letters in (LATIN, ARABIC) for index, letter in enumerate(letters)} | {"ا": 0, "ه": 4}
_LETTER = r"(?P<letter>[A-J]|هـ|[أابجدهوزحطي])"
_OPTION = re.compile(rf"(?P<before>[ \t]*\(?){_LETTER}(?P<after>[.)\-:]\)?[ \t]+)(?P<text>\S.*)")
_ANSWER = re.compile(rf"(?P<before>\(?){_LETTER}(?P<after>(?:[.):\-]\)?(?:[ \t]+|$))|$)(?P<text>.*)")


@dataclass(frozen=True)
class Fixed:
    """Text that stays as it is."""

    text: str


@dataclass(frozen=True)
class Label:
    """The letter of an option."""

    index: int


@dataclass(frozen=True)
class Text:
    """Text to translate.

    Attributes:
        text: without white space around it.
        slot: index among the texts of its turn.
    """

    text: str
    slot: int


@dataclass(frozen=True)
class SameAs:
    """The text of an option of an earlier turn."""

    turn: int
    slot: int


Piece = Fixed | Label | Text | SameAs


class Option(NamedTuple):
    """An option of a question: its text, and where its translation will be."""

    text: str
    turn: int
    slot: int


class Parts:
    """A record in pieces.

    Args:
        record: to be translated.
        source: only turns in this language are; others stay.
    """

    def __init__(self, record: Record, source: Language) -> None:
        self.record, self.source = record, source
        self._options: list[Option] = []
        self.pieces: list[list[Piece]] = []
        for number, turn in enumerate(record.turns):
            self.pieces.append(self._cut(number, turn))

    @property
    def texts(self) -> list[list[str]]:
        """What a model is to translate: the texts of each turn; turns without any are left out."""
        found = [[piece.text for piece in pieces if isinstance(piece, Text)] for pieces in self.pieces]
        return [texts for texts in found if texts]

    def rebuilt(self, translations: Sequence[Sequence[str]], target: Language) -> tuple[Turn, ...]:
        """The turns with their texts replaced.

        Args:
            translations: as many as :attr:`texts`, each with as many strings.
            target: language of the translations.
        """
        waiting = iter(translations)
        by_turn = [next(waiting) if any(isinstance(piece, Text) for piece in turn) else () for turn in self.pieces]
        letters = LETTERS[target]
        turns = []
        for turn, pieces, own in zip(self.record.turns, self.pieces, by_turn, strict=True):
            if turn.language != self.source:
                turns.append(turn)
                continue
            text = "".join(_shown(piece, own, by_turn, letters) for piece in pieces)
            turns.append(Turn(role=turn.role, text=text, language=target, images=turn.images))
        return tuple(turns)

    def _cut(self, number: int, turn: Turn) -> list[Piece]:
        if turn.language != self.source:
            return [Fixed(turn.text)]
        if turn.role == "assistant":
            answer = self._answer(turn.text)
            if answer is not None:
                return answer
            return _texts(turn.text, 0)
        lines = turn.text.split("\n")
        first, last = option_block(lines)
        if first == last:
            return _texts(turn.text, 0)
        return self._with_options(number, lines, first, last)

    def _with_options(self, number: int, lines: list[str], first: int, last: int) -> list[Piece]:
        pieces: list[Piece] = _texts("\n".join(lines[:first]), 0)
        options: list[Option] = []
        for index, line in enumerate(lines[first:last]):
            match = _OPTION.fullmatch(line)
            assert match is not None
            slot = sum(isinstance(piece, Text) for piece in pieces)
            pieces += [Fixed(("\n" if first + index else "") + match["before"]), Label(index), Fixed(match["after"])]
            pieces += _texts(match["text"], slot)
            options.append(Option(match["text"].strip(), number, slot))
        if last < len(lines):
            slot = sum(isinstance(piece, Text) for piece in pieces)
            pieces += [Fixed("\n"), *_texts("\n".join(lines[last:]), slot)]
        self._options = options
        return pieces

    def _answer(self, text: str) -> list[Piece] | None:
        """An answer that names an option of the question before it, such as ``B`` or ``B. Pneumonia``."""
        line, mark, rest = text.strip().partition("\n")
        match = _ANSWER.fullmatch(line) if self._options else None
        if match is None or (index := _INDEX[match["letter"]]) >= len(self._options):
            same = next((option for option in self._options if option.text == text.strip()), None)
            return [SameAs(same.turn, same.slot)] if same else None
        pieces: list[Piece] = [Fixed(match["before"]), Label(index), Fixed(match["after"])]
        named, option = match["text"].strip(), self._options[index]
        if named == option.text:
            pieces.append(SameAs(option.turn, option.slot))
        else:
            pieces += _texts(match["text"], 0)
        if mark:
            slot = sum(isinstance(piece, Text) for piece in pieces)
            pieces += [Fixed("\n"), *_texts(rest, slot)]
        return pieces


def _texts(text: str, slot: int) -> list[Piece]:
    """A text, with the white space around it kept apart."""
    core = text.strip()
    if not core:
        return [Fixed(text)] if text else []
    start = text.index(core)
    found: list[Piece] = [Fixed(text[:start]), Text(core, slot), Fixed(text[start + len(core) :])]
    return [piece for piece in found if not isinstance(piece, Fixed) or piece.text]


def _shown(piece: Piece, own: Sequence[str], by_turn: Sequence[Sequence[str]], letters: tuple[str, ...]) -> str:
    if isinstance(piece, Text):
        return own[piece.slot].strip()
    if isinstance(piece, SameAs):
        return by_turn[piece.turn][piece.slot].strip()
    return letters[piece.index] if isinstance(piece, Label) else piece.text


def answer_index(text: str) -> int | None:
    """Index of the option that an answer begins with; ``None`` if it begins with no letter.

    >>> answer_index("B. Pneumonia"), answer_index("ج"), answer_index("Pneumonia")
    (1, 2, None)
    """
    match = _ANSWER.fullmatch(text.strip().partition("\n")[0])
    return _INDEX[match["letter"]] if match else None


def option_block(lines: Sequence[str]) -> tuple[int, int]:
    """First line and line after the last of a list of at least two options that begins with the first letter.

    >>> option_block(["Which one?", "A. left", "B. right", "Answer."])
    (1, 3)
    """
    for first in range(len(lines)):
        last = first
        while last < len(lines):
            match = _OPTION.fullmatch(lines[last])
            if match is None or _INDEX[match["letter"]] != last - first:
                break
            last += 1
        if last - first >= 2:
            return first, last
    return 0, 0
