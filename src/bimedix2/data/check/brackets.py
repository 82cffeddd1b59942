"""Check ``brackets``: brackets and bidirectional isolates that are opened are closed."""

from __future__ import annotations

import re

from .finding import Context, Finding
from .fold import Span

NAME = "brackets"
_PAIRS = {"(": ")", "[": "]", "{": "}", "«": "»", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}
_PAIRS |= {"\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c"}
_CLOSERS = frozenset(_PAIRS.values())
# "a)" and "1)" count items; ":)" is a face. Neither closes anything.
_LONE = re.compile(r"(?<![^\s(])(?:[0-9٠-٩]{1,3}|[A-Za-z]|[\u0621-\u064a]ـ?)\)|[:;]-?[()]")


def unbalanced(text: str) -> list[Span]:
    """Places of marks without a partner; one closed by another kind counts as such."""
    lone = {at for match in _LONE.finditer(text) if "(" not in match.group()[:-1] for at in [match.end() - 1]}
    stack: list[tuple[str, int]] = []
    wrong: list[Span] = []
    for at, character in enumerate(text):
        if character in _PAIRS:
            stack.append((_PAIRS[character], at))
        elif character in _CLOSERS:
            if stack and stack[-1][0] == character:
                stack.pop()
            elif at not in lone:
                wrong.append((at, at + 1))
    return wrong + [(at, at + 1) for _, at in stack]


def check_brackets(source: str, translation: str, context: Context) -> list[Finding]:
    """Marks of the translation without a partner, where the source has all of its own."""
    wrong = unbalanced(translation)
    if not wrong or unbalanced(source):
        return []
    texts = "A bracket or an isolate has no partner.", "قوس أو عازل اتجاه بلا مقابل."
    return [Finding(check=NAME, severity="error", translation=tuple(wrong), english=texts[0], arabic=texts[1])]
