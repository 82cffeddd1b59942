"""Check ``numbers``: every figure of one side has its partner on the other."""

from __future__ import annotations

import math
import re
from collections import Counter

from .finding import Context, Finding, Sides, sides
from .fold import Folded
from .number_words import (
    AR_SCALES,
    EN_SCALES,
    MONTHS_AR,
    MONTHS_EN,
    Kind,
    Number,
    arabic_numbers,
    english_numbers,
    has_dual,
)

NAME = "numbers"
_DIGITS = re.compile(r"\d+(?:[.,،]\d+)*")
_LATIN = re.compile(r"[a-z]")
_CODE_BEFORE = re.compile(r"[a-z](?:[a-z]|-)*-?$")
_UNIT_AFTER = re.compile(
    r"(?:st|nd|rd|th|s|x|mm|cm|m|km|mg|g|kg|ml|l|dl|h|hr|hrs|min|ms|mmhg|hz|mhz|khz|kv|kvp|gy|mmol|meq|iu|u|k|am|pm|c|f|"
    r"nm|kb|kda|ft|mcg|μg|μm|fold|yo|y|d|w|wk|mo)(?![a-z])"
)
_SCALE_AFTER = re.compile(rf"\+?\s?-?({'|'.join([*EN_SCALES, 'mn', 'bn'])})\b")
_AR_SCALE_AFTER = re.compile(rf"\s?({'|'.join(sorted(AR_SCALES, key=len, reverse=True))})(?!\w)")
_RANGE_AFTER = re.compile(r"\s?(?:-|to|and|الي|و|حتي)\s?\d")
_CODE = re.compile(r"(?<![a-z0-9])(?=[a-z0-9-]*[a-z])(?=[a-z0-9-]*[0-9])[a-z0-9]+(?:-[a-z0-9]+)*(?![a-z0-9])")


_NAME_BEFORE = re.compile(r"[^\W\d_]-$")


def _values(token: str, arabic: bool) -> list[set[float]]:
    """Readings of a token of digits and marks; a list of several numbers where it is none ("1.2.3", "2،5")."""
    token = token.replace("،", ".") if token.count("،") == 1 and "." not in token and "," not in token else token
    parts = re.split(r"[.,،]", token)
    if len(parts) == 1:
        return [{float(token)}]
    marks = re.findall(r"[.,،]", token)
    grouped = all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3
    if len(set(marks)) == 2 and len(parts) > 2 and marks.count(marks[-1]) == 1:
        return [{float("".join(parts[:-1]) + "." + parts[-1])}]
    if len(set(marks)) == 1 and len(parts) == 2:
        decimal, whole = float(".".join(parts)), float("".join(parts))
        if not grouped or parts[0] == "0":
            return [{decimal}]
        if arabic:  # both marks are seen for both purposes
            return [{decimal, whole}]
        return [{whole}] if marks[0] == "," else [{decimal}]
    if grouped and len(set(marks)) == 1:
        return [{float("".join(parts))}]
    return [{float(part)} for part in parts]


def _scaled(readings: set[float], text: str, end: int, arabic: bool) -> tuple[set[float], int]:
    """Readings with the scale word behind the figure; the first number of a range may share the second's."""
    match = (_AR_SCALE_AFTER if arabic else _SCALE_AFTER).match(text, end)
    if match:
        word = match[1]
        scale = AR_SCALES[word] if arabic else {"mn": 1e6, "bn": 1e9, **EN_SCALES}[word]
        return {value * scale for value in readings}, match.end()
    if _RANGE_AFTER.match(text, end):
        table = AR_SCALES if arabic else EN_SCALES
        behind = re.match(rf"[^.؟!؛]{{0,14}}?\d\s?-?({'|'.join(table)})(?!\w)", text[end:])
        if behind:
            return readings | {value * table[behind[1]] for value in readings}, end
    return readings, end


def _kind(text: str, start: int, end: int) -> Kind:
    """``code`` for figures inside one such as T2, COVID-19, H1N1 or 2019-nCoV."""
    if _CODE_BEFORE.search(text[max(0, start - 12) : start]):
        return "code"
    after = text[end : end + 6]
    if re.match(r"-?[a-z]", after) and not _UNIT_AFTER.match(after) and not re.match(r"-[a-z]{3,}", after):
        return "code"
    return "digits"


def figures(folded: Folded, arabic: bool) -> list[Number]:
    """Numbers written with digits."""
    text, found = folded.text, []
    for match in _DIGITS.finditer(text):
        kind = _kind(text, match.start(), match.end())
        several = _values(match.group(), arabic)
        for readings in several:
            scaled, end = _scaled(readings, text, match.end(), arabic) if len(several) == 1 else (readings, match.end())
            if _NAME_BEFORE.search(text[max(0, match.start() - 3) : match.start()]):  # كوف-2 مليون: part of the name
                scaled, end = readings, match.end()
            found.append(Number(frozenset(round(value, 6) for value in scaled), match.start(), end, kind))
    return found


def _drop_covered(words: list[Number], digits: list[Number]) -> list[Number]:
    """Words that are not part of a figure ("3 million")."""
    return [w for w in words if not any(d.start <= w.start < d.end for d in digits)]


def _match(left: Number, right: Number) -> bool:
    return any(math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9) for a in left.readings for b in right.readings)


# Like with like before anything else: the 1 of "1 January" must not take the January of the other side.
_ROUNDS: tuple[tuple[Kind, Kind], ...] = (
    ("digits", "digits"), ("code", "code"), ("digits", "code"), ("code", "digits"), ("word", "word"),
    ("month", "month"), ("loose", "loose"), ("digits", "word"), ("word", "digits"), ("digits", "month"),
    ("month", "digits"), ("word", "loose"), ("loose", "word"), ("digits", "loose"), ("loose", "digits"),
    ("code", "word"), ("word", "code"), ("code", "loose"), ("loose", "code"), ("word", "month"), ("month", "word"),
)  # fmt: skip
_WRITTEN = frozenset({"digits", "code"})  # kinds written with digits
_VAGUE = frozenset({1.0, 2.0})  # "one", "first", "both", ثانية: too many words say them


def _pair_off(english: list[Number], arabic: list[Number]) -> tuple[list[Number], list[Number]]:
    """What is left on each side when equal numbers are paired, by rounds of kinds."""
    left, right = list(english), list(arabic)
    for one, other in _ROUNDS:
        soft = {one, other} & {"month", "loose"} and {one, other} & _WRITTEN
        # Figures left on both sides: one was probably changed.
        strict = soft and all(any(n.kind in _WRITTEN for n in side) for side in (left, right))
        for number in [n for n in left if n.kind == one]:
            partner = next((n for n in right if n.kind == other and _match(number, n)), None)
            if partner is not None and not (strict and number.readings & partner.readings & _VAGUE):
                left.remove(number)
                right.remove(partner)
    return left, right


def _repeats(number: Number, of: list[Number]) -> bool:
    """Whether a number left over is one that its own side had already: said twice, translated once."""
    return any(other is not number and _match(number, other) for other in of)


def _changed_codes(pair: Sides) -> list[tuple[int, int]]:
    """Codes such as T2 or CoV-2 of the Arabic side whose figure differs from the English ones of the same letters."""
    plain = re.compile(r"[^a-z0-9]")
    known = Counter(plain.sub("", code) for code in _CODE.findall(pair.english.text))
    letters = {re.sub(r"\d", "", code) for code in known}
    return [
        match.span()
        for match in _CODE.finditer(pair.arabic.text)
        if (code := plain.sub("", match.group())) not in known
        and re.sub(r"\d", "", code) in letters
        and not any(code in other or other in code for other in known)
    ]


_DANGLING = re.compile(r"(?<=[^\W\d_])-(?!\s?[\w-])|(?<=[^\W\d_])-(?=\s[^\W\d_])")
_NAMED = re.compile(r"[^\W\d_]-\s?\d")  # COVID-19


def _lone(code: str, here: str, there: str) -> list[tuple[int, int]]:
    """Places in ``there`` of the bare letters of a code of ``here``, which has the code alone."""
    letters = re.match(r"[a-z]+", code)
    if not letters or code in there:
        return []
    alone = re.compile(rf"(?<![a-z0-9-]){letters[0]}(?![a-z0-9-])")
    return [] if alone.search(here) else [match.span() for match in alone.finditer(there)]


def _lost_figures(pair: Sides) -> list[Finding]:
    """Names that lost their figure: T for T2, كوفيد- for COVID-19."""
    texts = pair.english.text, pair.arabic.text
    for at, here in enumerate(texts):
        there = texts[1 - at]
        spans = [span for code in dict.fromkeys(_CODE.findall(here)) for span in _lone(code, here, there)]
        if len(_NAMED.findall(here)) > len(_NAMED.findall(there)):
            spans += [match.span() for match in _DANGLING.finditer(there)]
        if spans:
            text = "A name lost its figure.", "اسم فقد رقمه."
            return [pair.finding(NAME, "critical", text, *((spans, ()) if at else ((), spans)))]
    return []


def _text(number: Number, folded: Folded) -> str:
    start, end = folded.span(number.start, number.end)
    return folded.original[start:end]


def _report(pair: Sides, left: list[Number], right: list[Number]) -> Finding:
    missing = "، ".join(_text(number, pair.english) for number in left)
    extra = "، ".join(_text(number, pair.arabic) for number in right)
    english = ["The English text has {0}, the Arabic none such", "The Arabic text has {1}, the English none such"]
    if left and right:
        parts = ("The English text has {0} where the Arabic has {1}.", "في النص الإنجليزي {0} وفي العربي {1}.")
    elif left:
        parts = (english[0] + ".", "في النص الإنجليزي {0} ولا مقابل له في العربي.")
    else:
        parts = (english[1] + ".", "في النص العربي {1} ولا مقابل له في الإنجليزي.")
    texts = parts[0].format(missing.replace("، ", ", "), extra.replace("، ", ", ")), parts[1].format(missing, extra)
    english_spans = [(number.start, number.end) for number in left]
    return pair.finding(NAME, "critical", texts, english_spans, [(number.start, number.end) for number in right])


def _is_excused(number: Number, other_text: str) -> bool:
    """English figures that Arabic may say without one: 1 by the singular, 2 by the dual."""
    if number.readings == {1.0}:
        return bool(re.search(r"واحد|(?<!\w)[وفبل]?(?:ال)?احد|اول|مفرد|(?<!\w)كل(?!\w)", other_text))
    return number.readings == {2.0} and has_dual(other_text)


def check_numbers(source: str, translation: str, context: Context) -> list[Finding]:
    """Figures, number words, percentages and dates that differ between the two sides."""
    pair = sides(source, translation, context)
    english, arabic = figures(pair.english, False), figures(pair.arabic, True)
    english += _drop_covered(english_numbers(pair.english.text, pair.english.original), english)
    arabic += _drop_covered(arabic_numbers(pair.arabic.text), arabic)
    left, right = _pair_off(english, arabic)
    figures_left = [n for n in left if n.kind in _WRITTEN]
    figures_right = [n for n in right if n.kind in _WRITTEN]
    if not (figures_left and figures_right):  # on both sides they contradict each other
        figures_left = [n for n in figures_left if n.kind == "digits" and not _is_excused(n, pair.arabic.text)]
        figures_right = [n for n in figures_right if n.kind == "digits"]
    words_left = [n for n in left if n.kind == "word" and not _repeats(n, english)]
    words_right = [n for n in right if n.kind == "word" and not _repeats(n, arabic)]
    if words_left and words_right:  # each alone is often a matter of style, both are a contradiction
        figures_left, figures_right = figures_left + words_left, figures_right + words_right
    found = [_report(pair, figures_left, figures_right)] if figures_left or figures_right else []
    found += [_changed_month(pair, at) for at in [_month_conflict(pair)] if at]
    found = found or _lost_figures(pair)
    changed = _changed_codes(pair)
    if changed:
        text = ("A code differs from the English one.", "رمز يختلف عن مقابله في الإنجليزية.")
        found.append(pair.finding(NAME, "critical", text, (), changed))
    return found


_DATED_EN = re.compile(rf"\b({'|'.join(m for m in MONTHS_EN if len(m) > 3 or m == 'may')})\b")
_DATED_AR = re.compile(rf"(?<!\w)[وفبل]?({'|'.join(MONTHS_AR)})(?!\w)")


def _month_conflict(pair: Sides) -> tuple[re.Match[str], re.Match[str]] | None:
    """The first month on each side that the other side lacks, where both sides have one."""
    english = [m for m in _DATED_EN.finditer(pair.english.text) if m[1] not in ("may", "march") or _dated(pair, m)]
    arabic = list(_DATED_AR.finditer(pair.arabic.text))
    left = [m for m in english if MONTHS_EN[m[1]] not in {MONTHS_AR[a[1]] for a in arabic}]
    right = [m for m in arabic if MONTHS_AR[m[1]] not in {MONTHS_EN[e[1]] for e in english}]
    return (left[0], right[0]) if left and right else None


def _dated(pair: Sides, match: re.Match[str]) -> bool:
    text = pair.english.text
    return bool(
        re.match(r"\W{0,2}\d", text[match.end() :])
        or re.search(r"(?:\d\W?|in|of|since|until|by) $", text[: match.start()])
    )


def _changed_month(pair: Sides, at: tuple[re.Match[str], re.Match[str]]) -> Finding:
    texts = (
        f"{at[0][1].title()} became another month, {at[1][1]}.",
        f"الشهر {at[0][1].title()} صار شهرا آخر: {at[1][1]}.",
    )
    return pair.finding(NAME, "critical", texts, [at[0].span(1)], [at[1].span(1)])
