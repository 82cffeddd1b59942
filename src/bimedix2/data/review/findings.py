"""What checks found, read from their files and put at its place in the turns of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from bimedix2.errors import RecordError
from bimedix2.records import OnError, Record, bad_row

_T = TypeVar("_T")


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; offsets are in characters.

    Attributes:
        check: name of the check.
        severity: ``critical``, ``error`` or ``note``.
        source, translation: (start, end) in the turn's text on each side, or, where ``turn`` is not given, in all
            texts joined by line ends.
        turn: index of the turn.
        english, arabic: the explanation.
    """

    check: str
    severity: str = "error"
    source: tuple[tuple[int, int], ...] = ()
    translation: tuple[tuple[int, int], ...] = ()
    turn: int | None = None
    english: str = ""
    arabic: str = ""


class CheckedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a file of check results; fields that are not listed are passed over."""

    id: str
    failed: tuple[str, ...] = ()
    findings: tuple[FindingRow, ...] = ()


class QueuedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a translation step's ``review.jsonl``."""

    record: Record
    reason: str = ""
    score: float | None = None
    notes: tuple[str, ...] = ()


class Mark(NamedTuple):
    """A place to highlight: (start, end) in the text of a turn, and the number of the finding."""

    turn: int
    start: int
    end: int
    number: int


def read_checked(path: Path, on_error: OnError) -> Iterator[tuple[int, CheckedRow]]:
    """Rows of a file of check results, with their line numbers; bad lines go to ``on_error``."""
    decoder = msgspec.json.Decoder(CheckedRow)
    yield from read_lines(path, decoder.decode, on_error)


def read_queued(path: Path, on_error: OnError) -> Iterator[tuple[int, QueuedRow]]:
    """Rows of a ``review.jsonl``, with their line numbers; bad lines go to ``on_error``."""
    decoder = msgspec.json.Decoder(QueuedRow)
    yield from read_lines(path, decoder.decode, on_error)


def read_lines(path: Path, decode: Callable[[bytes], _T], on_error: OnError) -> Iterator[tuple[int, _T]]:
    """Decoded lines of a JSON-lines file, from 1; blank ones are skipped."""
    if not path.is_file():
        raise RecordError(path, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")
    with path.open("rb") as file:
        for row, line in enumerate(file, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line
            if not text.strip():
                continue
            try:
                value = decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
                on_error(bad_row(path, row, error))
                continue
            yield row, value


def misplaced(findings: Sequence[FindingRow], record: Record, original: Record | None) -> tuple[str, str] | None:
    """Field and problem of the first finding whose place is not in the texts; ``None`` if all are."""
    for index, finding in enumerate(findings):
        for side, texts in (("source", _texts(original)), ("translation", _texts(record))):
            if finding.turn is not None and not 0 <= finding.turn < max(len(texts), 1):
                return f"findings[{index}].turn", f"is {finding.turn}, of {len(texts)} turns"
            length = len(_joined(texts) if finding.turn is None else texts[finding.turn]) if texts else 0
            for place, (start, end) in enumerate(getattr(finding, side)):
                if texts and not 0 <= start <= end <= length:
                    return f"findings[{index}].{side}[{place}]", f"is ({start}, {end}) in a text of {length} characters"
    return None


def marks(findings: Sequence[FindingRow], record: Record | None, side: str) -> list[Mark]:
    """Where the findings of one side are to be highlighted; they are numbered from 1."""
    texts = _texts(record)
    found = []
    for number, finding in enumerate(findings, start=1):
        for start, end in getattr(finding, side) if texts else ():
            if finding.turn is not None:
                found.append(Mark(finding.turn, start, end, number))
            else:
                found += [Mark(turn, first, last, number) for turn, first, last in _split(texts, start, end)]
    return [mark for mark in found if mark.end > mark.start]


def _split(texts: Sequence[str], start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """A place in the joined texts as places in single ones."""
    offset = 0
    for turn, text in enumerate(texts):
        first, last = max(start - offset, 0), min(end - offset, len(text))
        if first < last:
            yield turn, first, last
        offset += len(text) + 1


def _texts(record: Record | None) -> list[str]:
    return [turn.text for turn in record.turns] if record is not None else []


def _joined(texts: Sequence[str]) -> str:
    return "\n".join(texts)
