"""Tokenise text so that what people typed can never become a control token.

Switching off special-token parsing is not enough: it leaves non-special added tokens (``<start_of_image>``)
and tokens that plain merges can build. So nothing is assumed about how an unsafe token came about: encode,
look for unsafe ids over content, cut the text inside each one, and encode again. A cut is a separator
character put into the text whose own token is dropped afterwards; cutting the string in two would instead add
a space in front of the second half in SentencePiece-like tokenizers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from bimedix2.text.chat._errors import chat_error
from bimedix2.text.chat.codec import Codec

# Tried in order; a separator serves if the tokenizer keeps it and gives it tokens of its own.
_SEPARATORS = ("\x00", "\x01", "\x7f", "\n", "\u2060")

Unsafe = Callable[[int, str], bool]


class Token(NamedTuple):
    """A token id and the characters ``[start, end)`` that it covers."""

    id: int
    start: int
    end: int


def encode_guarded(text: str, content: Sequence[tuple[int, int]], codec: Codec, unsafe: Unsafe) -> list[Token]:
    """Tokens of ``text`` of which none over a ``content`` range is unsafe.

    Args:
        text: the string.
        content: character ranges that are not trusted, in order.
        codec: the tokenizer.
        unsafe: tells whether content reading ``str`` must not become token ``int``.

    Raises:
        ChatError: ``unencodable_text`` when one character alone is a control token or no separator works.
    """
    tokens = _encode_cut(text, [], "", codec) or []
    found = _find_unsafe(tokens, text, content, unsafe)
    if not found:
        return tokens
    for separator in _SEPARATORS:
        safe = _cut_until_safe(text, content, codec, unsafe, found, separator)
        if safe is not None:
            return safe
    raise chat_error("unencodable_text", text=text[found[0].start : found[0].end])


def _cut_until_safe(
    text: str,
    content: Sequence[tuple[int, int]],
    codec: Codec,
    unsafe: Unsafe,
    found: list[Token],
    separator: str,
) -> list[Token] | None:
    """Tokens after as many rounds of cutting as it takes; ``None`` if ``separator`` does not serve."""
    cuts: set[int] = set()
    tokens: list[Token] | None = None
    while found:
        new = {_place_inside(text, token) for token in found} - cuts
        if not new:
            return None
        cuts |= new
        tokens = _encode_cut(text, sorted(cuts), separator, codec)
        if tokens is None:
            return None
        found = _find_unsafe(tokens, text, content, unsafe)
    return tokens


def _place_inside(text: str, token: Token) -> int:
    """A place between two characters of ``token``: after its first character that is not white space."""
    covered = text[token.start : token.end]
    if len(covered) < 2:
        raise chat_error("unencodable_text", text=covered)
    blanks = len(covered) - len(covered.lstrip())
    return token.start + min(blanks + 1, len(covered) - 1)


def _find_unsafe(tokens: list[Token], text: str, content: Sequence[tuple[int, int]], unsafe: Unsafe) -> list[Token]:
    return [
        token
        for token in tokens
        if unsafe(token.id, text[token.start : token.end])
        and any(token.start < end and start < token.end for start, end in content)
    ]


def _encode_cut(text: str, cuts: Sequence[int], separator: str, codec: Codec) -> list[Token] | None:
    """Encode with a separator at each cut and drop its tokens; ``None`` if one merged with its neighbours.

    Offsets are those of ``text`` without separators: the i-th separator stands at ``cuts[i] + i``.
    """
    bounds = [0, *cuts, len(text)]
    marked = separator.join(text[a:b] for a, b in pairwise(bounds))
    marks = [cut + i for i, cut in enumerate(cuts)]
    tokens: list[Token] = []
    for index, (start, end) in zip(*codec.encode(marked), strict=True):
        # Trimmed offsets leave an empty range behind the character; give the character back.
        first = end - 1 if start == end and end else start
        before, inside = bisect_left(marks, first), bisect_left(marks, end)
        if before == inside:
            tokens.append(Token(index, first - before, end - before))
        elif end - first > 1:
            return None
    return tokens
