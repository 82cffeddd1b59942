"""Check ``abbreviations``: CT stays CT, or is written out as the glossary says, and does not become MRI."""

from __future__ import annotations

import re
from functools import lru_cache

from .finding import Context, Finding, Sides, sides
from .fold import Span
from .word_lists import arabic_words, load_words

NAME = "abbreviations"
_ABBREVIATION = re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Z0-9]*[A-Z](?:s(?![a-z]))?(?![A-Za-z0-9])")
# How Arabic spells the letters: سي تي, إم آر آي.
_LETTERS = {
    "A": ["اي", "ا", "ايه", "اه"], "B": ["بي"], "C": ["سي"], "D": ["دي"], "E": ["اي", "ي"], "F": ["اف"], "G": ["جي"],
    "H": ["اتش", "ايتش", "هاء"], "I": ["اي", "ا"], "J": ["جي", "جيه"], "K": ["كي", "كيه"], "L": ["ال"], "M": ["ام"],
    "N": ["ان"], "O": ["او"], "P": ["بي"], "Q": ["كيو"], "R": ["ار"], "S": ["اس"], "T": ["تي"], "U": ["يو"],
    "V": ["في"], "W": ["دبليو", "دبل يو"], "X": ["اكس"], "Y": ["واي"], "Z": ["زد"],
}  # fmt: skip


@lru_cache(maxsize=2048)
def _spelled(abbreviation: str) -> re.Pattern[str]:
    letters = ["(?:" + "|".join(_LETTERS[c]) + ")" for c in abbreviation if c in _LETTERS]
    return re.compile(r"(?<!\w)\w{0,2}" + r"[\s-]*".join(letters) + r"(?!\w)")


def abbreviations(text: str) -> dict[str, list[Span]]:
    """Words of two and more capitals as written, with their places; not in a text all in capitals."""
    if sum(c.isupper() for c in text) > 0.6 * max(1, sum(c.isalpha() for c in text)) and len(text) > 12:
        return {}
    found: dict[str, list[Span]] = {}
    for match in _ABBREVIATION.finditer(text):
        if text[: match.start()].endswith("SNOMED "):  # "clinical terms"
            continue
        found.setdefault(match.group().removesuffix("s"), []).append(match.span())
    return found


@lru_cache(maxsize=512)
def _written_out(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(arabic_words(forms, endings=True))


def _arabic_forms(name: str, context: Context) -> tuple[str, ...]:
    built_in = load_words("abbreviations").get(name, {}).get("ar", ())
    return (*built_in, *context.glossary.abbreviations.get(name, ()))


def _is_kept(name: str, pair: Sides, forms: tuple[str, ...]) -> bool:
    arabic = pair.arabic
    if re.search(rf"(?<![A-Za-z]){re.escape(name)}", arabic.original, re.IGNORECASE):
        return True
    return bool(_spelled(name).search(arabic.text) or _written_out(forms).search(arabic.text))


def _explained(name: str, pair: Sides, context: Context) -> bool:
    """Whether English has what an abbreviation of the Arabic text stands for."""
    english = pair.english.text
    if re.search(rf"(?<![a-z]){re.escape(name.lower())}", english.replace(".", "")):
        return True
    if any(form in english for form in load_words("abbreviations").get(name, {}).get("en", ())):
        return True
    if name in context.glossary.abbreviations:
        return True
    initials = "".join(word[0] for word in re.findall(r"[a-z0-9]+", english))
    content = re.sub(r"\b(?:of|the|and|for|in|a|an|to)\b", " ", english)
    return name.lower() in initials or name.lower() in "".join(w[0] for w in re.findall(r"[a-z0-9]+", content))


def check_abbreviations(source: str, translation: str, context: Context) -> list[Finding]:
    """Known abbreviations that were lost, and abbreviations of the Arabic text that English does not explain."""
    pair = sides(source, translation, context)
    english, arabic = abbreviations(pair.english.original), abbreviations(pair.arabic.original)
    found = []
    for name, spans in english.items():
        forms = _arabic_forms(name, context)
        if forms and not _is_kept(name, pair, forms):
            texts = f"{name} is neither kept nor written out.", f"الاختصار {name} غير محفوظ وغير مفكوك."
            found.append(_at(pair, texts, spans, ()))
    for name, spans in arabic.items():
        if not _explained(name, pair, context):
            texts = f"{name} stands in Arabic, not in English.", f"الاختصار {name} في العربية وليس في الإنجليزية."
            found.append(_at(pair, texts, (), spans))
    return found


def _at(
    pair: Sides, texts: tuple[str, str], english: tuple[Span, ...] | list[Span], arabic: tuple[Span, ...] | list[Span]
) -> Finding:
    """A finding whose places are offsets in the texts as written."""
    source, translation = (english, arabic) if pair.source_is_english else (arabic, english)
    return Finding(
        check=NAME,
        severity="error",
        source=tuple(source),
        translation=tuple(translation),
        english=texts[0],
        arabic=texts[1],
    )
