"""The answer cleaning of the VQA challenge as MultiMedEval 1.0.0 applies it, quirks included."""

from __future__ import annotations

import re

# Order matters only in that every mark is handled once.
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
# The flag of the original's substitution sits in the place of its count, and re.UNICODE is 32.
_PERIODS_REMOVED = 32
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = frozenset(("a", "an", "the"))
_CONTRACTED = (
    "ain't", "aren't", "can't", "could've", "couldn't", "couldn't've", "didn't", "doesn't", "don't", "hadn't",
    "hadn't've", "hasn't", "haven't", "he'd", "he'd've", "he's", "how'd", "how'll", "how's", "isn't", "it'd",
    "it'd've", "it'll", "ma'am", "might've", "mightn't", "mightn't've", "must've", "mustn't", "needn't", "not've",
    "o'clock", "oughtn't", "shan't", "she'd've", "should've", "shouldn't", "shouldn't've", "somebody'd've",
    "somebody'll", "somebody's", "someone'd", "someone'd've", "someone'll", "someone's", "something'd",
    "something'd've", "something'll", "that's", "there'd", "there'd've", "there're", "there's", "they'd",
    "they'd've", "they'll", "they're", "they've", "'twas", "wasn't", "we'd've", "we've", "weren't", "what'll",
    "what're", "what's", "what've", "when's", "where'd", "where's", "where've", "who'd", "who'd've", "who'll",
    "who's", "who've", "why'll", "why're", "why's", "won't", "would've", "wouldn't", "wouldn't've", "y'all",
    "y'all'll", "y'all'd've", "you'd", "you'd've", "you'll", "you're", "you've",
)  # fmt: skip


def _contraction_table() -> dict[str, str]:
    """Every way to lose apostrophes: ``couldntve``, ``couldn'tve`` and ``couldnt've`` give ``couldn't've``."""
    table: dict[str, str] = {}
    for word in _CONTRACTED:
        parts = word.split("'")
        for kept in range(2 ** (len(parts) - 1) - 1):
            joints = ["'" if kept >> index & 1 else "" for index in range(len(parts) - 1)]
            table[parts[0] + "".join(joint + part for joint, part in zip(joints, parts[1:], strict=True))] = word
    # English words that the table must not touch, and one entry that the original has the other way round.
    for word in ("its", "shell", "well", "were", "id", "ill"):
        table.pop(word, None)
    table["somebody'd"] = "somebodyd"
    return table


_REPLACED = _contraction_table() | _NUMBERS


def clean_answer(text: str) -> str:
    """Clean an answer for word comparison.

    >>> clean_answer("There are TWO nodules, in the left-upper lobe.")
    'there are 2 nodules in left upper lobe'
    """
    text = text.lower()
    numeric = _NUMBER_COMMA.search(text) is not None
    cleaned = text
    for mark in _MARKS:
        if mark in text:
            touches = f"{mark} " in text or f" {mark}" in text
            cleaned = cleaned.replace(mark, "" if touches or numeric else " ")
    if "." in cleaned:
        cleaned = _PERIOD.sub("", cleaned, count=_PERIODS_REMOVED)
    kept = [_REPLACED.get(word, word) for word in cleaned.split() if word not in _ARTICLES]
    return " ".join(kept).replace(",", "")
