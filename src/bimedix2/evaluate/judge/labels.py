"""Whether a reply agrees with a claim, from what an entailment judge said about it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from bimedix2.text import normalize_for_search

from .scores import json_in

Label = Literal["agree", "disagree", "neutral"]
LABELS: tuple[Label, ...] = get_args(Label)

_KEY = re.compile(r"[\"'“]?(?:agreement|label|verdict|الحكم|التوافق|الموافقه)[\"'”]?\s*[:=]\s*([^,}]{1,60})")
_YES_AR = r"(?:[ايتن](?:وافق|تفق|ؤيد)|متفق|موافق|مؤيد)"
_NO_AR = r"(?:[ايتن](?:تعارض|عارض|خالف|ناقض)|معارض|مخالف|مناقض)"
_PATTERNS: dict[Label, re.Pattern[str]] = {
    "neutral": re.compile(rf"\b(?:neutral|none|neither)\b|محايد|حياد|\bلا {_YES_AR}\w* ولا|\bلا شيء"),
    "disagree": re.compile(rf"\bdisagree[sd]?\b|(?<!لا )\b{_NO_AR}|\b(?:لا|غير) {_YES_AR}(?!\w* ولا)"),
    "agree": re.compile(rf"(?<!not )\bagree[sd]?\b|(?<!لا )(?<!غير )\b{_YES_AR}"),
}


def original_label(text: str) -> Label | None:
    """What UPHILL's script reads; ``None`` where it stops with an error and leaves the label empty.

    It tries JSON, a Python literal, a pattern for broken JSON and then a few fixed spellings. Any value but
    exactly "Agree" or "Disagree" is neutral, so "agree" in lower case is too.
    """
    value = _original_value(text)
    if value is None:
        return None
    return {"Agree": "agree", "Disagree": "disagree"}.get(value[0], "neutral")  # type: ignore[return-value]


def _original_value(text: str) -> tuple[str] | None:
    for read in (json.loads, ast.literal_eval):
        try:
            return (str(read(text)["agreement"]),)
        except (ValueError, SyntaxError, TypeError, LookupError, RecursionError, MemoryError):
            continue
    broken = re.search(r'"agreement":\s"(.*)"\n\}', text)
    if broken:
        return (broken[1],)
    for word in ("Agree", "Disagree", "None"):
        if f': "{word}"' in text or f": {word}" in text:
            return (word,)
    return None


def lenient_label(text: str) -> Label | None:
    """A label in either language and any case: from JSON, after "agreement:", or the only one that is named.

    >>> lenient_label('{"agreement": "agree"}'), lenient_label("الحكم: لا يتفق"), lenient_label("I cannot say.")
    ('agree', 'disagree', None)
    """
    found = json_in(text)
    value = _value(found) if isinstance(found, Mapping) else None
    if value is not None:
        return _named(value)
    lines = [normalize_for_search(line) for line in text.splitlines()]
    keyed = {_named(match[1]) for line in lines for match in _KEY.finditer(line)} - {None}
    if keyed:
        return keyed.pop() if len(keyed) == 1 else None
    return _named(text)


def _value(found: Mapping[str, Any]) -> str | None:
    for key, value in found.items():
        if isinstance(value, str) and _KEY.match(f"{normalize_for_search(str(key))}: x"):
            return value
    return None


def _named(text: str) -> Label | None:
    """The one label that a text names; "neither agrees nor disagrees" names neutral."""
    plain = normalize_for_search(text)
    found = [label for label, pattern in _PATTERNS.items() if pattern.search(plain)]
    if found[:1] == ["neutral"] and re.search(r"\bneither\b|ولا", plain):
        return "neutral"
    return found[0] if len(found) == 1 else None
