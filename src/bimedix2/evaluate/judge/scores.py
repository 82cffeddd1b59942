"""Two scores from a judge's reply: the reference's and the model's.

Every reader returns ``None`` where it finds no two scores; such a verdict is counted and never a crash.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from bimedix2.text import normalize_for_search

Pair = tuple[float, float]
TOP = 10.0
"""Highest score of the scale; the lowest is 1."""

_NUMBER = r"(?<![\d.])\d{1,2}(?:\.\d{1,4})?(?!\d)"
_LONGEST_LINE = 200  # a longer one holds more than scores
# "8/10", "8 out of 10", "8 من 10" are the number 8.
_OF_TEN = re.compile(rf"({_NUMBER})\s*(?:/|out of|من)\s*10(?:\.0+)?(?![\d.])")
_SEPARATOR = r"\s*(?:[,،;؛:|&\-–]|and|to|vs\.?|و)?\s*"
_NAMED_LINE = r"(?:.*?(?:score|rating|درج|تقييم|نتيج)[^\d]{0,40})?"
_TWO = re.compile(rf"[\W_]*{_NAMED_LINE}[\W_]*({_NUMBER}){_SEPARATOR}({_NUMBER})[\W_]*")
_ONE = re.compile(rf"[\W_]*({_NUMBER})[\W_]*")
_WHO = r"(?:assistant|answer|response|score|المساعد|الاجابه|الجواب|درجه)\s*(?:no\.?|رقم|#)?\s*\(?"
_MIDDLE = r"\)?[\W_]*(?:(?:score|rating|scores|gets|receives|is|درجه|الدرجه|النتيجه|يحصل علي|هي)[\W_]*){0,2}"
_LABELLED = tuple(
    re.compile(rf"{_WHO}(?:{names})(?!\.?\d){_MIDDLE}({_NUMBER})")
    for names in ("1|one|الاول|الاولي", "2|two|الثاني|الثانيه")
)


def original_scores(text: str) -> Pair | None:
    """What LLaVA-Med's summary reads: the first line, split on single spaces into exactly two numbers.

    Where that script stops with an error there is no verdict here: "8, 6", "8  6", "8/10 6/10".

    >>> original_scores("8 6.5\\nThe second leaves out the effusion."), original_scores("8, 6")
    ((8.0, 6.5), None)
    """
    parts = text.split("\n")[0].split(" ")
    if len(parts) != 2:
        return None
    try:
        first, second = float(parts[0]), float(parts[1])
    except ValueError:
        return None
    return (first, second) if math.isfinite(first) and math.isfinite(second) else None


def lenient_scores(text: str) -> Pair | None:
    """Two scores from 0 to 10 in any usual form and either script's digits.

    Reads JSON, "Assistant 1: 8 … Assistant 2: 6", "8/10, 6/10" and "٨ ٦", wherever they stand in the reply; two
    numbers inside a sentence are no scores.

    >>> lenient_scores("المساعد 1: ٨٫٥\\nالمساعد 2: ٦"), lenient_scores("Two nodules in 3 of 10 slices.")
    ((8.5, 6.0), None)
    """
    shown = text.rpartition("</think>")[2]
    for pair in (_from_json(shown), _labelled(shown), _from_lines(shown)):
        if pair is not None:
            return pair if all(0 <= score <= TOP for score in pair) else None
    return None


def _labelled(text: str) -> Pair | None:
    plain = _OF_TEN.sub(r"\1 ", normalize_for_search(text))
    found = [pattern.search(plain) for pattern in _LABELLED]
    if found[0] is None or found[1] is None:
        return None
    return float(found[0][1]), float(found[1][1])


def _from_lines(text: str) -> Pair | None:
    """The first line that holds nothing but two numbers, or two lines in a row with one each."""
    lines = [_OF_TEN.sub(r"\1 ", normalize_for_search(line)) for line in text.splitlines()]
    lines = [line for line in lines if len(line) <= _LONGEST_LINE and re.search(r"\w", line)]
    for line in lines:
        match = _TWO.fullmatch(line)
        if match:
            return float(match[1]), float(match[2])
    singles = [_ONE.fullmatch(line) for line in lines]
    for first, second in pairwise(singles):
        if first and second:
            return float(first[1]), float(second[1])
    return None


def json_in(text: str) -> Any:
    """The JSON object or array in a reply, fenced or with text around it; ``None`` if there is none.

    >>> json_in("Sure:\\n```json\\n{\\"agreement\\": \\"Agree\\"}\\n```")
    {'agreement': 'Agree'}
    """
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            try:
                return json.loads(text[start : end + 1])
            except (ValueError, RecursionError):
                continue
    return None


def _from_json(text: str) -> Pair | None:
    found = json_in(text)
    if isinstance(found, Mapping):
        held = [value for key, value in found.items() if "score" in str(key).casefold()]
        inner = held[0] if held and isinstance(held[0], list | Mapping) else found
        found = (_in_order(inner) or list(inner.values())) if isinstance(inner, Mapping) else inner
    if not isinstance(found, list) or len(found) != 2:
        return None
    first, second = (_number(value) for value in found)
    return (first, second) if first is not None and second is not None else None


def _in_order(found: Mapping[str, Any]) -> list[Any]:
    """Values of the keys that name the first and the second assistant, whatever their order in the object."""
    values = []
    for digit in "12":
        keys = [key for key in found if re.findall(r"\d+", normalize_for_search(str(key))) == [digit]]
        values += [found[key] for key in keys if _number(found[key]) is not None][:1]
    return values if len(values) == 2 else []


def _number(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = next((part for key, part in value.items() if "score" in str(key).casefold()), None)
    if isinstance(value, str):
        match = _ONE.fullmatch(_OF_TEN.sub(r"\1", normalize_for_search(value)))
        return float(match[1]) if match else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
