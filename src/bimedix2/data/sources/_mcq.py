"""Multiple-choice questions: options with the letters of the language, answered by letter and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language, Record, Split, Step

from ._common import asset, exchange

LETTERS: dict[Language, tuple[str, ...]] = {
    "en": tuple("ABCDEFGHIJ"),
    "ar": ("أ", "ب", "ج", "د", "هـ", "و", "ز", "ح", "ط", "ي"),
}


def mcq_record(
    record_id: str,
    question: str,
    options: Sequence[str],
    right: int,
    language: Language,
    *,
    source: str,
    licence: str,
    split: Split,
    explanation: str = "",
    pair_id: str | None = None,
    parent: str | None = None,
    steps: tuple[Step, ...] = (),
) -> Record:
    """A record that asks for the letter and answers ``B. text``, with the explanation below where there is one."""
    letters = LETTERS[language]
    shown = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=False))
    answer = f"{letters[right]}. {options[right]}"
    return exchange(
        record_id,
        f"{asset('phrases.json')['instruction'][f'mcq_{language}']}\n{question}\n{shown}",
        f"{answer}\n\n{explanation}" if explanation else answer,
        language,
        task="mcq",
        modality="text",
        source=source,
        licence=licence,
        split=split,
        pair_id=pair_id,
        parent=parent,
        steps=steps,
    )


def right_option(path: Path, number: int, key: Any, count: int, name: str) -> int:
    """Index of a key: a letter of either language.

    Raises:
        RecordError: it names none of ``count`` options.
    """
    wanted = str(key).strip().upper().removesuffix(".")
    for letters in LETTERS.values():
        if wanted in letters[:count]:
            return letters.index(wanted)
    raise RecordError(path, number, name, f"{key!r} names none of {count} options", f"لا يسمي أيا من {count} خيارات")


def option_texts(path: Path, number: int, given: Any, name: str) -> list[str]:
    """Texts of options that are a list, or letter -> text.

    Raises:
        RecordError: fewer than two, more than there are letters, or one is no text.
    """
    values = list(given.values()) if isinstance(given, Mapping) else given
    most = len(LETTERS["en"])
    if not isinstance(values, list) or not 2 <= len(values) <= most:
        raise RecordError(path, number, name, f"is not 2 to {most} options", f"ليس من 2 إلى {most} خيارات")
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise RecordError(path, number, name, "has an option that is empty or no text", "فيه خيار فارغ أو ليس نصا")
    return [" ".join(value.split()) for value in values]
