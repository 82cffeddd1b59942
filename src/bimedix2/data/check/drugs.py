"""Check ``drugs``: every drug is kept, in Latin letters or written in Arabic ones, and none is exchanged.

English names are known by a list, by the user's glossary and by the WHO's INN stems; their Arabic forms by the list or
by sound.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from .finding import Context, Finding, Sides, sides
from .fold import Span
from .transliterate import likeness
from .word_lists import arabic_words, folded, load_words

NAME = "drugs"
_ALIKE = 0.75  # of the consonants; different drugs of one class (lopinavir, ritonavir) stay below
_SHORT_ALIKE = 0.85  # names of three consonants and fewer
_WORD = re.compile(r"[a-z][a-z-]{3,}[a-z]")
_ARABIC_WORD = re.compile(r"[\u0621-\u064a]{3,}")
_ARTICLE = re.compile(r"^(?:و|ف)?(?:ب|ل|ك)?(?:ال|لل)?")


@lru_cache(maxsize=1)
def _lists() -> tuple[dict[str, list[str]], re.Pattern[str]]:
    words = load_words("drugs")
    refused = "|".join(map(re.escape, words["not_drugs"]))
    stems = re.compile(rf"(?!(?:{refused})s?$)[a-z-]{{4,}}(?:{'|'.join(words['stems'])})s?$")
    return words["names"], stems


def english_drugs(text: str, context: Context) -> dict[str, list[Span]]:
    """Drug names of a folded English text with their places."""
    names, stems = _lists()
    found: dict[str, list[Span]] = {}
    for match in _WORD.finditer(text):
        word = match.group()
        if word in names or word in context.glossary.drugs or stems.match(word):
            found.setdefault(word, []).append(match.span())
    for phrase in context.glossary.drugs:
        if " " in phrase:
            spans = [m.span() for m in re.finditer(rf"\b{re.escape(phrase)}\b", text)]
            if spans:
                found[phrase] = spans
    return found


def _forms(name: str, context: Context) -> list[str]:
    return [*_lists()[0].get(name, ()), *context.glossary.drugs.get(name, ())]


def _candidates(text: str) -> list[tuple[str, Span]]:
    """Arabic words, also two and two joined: هيدروكسي كلوروكين."""
    words = [(m.group(), m.span()) for m in _ARABIC_WORD.finditer(text)]
    plain = [(_ARTICLE.sub("", word) if len(word) > 5 else word, span) for word, span in words]
    pairs = [(a + b, (one[0], two[1])) for (a, one), (b, two) in pairwise(plain)]
    return plain + words + pairs


def _find(name: str, pair: Sides, context: Context, taken: set[Span]) -> Span | None:
    """Where the Arabic text has a drug."""
    latin = re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", pair.arabic.text)
    if latin:
        return latin.span()
    forms = _forms(name, context)
    if forms:
        listed = re.search(arabic_words(forms, endings=True), pair.arabic.text)
        if listed:
            return listed.span()
    best = max(
        ((likeness(name, word), span) for word, span in _candidates(pair.arabic.text) if span not in taken),
        default=(0.0, (0, 0)),
    )
    limit = _SHORT_ALIKE if len(name) < 7 else _ALIKE
    return best[1] if best[0] >= limit else None


@lru_cache(maxsize=1)
def _arabic_names() -> tuple[re.Pattern[str], dict[str, str]]:
    names = _lists()[0]
    owners = {form: name for name, forms in names.items() for form in folded(forms)}
    return re.compile(rf"(?<!\w)(?:[وف])?(?:[بلك])?(?:ال|لل)?({'|'.join(folded(owners))})(?:ات|ا|ي|يه)?(?!\w)"), owners


def _added(pair: Sides, english: dict[str, list[Span]]) -> list[tuple[str, Span]]:
    """Listed drugs that Arabic names and English does not, in any of the names of the drug."""
    pattern, owners = _arabic_names()
    names = _lists()[0]
    found = []
    for match in pattern.finditer(pair.arabic.text):
        owner = owners[match[1]]
        known = {name for name, forms in names.items() if match[1] in folded(forms)} | {owner}
        if not known & english.keys() and not any(likeness(word, match[1]) >= _ALIKE for word in _words(pair)):
            found.append((owner, match.span(1)))
    return found


def _words(pair: Sides) -> list[str]:
    return re.findall(r"[a-z]{4,}", pair.english.text)


def check_drugs(source: str, translation: str, context: Context) -> list[Finding]:
    """Drugs that are missing on the other side or new there."""
    pair = sides(source, translation, context)
    english = english_drugs(pair.english.text, context)
    added = _added(pair, english)
    taken: set[Span] = set()
    found = []
    for name, spans in english.items():
        place = _find(name, pair, context, taken)
        if place is None:
            texts = f"The drug '{name}' is missing in Arabic.", f"الدواء {name} غير موجود في النص العربي."
            found.append(pair.finding(NAME, "critical", texts, spans, [span for _, span in added]))
        else:
            taken.add(place)
    if added and not found:
        names = ", ".join(dict.fromkeys(name for name, _ in added))
        texts = f"Arabic names {names}, English does not.", f"في النص العربي {names} وليس في الإنجليزي."
        found.append(pair.finding(NAME, "critical", texts, (), [span for _, span in added]))
    return found
