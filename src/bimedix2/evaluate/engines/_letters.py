"""From the first token's likeliest alternatives to a log-probability of each option."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bimedix2.evaluate.metrics.choice import ARABIC, LATIN
from bimedix2.text import normalize_for_search

UNLISTED_NATS = 1.0


def label_logprobs(listed: Sequence[tuple[str, float]], labels: Sequence[str]) -> tuple[float, ...] | None:
    """Log-probability (nats) of each label, from a list of tokens; ``None`` if none of the labels is in it.

    Ways to write one label (``"A"``, ``" A"``, the letter in its place in the other script) are added up. A token
    that is only the beginning of a label counts for it where no other label begins so: ``" may"`` for ``maybe``. A
    label that is not listed gets 1 nat less than the least likely token listed: it is at most as likely as that one,
    and must not tie with it.

    Args:
        listed: (token, log-probability), as :class:`Completion.top_logprobs` has them.
        labels: letters or words that stand for the options.
    """
    found: list[list[float]] = [[] for _ in labels]
    spellings = [_spellings(label) for label in labels]
    for token, logprob in listed:
        index = _meant(_as_bytes(token).strip(), spellings)
        if index is not None:
            found[index].append(logprob)
    if not any(found):
        return None
    floor = min(logprob for _, logprob in listed) - UNLISTED_NATS
    return tuple(_sum_exp(values) if values else floor for values in found)


def _meant(token: bytes, spellings: Sequence[set[bytes]]) -> int | None:
    """Index of the label that a token writes, or begins as no other does."""
    if not token:
        return None
    for index, ways in enumerate(spellings):
        if token in ways:
            return index
    begun = [index for index, ways in enumerate(spellings) if any(way.startswith(token) for way in ways)]
    return begun[0] if len(begun) == 1 else None


def _spellings(label: str) -> set[bytes]:
    """A label as bytes, and its counterpart in the other script."""
    ways = {label}
    if label in ARABIC:
        ways.add(LATIN[ARABIC.index(label)])
    elif label in LATIN:
        ways.add(ARABIC[LATIN.index(label)])
    # Words are also begun with a capital: "Yes" for yes. Letters are not: "a" is a word of its own.
    ways |= {way.capitalize() for way in ways if len(way) > 1}
    ways |= {normalize_for_search(way) for way in ways if not way.isascii()}  # ا for أ, ه for هـ
    return {way.encode() for way in ways}


def _as_bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogateescape")


def _sum_exp(values: Sequence[float]) -> float:
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))
