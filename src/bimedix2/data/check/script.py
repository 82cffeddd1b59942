"""Check ``script``: the translation is in its language, with nothing left over in the other and no foreign letters."""

from __future__ import annotations

import re
import unicodedata

from bimedix2.text import script_counts

from .finding import Context, Finding, Severity
from .fold import Span

NAME = "script"
_LATIN_RUN = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:[ \t,;:]+[A-Za-z][A-Za-z'’-]*)+")
_ARABIC_RUN = re.compile(r"[\u0621-\u064a][\u0621-\u0652]*(?:[\s،؛:]+[\u0621-\u064a][\u0621-\u0652]*)*")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
_MIXED = re.compile(r"[A-Za-z]+[\u0621-\u064a]+|(?<![\u0621-\u064a])[\u0621-\u064a]*?[\u0621-\u064a]{3,}[A-Za-z]+")
_PREFIXED = re.compile(r"^(?:و|ف)?(?:ب|ل|ك)?(?:ال|لل)?[A-Za-z]+$")
_ALLOWED = ("ARABIC", "LATIN", "GREEK", "MICRO")
_PERSIAN = re.compile(r"[پچژگ]")
_LINKS = (
    "the a an of in is are was were and or with without to for on at by from that this which it as be has have had not "
    "no patient there what where how does do can may"
)
_PLAIN = frozenset(_LINKS.split())


def _finding(texts: tuple[str, str], spans: list[Span], severity: Severity = "error", source: str = "") -> Finding:
    at_source = ((0, len(source)),) if source else ()
    return Finding(
        check=NAME, severity=severity, source=at_source, translation=tuple(spans), english=texts[0], arabic=texts[1]
    )


def _is_name(text: str) -> bool:
    """Words that a translator may keep: capitals, codes, or one word alone that is capitalised."""
    words = _LATIN_WORD.findall(text)
    return not any(word.islower() and len(word) > 2 for word in words)


def _is_left_over(run: str, source: str) -> bool:
    """A run of words of the source that is plainly no name: several in small letters, or a link word among them."""
    words = run.lower().split()
    small = [word for word in re.findall(r"[A-Za-z'’-]+", run) if word.islower()]
    if run.lower() not in source.lower() and len(small) < 4:
        return False
    if len(words) >= 5 or (len(words) >= 3 and any(len(word) > 1 and word in _PLAIN for word in words)):
        return True
    return (
        len(small) >= 3 or (len(small) >= 2 and any(word in _PLAIN for word in words)) or len(small) == len(words) >= 2
    )


def _not_arabic(source: str, translation: str) -> list[Finding]:
    counts = script_counts(translation)
    copied = translation.strip() == source.strip() and re.search(r"[A-Za-z][a-z]{3}", translation)
    if not counts.arabic and counts.latin and (copied or not _is_name(translation)):
        return [_finding(("The translation has no Arabic.", "الترجمة بلا نص عربي."), [(0, len(translation))])]
    outside = [
        match.span()
        for match in _LATIN_RUN.finditer(translation)
        if _is_left_over(match.group(), source) and not _in_brackets(translation, match.span())
    ]
    if outside:
        return [_finding(("Words were left untranslated.", "بقيت كلمات دون ترجمة."), outside)]
    single = [
        m.span()
        for m in _LATIN_WORD.finditer(translation)
        if m.group().islower() and len(m.group()) >= 5 and re.search(rf"\b{m.group()}\b", source)
        and not _in_brackets(translation, m.span())
    ]  # fmt: skip
    words = max(1, len(translation.split()))
    if single and len(single) / words > 0.2 and counts.latin > counts.arabic * 0.4:
        return [_finding(("Words were left untranslated.", "بقيت كلمات دون ترجمة."), single)]
    return []


def _in_brackets(text: str, span: Span) -> bool:
    """In brackets after its translation, or part of an address."""
    before, after = text[: span[0]].rstrip(), text[span[1] :].lstrip()
    if before.endswith(("(", "[", "«", '"', "“")) and after[:1] in (")", "]", "»", '"', "”", "،", ","):
        return True
    return bool(re.search(r"(?:https?:|www\.|@)\S*$", text[: span[0]]))


def _not_english(source: str, translation: str) -> list[Finding]:
    counts = script_counts(translation)
    if not counts.arabic:
        return []
    if not counts.latin:
        return [_finding(("The translation has no English.", "الترجمة بلا نص إنجليزي."), [(0, len(translation))])]
    left = [m.span() for m in _ARABIC_RUN.finditer(translation) if not _in_brackets(translation, m.span())]
    return (
        [_finding(("Arabic words were left in the translation.", "بقيت كلمات عربية في الترجمة."), left)] if left else []
    )


def _foreign(translation: str, arabic_target: bool) -> list[Finding]:
    """Letters of a third script, words of two scripts, and Persian letters (a note: names use them)."""
    found = []
    third = [
        (at, at + 1)
        for at, c in enumerate(translation)
        if c.isalpha() and ord(c) > 0x24F and not unicodedata.name(c, "").startswith(_ALLOWED)
        and unicodedata.category(c) != "Lm"
    ]  # fmt: skip
    if third:
        found.append(_finding(("Letters of another script.", "حروف من كتابة أخرى."), third))
    if arabic_target:
        mixed = [m.span() for m in _MIXED.finditer(translation) if not _PREFIXED.match(m.group())]
        if mixed:
            found.append(_finding(("A word mixes Latin and Arabic letters.", "كلمة تخلط حروفا لاتينية وعربية."), mixed))
        persian = [m.span() for m in _PERSIAN.finditer(translation)]
        if persian:
            found.append(_finding(("Persian letters.", "حروف فارسية."), persian, "note"))
    return found


def check_script(source: str, translation: str, context: Context) -> list[Finding]:
    """Text that was not translated, in whole or in part, and letters that do not belong."""
    arabic_target = context.target_language == "ar"
    if not re.search(r"[A-Za-z\u0621-\u064a]{2}", translation):
        return []
    found = _not_arabic(source, translation) if arabic_target else _not_english(source, translation)
    letters = script_counts(source)
    own_foreign = letters.other > 0  # a source that has such letters itself may keep them
    return found + ([] if own_foreign else _foreign(translation, arabic_target))
