"""Check ``units``: a figure keeps its unit. Converting is not translating: 5 mm must not become 0.5 cm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .finding import Context, Finding, Sides, sides
from .number_words import Number, arabic_numbers, english_numbers
from .numbers import figures
from .word_lists import folded, load_words

NAME = "units"
# 100 mm of mercury is read as a pressure before it is read as a length; so is "درجة مئوية" before "درجة".
_SAME = {"degree": {"celsius", "fahrenheit"}, "litre": set(), "times": {"percent"}}
_UNSAID = {
    "year",
    "times",
    "degree",
    "tablet",
    "dollar",
    "hour",
    "percent",
}  # English may leave them out: "aged 60", "at 5"


@dataclass(frozen=True)
class Measure:
    """A figure with its unit in a folded text."""

    readings: frozenset[float]
    unit: str
    start: int
    end: int


@lru_cache(maxsize=1)
def _forms() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """English form → unit, Arabic form → unit, Arabic dual → unit."""
    english: dict[str, str] = {}
    arabic: dict[str, str] = {}
    dual: dict[str, str] = {}
    for unit, entry in load_words("units").items():
        english |= dict.fromkeys(folded(entry["en"]), unit)
        arabic |= dict.fromkeys(folded(entry["ar"]), unit)
        dual |= dict.fromkeys(folded(entry.get("dual", ())), unit)
    return english, {**{form: unit for form, unit in english.items() if len(form) < 6}, **arabic}, dual


@lru_cache(maxsize=2)
def _after(arabic: bool) -> re.Pattern[str]:
    forms = _forms()[1 if arabic else 0]
    core = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in folded(forms))
    clitic = "(?:ال|لل)?" if arabic else ""
    return re.compile(rf"\s?-?\s?{clitic}({core})(?!\w)")


@lru_cache(maxsize=2)
def _anywhere(arabic: bool) -> re.Pattern[str]:
    core = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in folded(_forms()[1 if arabic else 0]))
    if not arabic:
        return re.compile(rf"(?<![^\W\d_])({core})(?![^\W\d_])")
    return re.compile(rf"(?<![^\W\d_])(?:[وف])?(?:[بلك])?(?:ال|لل)?({core})(?!\w)")


def _attached(text: str, number: Number, arabic: bool) -> tuple[str, int] | None:
    """Unit directly behind or, for money, before a number, and where it ends."""
    match = _after(arabic).match(text, number.end)
    if match:
        return _forms()[1 if arabic else 0][" ".join(match[1].split())], match.end()
    before = re.search(r"(us\$|\$|€)\s?$", text[: number.start])
    return ("dollar" if "$" in before[1] else "euro", number.end) if before else None


def measures(pair: Sides, arabic: bool) -> tuple[list[Measure], list[Number]]:
    """Numbers with a unit, and those without, of one side."""
    side = pair.arabic if arabic else pair.english
    numbers = figures(side, arabic)
    words = arabic_numbers(side.text) if arabic else english_numbers(side.text, side.original)
    numbers += [word for word in words if not any(number.start <= word.start < number.end for number in numbers)]
    found, bare = [], []
    for number in numbers:
        unit = _attached(side.text, number, arabic)
        if unit is None:
            bare.append(number)
        else:
            found.append(Measure(number.readings, unit[0], number.start, unit[1]))
    if arabic:
        for match in re.finditer(r"(?<!\w)(?:[وفبلك]{0,2}(?:ال|لل)?)(\w+)(?!\w)", side.text):
            named = _forms()[2].get(match[1])
            found += [Measure(frozenset({2.0}), named, match.start(), match.end())] if named else []
    return found, bare


def _same(one: str, other: str) -> bool:
    return one == other or other in _SAME.get(one, ()) or one in _SAME.get(other, ())


def _equal(left: frozenset[float], right: frozenset[float]) -> bool:
    return any(abs(a - b) <= 1e-3 * max(1.0, abs(a)) for a in left for b in right)


def _units_in(text: str) -> set[str]:
    return {_forms()[1][" ".join(match[1].split())] for match in _anywhere(True).finditer(text)}


def _texts(pair: Sides, english: Measure | Number, arabic: Measure | Number) -> tuple[str, str]:
    first = pair.english.original[slice(*pair.english.span(english.start, english.end))]
    second = pair.arabic.original[slice(*pair.arabic.span(arabic.start, arabic.end))]
    return (
        f"The unit differs: {first} in English, {second} in Arabic.",
        f"اختلفت الوحدة: {first} في الإنجليزية و{second} في العربية.",
    )


def check_units(source: str, translation: str, context: Context) -> list[Finding]:
    """Figures that stand on both sides with another unit, or that lost or gained one."""
    pair = sides(source, translation, context)
    english, english_bare = measures(pair, arabic=False)
    arabic, arabic_bare = measures(pair, arabic=True)
    left = [m for m in english if not any(_equal(m.readings, a.readings) and _same(m.unit, a.unit) for a in arabic)]
    right = [m for m in arabic if not any(_equal(m.readings, e.readings) and _same(m.unit, e.unit) for e in english)]
    found = []
    for measure in left:
        other = next((a for a in right if _equal(measure.readings, a.readings)), None)
        if other is not None:
            right.remove(other)
            found.append(_finding(pair, measure, other))
            continue
        bare = next((a for a in arabic_bare if a.kind == "digits" and _equal(measure.readings, a.readings)), None)
        if bare is not None and measure.unit not in _units_in(pair.arabic.text) | {"times", "degree"}:
            found.append(_finding(pair, measure, bare))
    return found + _gained(pair, right, english_bare)


def _gained(pair: Sides, right: list[Measure], bare: list[Number]) -> list[Finding]:
    """Units that only Arabic has behind a figure that English leaves bare: "over 60" as months."""
    english = {_forms()[0][" ".join(m[1].split())] for m in _anywhere(False).finditer(pair.english.text)}
    found = []
    for measure in right:
        number = next((b for b in bare if b.kind == "digits" and _equal(measure.readings, b.readings)), None)
        if number is not None and measure.unit not in english | _UNSAID:
            found.append(_finding(pair, number, measure))
    return found


def _finding(pair: Sides, english: Measure | Number, arabic: Measure | Number) -> Finding:
    spans = [(english.start, english.end)], [(arabic.start, arabic.end)]
    return pair.finding(NAME, "critical", _texts(pair, english, arabic), *spans)
