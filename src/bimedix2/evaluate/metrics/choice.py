"""Multiple choice: which option a free reply picks, and which one the log-probabilities pick.

Replies are read in both scripts whatever the language of the question: models asked in Arabic often answer "B".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bimedix2.text import normalize_for_search

from .cleaning import clean_answer
from .vqa import bleu1
from .words import words

LATIN = tuple("ABCDEFGHIJ")
ARABIC = ("أ", "ب", "ج", "د", "هـ", "و", "ز", "ح", "ط", "ي")
_ARABIC_PLAIN = [normalize_for_search(letter) for letter in ARABIC]
# "answer", "option", "choice" and their Arabic counterparts, with "is", "is:", "of the right … is" between.
_NAMED = re.compile(
    r"(?:answer|option|choice|الاجابه|الجواب|الخيار|الاختيار|اجابه)(?:\s+(?:is|الصحيح|الصحيحه|هي|هو|letter|الحرف|رقم)(?!\w))*"
    r"\s*[:=\-–]?\s*[(\[*]*\s*(\w+)(?=\W|$)"
)
_LEADING = re.compile(r"^\W*(\w)(?:\s*[).:،,\-–\]]|\s*$)")
_BARE = re.compile(r"^\W*(\w)\W*$")


def pick_from_reply(reply: str, letters: Sequence[str], options: Sequence[str], *, strict: bool = False) -> int | None:
    """Index of the option that a reply picks; ``None`` if it picks none, or several.

    Args:
        reply: raw reply.
        letters: label of each option as the prompt shows it; words such as yes / no / maybe are labels too.
        options: their texts.
        strict: take only a bare label, "answer: LABEL" and "LABEL. text"; otherwise also a label named anywhere as
            the answer, an option's whole text, and a single capital letter.

    >>> pick_from_reply("The correct answer is (B).", "ABCD", ["w", "x", "y", "z"])
    1
    >>> pick_from_reply("الإجابة الصحيحة هي: ج", ["أ", "ب", "ج", "د"], ["س", "ص", "ع", "ف"])
    2
    """
    labels = _labels(letters)
    text = normalize_for_search(reply)
    bare = _BARE.match(text) or _LEADING.match(text)
    if bare and bare[1] in labels:
        return labels[bare[1]]
    named = {labels[match[1]] for match in _NAMED.finditer(text) if match[1] in labels}
    if len(named) == 1 and (not strict or _NAMED.match(text.lstrip("*# "))):
        return named.pop()
    if strict or named:
        whole = [index for index, option in enumerate(options) if words(reply) == words(option)]
        return whole[0] if len(whole) == 1 and not named else None
    return _by_text(reply, options, labels)


def _labels(letters: Sequence[str]) -> dict[str, int]:
    """Every way to write a label -> index; a letter stands for its place in the other script too."""
    labels: dict[str, int] = {}
    for index, letter in enumerate(letters):
        plain = normalize_for_search(letter)
        labels[plain] = index
        if plain in _ARABIC_PLAIN:
            labels.setdefault(LATIN[_ARABIC_PLAIN.index(plain)].lower(), index)
        elif letter.upper() in LATIN:
            labels.setdefault(_ARABIC_PLAIN[LATIN.index(letter.upper())], index)
    return labels


def _by_text(reply: str, options: Sequence[str], labels: dict[str, int]) -> int | None:
    """The one option whose words stand together in the reply (the longest, where one holds another)."""
    text = f" {' '.join(words(reply))} "
    joined = [" ".join(words(option)) for option in options]
    found = [index for index, option in enumerate(joined) if option and f" {option} " in text]
    longest = [i for i in found if not any(i != j and f" {joined[i]} " in f" {joined[j]} " for j in found)]
    if len(longest) == 1:
        return longest[0]
    if longest:
        return None
    # A capital that stands alone; A and I are English words, so those count only before a mark or "or".
    capitals = re.findall(r"(?<!\w)([B-HJ])(?!\w)|(?<!\w)([AI])(?=[).:,]|\s+(?:or|and|but|nor)\b|\s*$)", reply)
    picked = {labels[letter.lower()] for pair in capitals for letter in pair if letter.lower() in labels}
    return picked.pop() if len(picked) == 1 else None


def pick_multimedeval(reply: str, letters: Sequence[str], options: Sequence[str], *, colon: bool = False) -> int | None:
    """What MultiMedEval 1.0.0 picks: the option whose "letter text" has the highest BLEU-1 with the reply.

    Its cleaner drops the article "a", so a bare "A" is never valid, and with ``colon`` no bare letter is.

    Args:
        reply: raw reply.
        letters, options: labels and texts.
        colon: options read "a: Text." (its MedMCQA) instead of "A. Text.".
    """
    cleaned = clean_answer(reply)
    shown = [
        clean_answer(f"{letter.lower()}: {option}." if colon else f"{letter}. {option}.")
        for letter, option in zip(letters, options, strict=True)
    ]
    scores = [bleu1(cleaned, option) for option in shown]
    best = max(scores, default=0.0)
    return scores.index(best) if best > 0 else None


def pick_yes_no_maybe(reply: str) -> int | None:
    """MultiMedEval's PubMedQA: the most frequent of the words yes, no and maybe; ties in that order."""
    found = clean_answer(reply).split()
    counts = [found.count(word) for word in ("yes", "no", "maybe")]
    return counts.index(max(counts)) if any(counts) else None


def pick_by_logprob(logprobs: Sequence[float], continuations: Sequence[str], *, per_character: bool = False) -> int:
    """Index of the highest log-probability, as lm-evaluation-harness has it; ties go to the first.

    Args:
        logprobs: of each continuation, summed over its tokens.
        continuations: the texts that were scored.
        per_character: divide each by its number of characters first (``acc_norm``).
    """
    if per_character:
        logprobs = [value / len(text) for value, text in zip(logprobs, continuations, strict=True)]
    return max(range(len(logprobs)), key=logprobs.__getitem__)
