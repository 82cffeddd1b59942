"""Check ``structure``: lines, list items, image places, addresses and placeholders are those of the source."""

from __future__ import annotations

import re
from collections import Counter

from .finding import Context, Finding
from .fold import Span, fold

NAME = "structure"
_IMAGE = re.compile(r"<\s*(?:image|img|صورة)(?:[_ -]?\d+)?\s*>|!\[[^\]]*\]\([^)]*\)", re.IGNORECASE)
_ITEM = re.compile(r"(?m)^[ \t]*(?:[-*•‣◦–]|\(?[0-9]{1,2}[.)-])[ \t]+\S")
_HEADING = re.compile(r"(?m)^[ \t]*#{1,6}[ \t]+\S")
# Byte-equal on both sides: addresses, e-mail, code, placeholders, tags and names of JSON fields.
_KEPT = re.compile(
    r"https?://[^\s<>()،؛\"']+[^\s<>()،؛.,\"'؟?]|[\w.+-]+@[\w-]+\.[\w.]+|`[^`\n]+`|\{\{?[A-Za-z_]\w*\}?\}|%\([A-Za-z_]\w*\)[sd]"
    r"|%[sd]\b|</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>|\"[A-Za-z_]\w*\"(?=\s*:)|\$\{\w+\}"
)
_TURN = re.compile(
    r"(?m)^[ \t]*(?:user|assistant|human|gpt|doctor|patient|system|المستخدم|المساعد|الطبيب|المريض|طبيب|مريض)[ \t]*[:：]"
)


def _finding(texts: tuple[str, str], source: list[Span], translation: list[Span]) -> Finding:
    return Finding(
        check=NAME,
        severity="error",
        source=tuple(source),
        translation=tuple(translation),
        english=texts[0],
        arabic=texts[1],
    )


def _spans(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span() for match in pattern.finditer(text)]


_COUNTED = (
    (_IMAGE, "image places", "مواضع الصور"),
    (_ITEM, "list items", "بنود القائمة"),
    (_HEADING, "headings", "العناوين"),
)


def _counted(source: str, translation: str) -> list[Finding]:
    found = []
    western = fold(translation)  # ١. is an item like 1.
    for pattern, name, name_ar in _COUNTED:
        here, there = _spans(pattern, source), _spans(pattern, translation)
        if pattern is _ITEM:
            here = [fold(source).span(*s) for s in _spans(pattern, fold(source).text)]
            there = [western.span(*s) for s in _spans(pattern, western.text)]
        if len(here) != len(there):
            texts = (
                f"{len(here)} {name} in the source, {len(there)} in the translation.",
                f"{name_ar}: {len(here)} في الأصل و{len(there)} في الترجمة.",
            )
            found.append(_finding(texts, here, there))
    return found


def _lines(source: str, translation: str) -> list[Finding]:
    here = [line for line in source.splitlines() if line.strip()]
    there = [line for line in translation.splitlines() if line.strip()]
    if len(here) == len(there):
        return []
    texts = (
        f"{len(here)} lines in the source, {len(there)} in the translation.",
        f"عدد الأسطر {len(here)} في الأصل و{len(there)} في الترجمة.",
    )
    return [_finding(texts, [], [])]


def _turns(source: str, translation: str) -> list[Finding]:
    here = _spans(_TURN, source.lower()) if len(source.lower()) == len(source) else []
    there = _spans(_TURN, translation.lower()) if len(translation.lower()) == len(translation) else []
    if len(here) < 2 or len(here) == len(there) or not there:
        return []
    texts = (
        f"{len(here)} turns in the source, {len(there)} in the translation.",
        f"عدد الأدوار {len(here)} في الأصل و{len(there)} في الترجمة.",
    )
    return [_finding(texts, here, there)]


def _kept(source: str, translation: str) -> list[Finding]:
    images = {span for match in _IMAGE.finditer(source) for span in [match.span()]}
    here = [m for m in _KEPT.finditer(source) if m.span() not in images]
    counts = Counter(m.group() for m in here)
    lost = [m for m in here if translation.count(m.group()) < counts[m.group()]]
    if not lost:
        return []
    names = ", ".join(dict.fromkeys(m.group() for m in lost))
    texts = f"Not kept as it was: {names}", f"لم يبق كما كان: {names}"
    return [_finding(texts, [m.span() for m in lost], [])]


def check_structure(source: str, translation: str, context: Context) -> list[Finding]:
    """Parts of a text that must be there as often as in the source, or to the letter."""
    return _counted(source, translation) or _lines(source, translation) or _turns(source, translation) or _kept(
        source, translation
    )  # fmt: skip
