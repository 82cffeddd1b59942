"""What of a record is compared: whole turns and their lines in canonical form, and question with answer.

A line counts as a text of its own because formats wrap one question differently: with an instruction above it,
with options below it, or on one line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bimedix2.records.schema import Record, Task, Turn
from bimedix2.text.canonical import canonical

MIN_WORDS = {False: 8, True: 6}
"""Words from which a text is long enough to be taken for a test item by itself; the key tells Arabic, whose words
carry articles, pronouns and particles."""
CAPTIONS: frozenset[Task] = frozenset({"caption", "report"})
"""Tasks whose answer is the text of the item, for the question asks the same of every image."""
_ARABIC = re.compile(r"[\u0600-\u06ff]")
_OPTION = re.compile(r"\s*\(?(?:[A-Ja-j]|هـ|[أابجدهوزحطي])[.):\-]\)?\s")
_LABEL = re.compile(r"^\s*(?:question|q|السؤال|سؤال)\s*[:：]\s*(?=\S)", re.IGNORECASE)
_LETTER = re.compile(r"^(?:[a-j]|هـ|[اابجدهوزحطي])\s+(?=\S)")


class Form(NamedTuple):
    """A canonical text and the turn that it is from."""

    text: str
    turn: int


class Line(NamedTuple):
    """A canonical turn or line of it; ``labelled`` if it said "Question:" in front, which is cut off."""

    text: str
    turn: int
    labelled: bool


@dataclass(frozen=True, slots=True)
class Units:
    """A record taken apart.

    Attributes:
        long: texts that stand for themselves.
        near: those of them of which near duplicates are looked for: whole turns, and the line that is most of a turn.
        pairs: short questions with their answers, for neither says enough alone.
        turns: canonical whole turns, for runs of words.
        names: keys of names under which a translation or a copy of the record goes.
    """

    long: tuple[Form, ...]
    near: tuple[Form, ...]
    pairs: tuple[Form, ...]
    turns: tuple[Form, ...]
    names: tuple[int, ...]


def is_long(text: str) -> bool:
    """Whether a canonical text is long enough to be compared alone.

    >>> is_long("what is the most common cause of this"), is_long("what is asthma")
    (True, False)
    """
    return text.count(" ") + 1 >= MIN_WORDS[bool(_ARABIC.search(text))]


def asked_units(record: Record) -> Units:
    """Of a test item: its questions, or its caption. What is asked of an image is no item without the image."""
    near: list[Form] = []
    pairs: list[Form] = []
    first = 1 if record.turns[0].role == "system" else 0
    for index in range(first, len(record.turns) - 1, 2):
        if record.task in CAPTIONS:
            near += _main(_lines(record.turns[index + 1], index + 1))
        elif not record.images:
            lines = _lines(record.turns[index], index)
            near += _main(lines)
            short = [form for form in (_longest(lines), *_labelled(lines)) if not is_long(form.text)]
            pairs += _pairs(short, canonical(record.turns[index + 1].text))
    names = tuple(_names(record, (record.id, record.pair_id)))
    long = _distinct(near)
    return Units(long, long, _distinct(pairs), (), names)


def trained_units(record: Record) -> Units:
    """Of a training record: every long text of any turn, and every short question with its answer."""
    lines = [_lines(turn, index) for index, turn in enumerate(record.turns)]
    first = 1 if record.turns[0].role == "system" else 0
    pairs = [
        form for index in range(first, len(lines) - 1, 2) for form in _pairs(lines[index], lines[index + 1][0].text)
    ]
    return Units(
        _distinct(Form(line.text, line.turn) for own in lines for line in own if is_long(line.text)),
        _distinct(form for own in lines for form in _main(own)),
        _distinct(pairs),
        tuple(Form(own[0].text, own[0].turn) for own in lines),
        tuple(_names(record, (record.id, record.pair_id, record.parent))),
    )


def _lines(turn: Turn, index: int) -> list[Line]:
    """The whole turn first, then its lines where there are several, but for options of multiple choice."""
    lines = turn.text.splitlines()
    bare = [_LABEL.sub("", line) for line in lines]
    whole = Line(" ".join(text for line in lines if (text := canonical(line))), index, False)
    if len(lines) < 2:
        return [whole]
    own = [Line(canonical(line), index, line != full) for line, full in zip(bare, lines, strict=True)]
    return [whole, *(line for line, full in zip(own, lines, strict=True) if line.text and not _OPTION.match(full))]


def _longest(lines: list[Line]) -> Line:
    return max(lines[1:], key=lambda line: len(line.text), default=lines[0])


def _labelled(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.labelled]


def _main(lines: list[Line]) -> Iterator[Form]:
    """Of the whole turn, the line that is more than half of it without its options, and lines with the label
    "Question", those that are long.

    Other lines, such as "Which of the following is the most likely diagnosis?", stand in many items.
    """
    whole, longest = lines[0], _longest(lines)
    most = 2 * len(longest.text) > sum(len(line.text) for line in lines[1:])
    main = (whole, *((longest,) if most else ()), *_labelled(lines))
    yield from (Form(line.text, line.turn) for line in dict.fromkeys(main) if is_long(line.text))


def _pairs(questions: Sequence[Line], said: str) -> list[Form]:
    """Each short question with the canonical answer as written, and without the letter of its option."""
    answers = dict.fromkeys((said, _LETTER.sub("", said)))
    return [
        Form(f"{question.text}\x1f{text}", question.turn)
        for question in questions
        for text in answers
        if question.text and text and not is_long(question.text)
    ]


def _names(record: Record, names: tuple[str | None, ...]) -> Iterator[int]:
    """Only names that begin with their source are names of things in the world; others are row numbers."""
    prefix = f"{record.source}:"
    for name in dict.fromkeys(names):
        if name and name.startswith(prefix) and len(name) > len(prefix):
            yield key_of(name)


def _distinct(forms: Iterable[Form]) -> tuple[Form, ...]:
    """Each text once, under its first turn."""
    first: dict[str, Form] = {}
    for form in forms:
        if form.text:
            first.setdefault(form.text, form)
    return tuple(first.values())


def key_of(text: str) -> int:
    """64 bits of BLAKE2b: among ten million texts and ten thousand test items a false match has a chance of 5e-9."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")
