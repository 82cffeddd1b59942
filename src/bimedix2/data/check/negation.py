"""Check ``negation``: what is denied on one side is denied on the other.

Each side's negating words are found and paired off by where they stand; a particle or a firm word without partner is
doubted, and fails if the evidence (``evidence.py``) is strong. Weak words (*lack*, *few*, غياب …) may be partners but
need none, because the other language often says the same affirmatively; those that translate each other are paired with
each other first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from .evidence import Around, Doubt, features, listen, odds, without
from .finding import Context, Finding, Sides, sides
from .fold import Folded, Span
from .scorers import Scorer
from .word_lists import arabic_words, english_words, load_words

NAME = "negation"
_REACH = 0.15  # of the text's length: translations move words, but not from one end to the other
_SLACK = 40  # characters by which a partner may always stand elsewhere


class Cue(NamedTuple):
    """A negating word in a folded text; ``needs`` a partner or may be one; ``place`` from 0 (start) to 1 (end)."""

    start: int
    end: int
    needs: bool
    place: float
    groups: frozenset[int] = frozenset()


def _beginning(prefixes: Sequence[str], excepted: str) -> str:
    return rf"(?<![\w-])(?!(?:{excepted})\b)(?:{'|'.join(map(re.escape, prefixes))})\w{{3,}}"


@lru_cache(maxsize=1)
def _english() -> re.Pattern[str]:
    words = load_words("negation")["english"]
    excepted = "|".join(words["not_prefixed"])
    grouped = [form for group in load_words("negation")["groups"] for form in group["en"]]
    suffixed = "|".join(re.escape(end) for end in words["suffixes"])
    return re.compile(
        rf"(?P<idiom>{english_words(words['idioms'])}|\bno\. ?(?=\d))"
        rf"|(?P<strong>{english_words(words['strong'])}|\b\w+n't\b|\bcant\b|\bdont\b)"
        rf"|(?P<firm>{english_words(words['firm'])})"
        rf"|(?P<prefixed>{_beginning(words['prefixes'], excepted)}"
        rf"|\b(?!(?:{'|'.join(words['not_suffixed'])})\b)\w{{3,}}(?:{suffixed})\b)"
        rf"|(?P<weak>{english_words([*words['weak'], *grouped])}|{_beginning(words['weak_prefixes'], excepted)})"
    )


# لا … إلا, "only", but not لا … إلا إذا, "unless".
_ONLY = (
    r"(?<!\w)[وف]?(?:لا|لم|لن|ليس|ليست|بعدم|عدم)\s[^.؟!؛\n]{1,70}?(?<!\w)(?:الا|سوي)(?!\w)"
    r"(?! (?:ان|اذا|بعد|في حال|عند))"
)


@lru_cache(maxsize=1)
def _arabic() -> re.Pattern[str]:
    words = load_words("negation")["arabic"]
    grouped = [form for group in load_words("negation")["groups"] for form in group["ar"]]
    return re.compile(
        rf"(?P<only>{_ONLY})"
        rf"|(?P<idiom>{arabic_words(words['idioms'])}|(?<!\w)دون (?=\d))"
        rf"|(?P<strong>(?!كلا(?!\w)){arabic_words(words['strong'])})"
        rf"|(?P<firm>{arabic_words(words['firm'])})"
        rf"|(?P<weak>{arabic_words(words['weak'])}|{arabic_words(grouped, endings=True)})"
    )


@lru_cache(maxsize=2)
def _group_patterns(arabic: bool) -> tuple[re.Pattern[str], ...]:
    groups = load_words("negation")["groups"]
    return tuple(re.compile(arabic_words(g["ar"], endings=True) if arabic else english_words(g["en"])) for g in groups)


@lru_cache(maxsize=4096)
def _groups_of(word: str, arabic: bool) -> frozenset[int]:
    return frozenset(at for at, pattern in enumerate(_group_patterns(arabic)) if pattern.fullmatch(word))


def cues(folded: Folded, arabic: bool) -> list[Cue]:
    """Negating words in order. Folding makes ألا, "not to", and إلا, "but", one word; the hamza tells them apart."""
    size = max(1, len(folded.text))
    found = []
    for match in (_arabic() if arabic else _english()).finditer(folded.text):
        needs = match.lastgroup in ("strong", "firm", "prefixed")
        groups = _groups_of(match.group(), arabic)
        if arabic and match.group() == "الا" and folded.original[folded.starts[match.start()]] == "أ":
            needs, groups = True, frozenset()
        found.append(Cue(match.start(), match.end(), needs, match.start() / size, groups))
    return found


Fits = Callable[[Cue, Cue], bool]


def _pair_off(left: Sequence[Cue], right: Sequence[Cue], fits: Fits) -> tuple[list[Cue], list[Cue]]:
    """What a largest pairing of fitting cues leaves over (augmenting paths, nearest first)."""
    partner: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for at in sorted(range(len(right)), key=lambda at: abs(right[at].place - left[index].place)):
            if at in seen or not fits(left[index], right[at]):
                continue
            seen.add(at)
            if at not in partner or place(partner[at], seen):
                partner[at] = index
                return True
        return False

    for index in range(len(left)):
        place(index, set())
    paired = set(partner.values())
    return (
        [cue for at, cue in enumerate(left) if at not in paired],
        [cue for at, cue in enumerate(right) if at not in partner],
    )


def _absorbs(cue: Cue) -> bool:
    groups = load_words("negation")["groups"]
    return all(groups[at].get("absorbs", True) for at in cue.groups)


_SENTENCE = re.compile(r"(?<![.\s][a-z])[.!?؟\n]+[\"”»')\]]*(?=\s*[^\W\d_])")


def _stretches(text: str) -> list[tuple[int, int]]:
    """Start and end of every sentence of a folded text."""
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    return list(zip([0, *ends], [*ends, len(text)], strict=True))


def _within(found: Sequence[Cue], stretch: tuple[int, int]) -> list[Cue]:
    size = max(1, stretch[1] - stretch[0])
    return [c._replace(place=(c.start - stretch[0]) / size) for c in found if stretch[0] <= c.start < stretch[1]]


class _Side(NamedTuple):
    """One side of a sentence: words without partner, weak words, and those that a weak word may answer."""

    lone: list[Cue]
    weak: list[Cue]
    absorbed: list[Cue]


def _sort_out(english: Sequence[Cue], arabic: Sequence[Cue], reach: float) -> tuple[_Side, _Side]:
    """Pair off words of one group first, then the needy ones, then needy with weak."""

    def near(left: Cue, right: Cue) -> bool:
        return abs(left.place - right.place) <= reach

    english, arabic = _pair_off(
        english, arabic, lambda a, b: bool(a.groups & b.groups) and abs(a.place - b.place) < 0.5
    )
    left, right = _pair_off([c for c in english if c.needs], [c for c in arabic if c.needs], near)
    weak_left = [c for c in english if not c.needs and _absorbs(c)]
    weak_right = [c for c in arabic if not c.needs and _absorbs(c)]
    rest_left, rest_right = _pair_off(left, weak_right, near)[0], _pair_off(right, weak_left, near)[0]
    return (
        _Side(left, weak_left, [c for c in left if c not in rest_left]),
        _Side(right, weak_right, [c for c in right if c not in rest_right]),
    )


def _kind(word: str, english: bool) -> str:
    """``strong``, ``firm`` or ``prefixed``."""
    if not english:
        return "strong"
    match = _english().fullmatch(word)
    return str(match.lastgroup) if match else "strong"


def _nearest(cue: Cue, others: Sequence[Cue]) -> float | None:
    return min((abs(other.place - cue.place) for other in others), default=None)


def _doubts_of(pair: Sides, parts: tuple[Span, Span], both: tuple[_Side, _Side], english: bool) -> list[Doubt]:
    """Doubts about the words of one language in a sentence."""
    mine, theirs = both if english else both[::-1]
    folded, other = (pair.english, pair.arabic) if english else (pair.arabic, pair.english)
    part, other_part = parts if english else parts[::-1]
    start, end = folded.span(*part)
    text = folded.original[start:end]
    size = max(1, min(part[1] - part[0], other_part[1] - other_part[0]))
    found = []
    for cue in mine.lone:
        around = Around(
            size=size,
            weak=_nearest(cue, theirs.weak),
            weak_count=len(theirs.weak),
            absorbed=cue in mine.absorbed,
            opposed=_nearest(cue, theirs.lone),
            opposed_count=len(theirs.lone),
            own_count=len(mine.lone),
        )
        span, word = (cue.start, cue.end), folded.text[cue.start : cue.end]
        known = features(pair, parts, span, english, _kind(word, english), around)
        at = folded.span(*span)
        bare = without(text, (at[0] - start, at[1] - start), word, english)
        found.append(Doubt(english, span, word, known, text, bare, other.original[slice(*other.span(*other_part))]))
    return found


_NOT_ONLY = re.compile(r"\b(?:not|n't) (?:only|just|merely|solely|simply)\b")
_ONLY_BEHIND = re.compile(r"[^.؟!؛\n]{0,90}?(?<!\w)(?:فقط|فحسب)(?!\w)")


def _arabic_cues(pair: Sides) -> list[Cue]:
    """Arabic cues without the particle of ليس … فقط, "not only", where English has it too."""
    found = cues(pair.arabic, True)
    if not _NOT_ONLY.search(pair.english.text):
        return found
    return [cue for cue in found if not (cue.needs and _ONLY_BEHIND.match(pair.arabic.text, cue.end))]


def doubts(source: str, translation: str, context: Context) -> list[Doubt]:
    """Negating words of either side that no other one answers."""
    pair = sides(source, translation, context)
    english, arabic = cues(pair.english, False), _arabic_cues(pair)
    if not english and not arabic:
        return []
    parts = _stretches(pair.english.text), _stretches(pair.arabic.text)
    if len(parts[0]) != len(parts[1]):
        parts = [(0, len(pair.english.text))], [(0, len(pair.arabic.text))]
    found: list[Doubt] = []
    for one, other in zip(*parts, strict=True):
        size = max(1, min(one[1] - one[0], other[1] - other[0]))
        both = _sort_out(_within(english, one), _within(arabic, other), _REACH + _SLACK / size)
        found += _doubts_of(pair, (one, other), both, True) + _doubts_of(pair, (one, other), both, False)
    return found


def check_negation(source: str, translation: str, context: Context, similarity: Scorer | None = None) -> list[Finding]:
    """Negations of one side without a counterpart on the other; an encoder makes the evidence better."""
    found = []
    pair = sides(source, translation, context)
    for doubt in doubts(source, translation, context):
        known = doubt.features if similarity is None else doubt.features | listen(doubt, similarity)
        limit = ("lost_" if doubt.english == pair.source_is_english else "added_") + ("en" if doubt.english else "ar")
        if odds(known, "negation_words" if similarity is None else "negation", limit) > 0:
            found.append((_lost if doubt.english else _added)(pair, doubt.span))
    return found


def _lost(pair: Sides, span: Span) -> Finding:
    word = pair.english.text[slice(*span)]
    texts = f"'{word}' has no counterpart in Arabic.", f"النفي «{word}» بلا مقابل في النص العربي."
    return pair.finding(NAME, "critical", texts, [span])


def _added(pair: Sides, span: Span) -> Finding:
    start, end = pair.arabic.span(*span)
    word = pair.arabic.original[start:end]
    texts = f"'{word}' denies in Arabic what English does not.", f"النفي «{word}» بلا مقابل في النص الإنجليزي."
    return pair.finding(NAME, "critical", texts, (), [span])
