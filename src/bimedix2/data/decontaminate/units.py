"""What of a record is compared: whole turns and their lines in canonical form, and question with answer.

A line counts as a text of its own because formats wrap one question differently: with an instruction above it,
with options below it, or on one line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
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
_LETTER = re.compile(r"^(?:[a-j]|هـ|[اابجدهوزحطي])\s+(?=\S)")


class Form(NamedTuple):
    """A canonical text and the turn that it is from."""

    text: str
    turn: int


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
            if not is_long(lines[0].text):
                pairs += _pairs(lines, canonical(record.turns[index + 1].text))
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
        _distinct(form for own in lines for form in own if is_long(form.text)),
        _distinct(form for own in lines for form in _main(own)),
        _distinct(pairs),
        tuple(own[0] for own in lines),
        tuple(_names(record, (record.id, record.pair_id, record.parent))),
    )


def _lines(turn: Turn, index: int) -> list[Form]:
    """The whole turn first, then its lines where there are several, but for options of multiple choice."""
    lines = turn.text.splitlines()
    texts = [canonical(line) for line in lines]
    whole = Form(" ".join(text for text in texts if text), index)
    if len(lines) < 2:
        return [whole]
    own = zip(lines, texts, strict=True)
    return [whole, *(Form(text, index) for line, text in own if text and not _OPTION.match(line))]


def _main(lines: list[Form]) -> Iterator[Form]:
    """The whole turn and, if one line is more than half of it without its options, that line; if they are long.

    Other lines, such as "Which of the following is the most likely diagnosis?", stand in many items.
    """
    whole, *own = lines
    longest = max(own, key=lambda form: len(form.text), default=whole)
    most = 2 * len(longest.text) > sum(len(form.text) for form in own)
    yield from (form for form in dict.fromkeys((whole, longest) if most else (whole,)) if is_long(form.text))


def _pairs(questions: list[Form], said: str) -> list[Form]:
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
