"""Two directions in one plain text: which way a block runs, and isolates that keep measurements whole.

In a right-to-left block the bidirectional algorithm (Unicode UAX #9) shows ``12 × 8 mm`` as ``mm 8 × 12`` and
``2023-05-01`` as ``01-05-2023``. An isolate (U+2066 … U+2069) around the run keeps its own order.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal

Direction = Literal["rtl", "ltr"]

LRI, RLI, FSI, PDI = "\u2066", "\u2067", "\u2068", "\u2069"

_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)

# Letters and digits outside the right-to-left blocks; Arabic-Indic digits are left out because they keep a
# right-to-left order of their own, even inside an isolate.
_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff"  # \w minus these
_LETTER = rf"[^\W_{_RTL}]"
_ATOM = re.compile(
    rf"(?:(?<![^\W_])(?:[<>≤≥±~≈=]\s?(?=[-+−\s0-9])|(?:--|[-+−#$€£])(?=[^\W_])))*{_LETTER}(?:{_LETTER}|[\u0300-\u036f_⁺⁻ºª]|[.,:'’@&](?={_LETTER}))*"
    rf"(?:\s?[%‰°]{_LETTER}?|[+′″])*"
)
_HAS_RTL = re.compile(rf"[{_RTL}]")
_PLAIN_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_OPENERS = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = frozenset(_OPENERS.values())
_FARTHEST_CLOSER = 32  # atoms between brackets; keeps the search linear on "a (a (a (a …"
# What may stand between two atoms of one run: signs, spaces and brackets, but nothing right-to-left, no line
# end, no Arabic punctuation and no end of a sentence ("CT. MRI", but not "Fig. 2" or "al. (2020)").
_SENTENCE_END = re.compile(r"[!?]\s|\.\s+(?=[^\W\d_])")
_GAP = re.compile(r"[^\w\n\r\u2028\u2029،؛؟«»“”\"*`|\u2022]{0,6}")


@lru_cache(maxsize=4096)
def _letter_direction(character: str) -> Direction | None:
    if not character.isalpha() or character == "\u0640":
        return None
    bidi_class = unicodedata.bidirectional(character)
    if bidi_class in ("R", "AL"):
        return "rtl"
    return "ltr" if bidi_class == "L" else None


def direction_of(block: str, default: Direction = "ltr") -> Direction:
    """The direction of a paragraph by the majority of its letters, not by its first one.

    Digits, signs and text between backticks do not count, so ``"CT للصدر"`` is right-to-left.

    Args:
        block: one paragraph.
        default: the answer for a tie and for a block without letters; pass the conversation's direction.
    """
    totals: Counter[Direction | None] = Counter()
    for character, times in Counter(_CODE.sub(" ", block)).items():
        totals[_letter_direction(character)] += times
    if totals["rtl"] == totals["ltr"]:
        return default
    return "rtl" if totals["rtl"] > totals["ltr"] else "ltr"


def block_direction(block: str, message: Direction = "ltr") -> Direction:
    """The direction of a block of a message: of an Arabic one, what begins in Arabic stays Arabic.

    ``"ورم Grade II (BI-RADS 4)"`` holds more Latin letters than Arabic ones, and is an Arabic line all the same.

    Args:
        block: one paragraph.
        message: direction of the message that it belongs to.
    """
    first = next((character for character in block if character.isalpha()), "")
    if message == "rtl" and _HAS_RTL.match(first):
        return "rtl"
    return direction_of(block, message)


def strip_bidi_controls(text: str) -> str:
    """Remove every bidirectional control (marks, embeddings, overrides, isolates).

    For file names and model output: an override makes a file that ends in ``gnp.exe`` look like ``exe.png``.
    """
    return _BIDI_CONTROLS.sub("", text)


def _scan_gap(gap: str, stack: list[str]) -> bool:
    """Push and pop the brackets of ``gap``; false where it closes one that the run did not open."""
    for character in gap:
        if character in _OPENERS:
            stack.append(_OPENERS[character])
        elif character in _CLOSERS and (not stack or stack.pop() != character):
            return False
    return True


def _is_gap(line: str, start: int, end: int) -> bool:
    """Whether ``line[start:end]`` may join the atoms on its two sides."""
    if _GAP.fullmatch(line, start, end) is None:
        return False
    sentence_end = _SENTENCE_END.search(line, start, end + 1)
    return sentence_end is None or line[end].islower()


def _close(line: str, end: int, stack: list[str]) -> int | None:
    """End of the run with its open brackets closed, or ``None`` where the text does not close them at once."""
    for closer in reversed(stack):
        if not line.startswith(closer, end):
            return None
        end += 1
    return end


def _longest_run(line: str, atoms: list[re.Match[str]], first: int) -> tuple[int, int]:
    """The longest balanced run from atom ``first``: its end in ``line`` and the index of the next atom."""
    best = (atoms[first].end(), first + 1)
    stack: list[str] = []
    for index in range(first + 1, len(atoms)):
        left, right = atoms[index - 1].end(), atoms[index].start()
        unclosed = index - best[1] > _FARTHEST_CLOSER
        if unclosed or not _is_gap(line, left, right) or not _scan_gap(line[left:right], stack):
            break
        end = _close(line, atoms[index].end(), stack)
        if end is not None:
            best = (end, index + 1)
    return best


def ltr_runs(line: str, direction: Direction = "ltr") -> list[tuple[int, int]]:
    """Where a line holds left-to-right runs that need an isolate, as (start, end) character positions.

    A run is a measurement, range, date, dose, code or Latin phrase with its signs and balanced brackets. A plain
    number is none: it cannot be re-ordered. A line without right-to-left letters has no runs, unless
    ``direction`` says that it stands in a right-to-left paragraph.
    """
    if direction == "ltr" and _HAS_RTL.search(line) is None:
        return []
    atoms = list(_ATOM.finditer(line))
    runs: list[tuple[int, int]] = []
    index = 0
    while index < len(atoms):
        start = atoms[index].start()
        end, index = _longest_run(line, atoms, index)
        if _PLAIN_NUMBER.fullmatch(line, start, end) is None:
            runs.append((start, end))
    return runs


def _isolate_line(line: str, direction: Direction) -> str:
    pieces, position = [], 0
    for start, end in ltr_runs(line, direction):
        pieces += [line[position:start], LRI, line[start:end], PDI]
        position = end
    return "".join([*pieces, line[position:]])


def isolate_ltr(text: str, direction: Direction = "ltr") -> str:
    """Wrap the left-to-right runs of every line that holds Arabic in U+2066 … U+2069, for plain-text display.

    Args:
        text: one or more lines in logical order.
        direction: ``"rtl"`` where the text will stand in a right-to-left block whatever its letters are; then
            lines without Arabic are treated too.

    Bidirectional controls that were in ``text`` are dropped first, so the function is idempotent and
    ``strip_bidi_controls`` undoes it. Do not store the result or give it to a model.

    >>> isolate_ltr("حجم الورم 12 × 8 mm") == "حجم الورم " + LRI + "12 × 8 mm" + PDI
    True
    """
    # Only "\n" splits: the other line ends stay where they are and end a run by themselves.
    return "\n".join(_isolate_line(line, direction) for line in strip_bidi_controls(text).split("\n"))
