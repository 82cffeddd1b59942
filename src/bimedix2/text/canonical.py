"""The form in which two texts are compared for being the same: no case, marks or punctuation, one spelling."""

from __future__ import annotations

import string
import unicodedata

from .arabic import normalize_for_search


class _Plain(dict[int, int]):
    """Code point -> code point for ``str.translate``; punctuation becomes a space. Filled as characters come up."""

    def __missing__(self, point: int) -> int:
        self[point] = 32 if unicodedata.category(chr(point))[0] == "P" else point
        return self[point]


_PLAIN = _Plain()
_ASCII = str.maketrans({**dict.fromkeys(string.punctuation, " "), **{sign: sign for sign in "$+<=>^`|~"}})


def canonical(text: str) -> str:
    """Search form of a text without its punctuation: what is equal here is the same question.

    >>> canonical("هل القَلبُ متضخِّم؟")
    'هل القلب متضخم'
    >>> canonical("Is T2 > T1?")
    'is t2 > t1'
    """
    if text.isascii():  # the same by a shorter way: nothing in it has marks, forms or digits of another script
        return " ".join(text.lower().translate(_ASCII).split())
    return " ".join(normalize_for_search(text).translate(_PLAIN).split())
