"""Lines of a bidirectional paragraph: broken in reading order, then put into order of display (UAX #9, L1 and L2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bimedix2.serve.export.document import Run
from bimedix2.text.bidi import LRI, PDI, Direction

# Hundreds of signs without a letter are no text, and fpdf2 recurses once for each.
_NO_TEXT = re.compile(r"[\W_]{200}")
_LONGEST_WORD = 80
_WHOLE = 24  # isolated runs up to so many characters, such as a measurement, are not broken


@dataclass(frozen=True, slots=True)
class Character:
    """One character with its embedding level (odd is right-to-left) and weight."""

    text: str
    level: int
    bold: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of one level and weight, in reading order."""

    text: str
    level: int
    bold: bool


def characters(runs: Sequence[Run], direction: Direction) -> list[Character]:
    """Characters of a paragraph with their levels; the isolates that set them are left out."""
    marked: list[tuple[str, bool]] = []
    for run in runs:
        space = "\u00a0" if run.isolated and len(run.text) <= _WHOLE else " "
        inner = [(space if letter == " " else letter, span.bold) for span in run.spans for letter in span.text]
        marked += [(LRI, False), *inner, (PDI, False)] if run.isolated else inner
    text = "".join(letter for letter, _ in marked)
    levels = {} if _NO_TEXT.search(text) else _levels(text, direction)
    bottom = 1 if direction == "rtl" else 0
    return [
        Character(letter, levels.get(index, bottom), bold)
        for index, (letter, bold) in enumerate(marked)
        if letter not in (LRI, PDI)
    ]


def _levels(text: str, direction: Direction) -> dict[int, int]:
    from fpdf.bidi import BidiParagraph
    from fpdf.enums import TextDirection

    base = TextDirection.RTL if direction == "rtl" else TextDirection.LTR
    found = BidiParagraph(text=text, base_direction=base, preserve_bn_chars=True)
    return {item.character_index: item.embedding_level for item in found.get_characters_with_embedding_level()}


def break_lines(
    text: Sequence[Character], width: float, measure: Callable[[Sequence[Piece]], float]
) -> list[list[Character]]:
    """Fill lines of ``width`` word by word; a word wider than a line is broken where it must be.

    Args:
        text: a paragraph.
        width: of a line.
        measure: width of pieces, in the same unit.
    """
    lines: list[list[Character]] = [[]]
    space, used = measure([Piece(" ", 0, False)]), 0.0
    for word in _words(text):
        size = measure(pieces(word))
        if lines[-1] and used + size > width:
            lines.append([])
            used = 0.0
        while size > width and len(word) > 1:
            fits = _fitting(word, width, measure)
            lines[-1] += word[:fits]
            word = word[fits:]
            size = measure(pieces(word))
            lines.append([])
        lines[-1] += word
        used += size + space * sum(item.text == " " for item in word)
    return [line for line in lines if line]


def _words(text: Sequence[Character]) -> list[list[Character]]:
    """Words, each with the spaces behind it; longer ones than any language has come in parts."""
    words: list[list[Character]] = [[]]
    for character in text:
        ended = words[-1] and words[-1][-1].text == " " and character.text != " "
        if ended or len(words[-1]) >= _LONGEST_WORD:
            words.append([])
        words[-1].append(character)
    return [word for word in words if word]


def _fitting(word: list[Character], width: float, measure: Callable[[Sequence[Piece]], float]) -> int:
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(pieces(word[:middle])) <= width else (low, middle - 1)
    return low


def pieces(line: Sequence[Character]) -> list[Piece]:
    """A line's characters in reading order, joined; spaces at the end are left out."""
    end = len(line)
    while end and line[end - 1].text == " ":
        end -= 1
    grouped = groupby(line[:end], key=lambda item: (item.level, item.bold))
    return [Piece("".join(item.text for item in group), level, bold) for (level, bold), group in grouped]


def visual(line: Sequence[Character]) -> list[Piece]:
    """Pieces of a line from left to right: every run of a level and above is reversed, the highest level first.

    A piece's own characters stay in reading order; shaping turns those of an odd level round.
    """
    order = pieces(line)
    if not order:
        return []
    for level in range(max(piece.level for piece in order), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and order[end].level >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = max(end, start + 1)
    return order
