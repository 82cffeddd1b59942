"""A checked pair for a terminal: both texts with the places marked, and what is wrong with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bimedix2.text import for_terminal

from .finding import Finding
from .fold import Span
from .pairs import CheckResult

_OPEN, _CLOSE = "⟦", "⟧"  # mirrored by terminals and by for_terminal, so they stay readable right to left
_RED, _BOLD, _OFF = "\x1b[31m", "\x1b[1m", "\x1b[0m"
_LABELS = {"en": ("source", "translation"), "ar": ("الأصل", "الترجمة")}
_MARKED = re.compile(f"{_OPEN}[^{_OPEN}{_CLOSE}\n]*{_CLOSE}")


def _merged(spans: Iterable[Span], size: int) -> list[Span]:
    """Spans in order without overlap; one that covers everything says nothing and is left out."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1] and span[1] - span[0] < size):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def mark(text: str, spans: Iterable[Span]) -> str:
    """``text`` with ⟦ ⟧ around the spans."""
    pieces, at = [], 0
    for start, end in _merged(spans, len(text)):
        pieces += [text[at:start], _OPEN, text[start:end], _CLOSE]
        at = end
    return "".join([*pieces, text[at:]])


def _shown(text: str, color: bool, is_tty: bool, width: int | None) -> str:
    shown = for_terminal(text, is_tty=is_tty, width=width) if is_tty else text
    return _MARKED.sub(lambda match: f"{_RED}{match.group()}{_OFF}", shown) if color else shown


def pair_report(
    result: CheckResult,
    texts: Sequence[tuple[str, str]],
    language: str = "en",
    *,
    color: bool = False,
    is_tty: bool = False,
    width: int | None = None,
) -> str:
    """A pair, or the turns of a record, with its findings.

    Args:
        result: of the checks.
        texts: source and translation of each turn; of a pair, one.
        language: of the labels and explanations.
        color: colour the marked places.
        is_tty: whether the text goes to a terminal, which may need Arabic in visual order.
        width: cells of a line; ``None`` asks the terminal.
    """
    head = f"{result.id}  {', '.join(result.failed) or 'ok'}"
    lines = [f"{_BOLD}{head}{_OFF}" if color else head]
    for at, (source, translation) in enumerate(texts):
        own = [finding for finding in result.findings if finding.turn in (None, at)]
        if not own and len(texts) > 1:
            continue
        for label, text, spans in (
            (_LABELS[language][0], source, [span for finding in own for span in finding.source]),
            (_LABELS[language][1], translation, [span for finding in own for span in finding.translation]),
        ):
            lines += [f"  {_shown(label, False, is_tty, width)}:", _shown(mark(text, spans), color, is_tty, width)]
        lines += [_explained(finding, language, is_tty, width) for finding in own if finding.turn == at or at == 0]
    return "\n".join(lines)


def _explained(finding: Finding, language: str, is_tty: bool, width: int | None) -> str:
    text = f"{finding.check}: {finding.arabic if language == 'ar' else finding.english}"
    return _shown(f"  - {text}", False, is_tty, width)


class Summary:
    """Counts over many results."""

    def __init__(self) -> None:
        self.pairs = self.failed = self.bad = 0
        self.checks: Counter[str] = Counter()

    def add(self, result: CheckResult) -> None:
        """Count a result."""
        self.pairs += 1
        self.failed += bool(result.failed)
        self.checks.update(result.failed)

    def text(self, language: str) -> str:
        """One line for each figure."""
        share = self.failed / self.pairs if self.pairs else 0.0
        if language == "ar":
            lines = [f"فُحصت {self.pairs}، ورُسبت {self.failed} ({share:.1%})، وصفوف معيبة {self.bad}"]
        else:
            lines = [f"{self.pairs} checked, {self.failed} failed ({share:.1%}), {self.bad} bad rows"]
        return "\n".join([*lines, *(f"{count:7d}  {name}" for name, count in self.checks.most_common())])
