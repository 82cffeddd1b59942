"""What an export holds, before anybody writes a format: blocks with a direction, runs that keep their own order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bimedix2.records.schema import Language
from bimedix2.text.bidi import Direction, block_direction, ltr_runs, strip_bidi_controls

Kind = Literal["title", "heading", "paragraph", "bullet", "quote", "notice", "picture"]


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one weight."""

    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Spans that belong together; ``isolated`` ones keep left-to-right order in a right-to-left block."""

    spans: tuple[Span, ...]
    isolated: bool = False

    @property
    def text(self) -> str:
        """Plain text."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One paragraph, or a picture with its caption.

    Attributes:
        mark: of a list item, such as ``•`` or ``2.``; empty elsewhere.
        picture: PNG bytes, for ``kind="picture"``; the runs are its caption.
    """

    kind: Kind
    runs: tuple[Run, ...]
    direction: Direction
    mark: str = ""
    picture: bytes = b""

    @property
    def text(self) -> str:
        """Plain text in logical order."""
        return "".join(run.text for run in self.runs)

    @property
    def language(self) -> Language:
        """By the direction, as far as a block can tell."""
        return "ar" if self.direction == "rtl" else "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole export.

    Attributes:
        title: plain text.
        language: of the title and the labels.
    """

    title: str
    language: Language
    blocks: tuple[Block, ...]


def block(
    text: str,
    kind: Kind = "paragraph",
    *,
    default: Direction = "ltr",
    mark: str = "",
    picture: bytes = b"",
    plain: bool = True,
) -> Block:
    """A block of one line; its direction is that of most of its letters, as :func:`block_direction` refines it.

    Args:
        text: one line; control characters and bidirectional controls are dropped.
        kind, mark, picture: as in ``Block``.
        default: direction of the message that it belongs to.
        plain: ``False`` reads ``**…**`` as bold.
    """
    spans = [Span(clean(text))] if plain else _spans(clean(text))
    whole = "".join(span.text for span in spans)
    direction = block_direction(whole, default)
    runs = _runs(spans, ltr_runs(whole, direction) if direction == "rtl" else [])
    return Block(kind=kind, runs=runs, direction=direction, mark=mark, picture=picture)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff\u2028\u2029]")


def clean(text: str) -> str:
    """Without bidirectional controls, and without characters that XML or a printer cannot take; tabs become spaces."""
    return _CONTROL.sub("", strip_bidi_controls(text)).replace("\t", " ").replace("\n", " ")


_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_BULLET = re.compile(r"\s*[-*•]\s+(.*)$")
_NUMBER = re.compile(r"\s*([0-9٠-٩]{1,3}[.)])\s+(.*)$")
_QUOTE = re.compile(r"\s{0,3}>\s?(.*)$")


def blocks_of(text: str, default: Direction = "ltr") -> list[Block]:
    """Blocks of an answer: its Markdown headings, list items, quotes and bold text; everything else is plain."""
    return [_line(line, default) for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _line(line: str, default: Direction) -> Block:
    if found := _HEADING.match(line):
        return block(found[2].strip(), "heading", default=default, plain=False)
    if found := _BULLET.match(line):
        return block(found[1].strip(), "bullet", default=default, mark="•", plain=False)
    if found := _NUMBER.match(line):
        return block(found[2].strip(), "bullet", default=default, mark=found[1], plain=False)
    if found := _QUOTE.match(line):
        return block(found[1].strip(), "quote", default=default, plain=False)
    return block(line.strip(), default=default, plain=False)


def _spans(line: str) -> list[Span]:
    """Split at ``**``; an unpaired mark stays text."""
    parts = line.split("**")
    if len(parts) % 2 == 0:
        parts[-2:] = ["**".join(parts[-2:])]
    return [Span(part, index % 2 == 1) for index, part in enumerate(parts) if part]


def _runs(spans: list[Span], isolated: list[tuple[int, int]]) -> tuple[Run, ...]:
    """Cut spans at the edges of the isolated stretches."""
    length = sum(len(span.text) for span in spans)
    edges, position = [], 0
    for start, end in [*isolated, (length, length)]:
        edges += [(position, start, False), (start, end, True)]
        position = end
    return tuple(Run(_cut(spans, start, end), inner) for start, end, inner in edges if end > start)


def _cut(spans: list[Span], start: int, end: int) -> tuple[Span, ...]:
    found, position = [], 0
    for span in spans:
        piece = span.text[max(0, start - position) : max(0, end - position)]
        if piece:
            found.append(Span(piece, span.bold))
        position += len(span.text)
    return tuple(found)
