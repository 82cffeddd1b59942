"""Text without Arabic marks and with ASCII digits, and the way back to the offsets of the text as written.

Letters keep their spelling: where search would fold على and علي into one word, a name must not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MARKS = re.compile(r"[\u0610-\u061A\u0640\u064B-\u065F\u0670\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]")
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "0123456789" * 2)
_SIGNS = str.maketrans({"\u00a0": " ", "\u202f": " ", "‐": "-", "‑": "-", "–": "-", "−": "-", "’": "'", "؍": "/"})


class Plain(NamedTuple):
    """A text to look for patterns in.

    Attributes:
        text: without marks and invisible controls.
        starts: for each of its characters the offset in the original, or None where nothing was taken out.
    """

    text: str
    starts: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original of a stretch that is not empty."""
        if self.starts is None:
            return start, end
        return self.starts[start], self.starts[end - 1] + 1


def plain(text: str) -> Plain:
    """A text as the patterns expect it.

    >>> plain("الدُّكتور ١٢").text
    'الدكتور 12'
    """
    starts = None
    if not text.isascii() and _MARKS.search(text):
        starts = [at for at, character in enumerate(text) if not _MARKS.match(character)]
        text = "".join(text[at] for at in starts)
    return Plain(text.translate(_DIGITS).translate(_SIGNS), starts)
