"""Identifying spans in a text of either language; what they are is never shown, only where and of what shape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .arabic import arabic
from .english import ENGLISH
from .patterns import BOTH, KINDS, Kind
from .plain import plain

_ARABIC = re.compile(r"[\u0600-\u06ff]")
LABELS: dict[Kind, tuple[str, str]] = {
    "name": ("[NAME]", "[اسم]"),
    "date": ("[DATE]", "[تاريخ]"),
    "age": ("[AGE OVER 89]", "[عمر فوق 89]"),
    "phone": ("[PHONE]", "[هاتف]"),
    "record_number": ("[RECORD NUMBER]", "[رقم سجل]"),
    "national_id": ("[ID NUMBER]", "[رقم هوية]"),
    "email": ("[EMAIL]", "[بريد]"),
    "address": ("[ADDRESS]", "[عنوان]"),
}


class Found(NamedTuple):
    """A stretch of text that may identify a person: what and where."""

    kind: Kind
    start: int
    end: int


def scan_text(text: str) -> list[Found]:
    """Identifying spans in order, without overlaps.

    Patterns of both languages are tried: reports mix them.

    >>> scan_text("Seen by Dr. Smith on 12/03/2021.")
    [Found(kind='name', start=12, end=17), Found(kind='date', start=21, end=31)]
    >>> scan_text("T2 lesion at L4-L5, 12/8 mm")
    []
    """
    looked = plain(text)
    patterns = (*BOTH, *ENGLISH, *(arabic() if _ARABIC.search(looked.text) else ()))
    spans = [
        Found(pattern.kind, *looked.span(*match.span("phi")))
        for pattern in patterns
        for match in pattern.regex.finditer(looked.text)
        if pattern.holds(match)
    ]
    return _apart(spans)


def _apart(spans: Iterable[Found]) -> list[Found]:
    """Spans that overlap as one, of the kind of the longest: no part of any may be left standing."""
    joined: list[list[Found]] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if joined and span.start < max(other.end for other in joined[-1]):
            joined[-1].append(span)
        else:
            joined.append([span])
    return [
        Found(
            min(own, key=lambda one: (one.start - one.end, KINDS.index(one.kind))).kind,
            own[0].start,
            max(one.end for one in own),
        )
        for own in joined
    ]


def shape(value: str) -> str:
    """What a value looks like without what it says; runs are cut to one sign, so its length is not told either.

    >>> shape("John Smith"), shape("12/03/2021"), shape("محمد علي")
    ('Aa Aa', '9/9/9', 'ء ء')
    """
    signs = "".join(_sign(character) for character in value)
    return re.sub(r"(.)\1+", r"\1", signs)


def _sign(character: str) -> str:
    if character.isnumeric():
        return "9"
    if character.isalpha():
        return "ء" if _ARABIC.match(character) else "A" if character.isupper() else "a"
    return character


def redact(text: str, found: Iterable[Found] | None = None) -> str:
    """The text with a label in the place of each span, in the language of the text around it.

    >>> redact("Seen by Dr. Smith"), redact("رأته د. سعاد الحربي")
    ('Seen by Dr. [NAME]', 'رأته د. [اسم]')
    """
    spans = scan_text(text) if found is None else sorted(found, key=lambda one: one.start)
    arabic = len(_ARABIC.findall(text)) > len(re.findall("[A-Za-z]", text))
    pieces, last = [], 0
    for span in spans:
        pieces += [text[last : span.start], LABELS[span.kind][arabic]]
        last = span.end
    return "".join([*pieces, text[last:]])
