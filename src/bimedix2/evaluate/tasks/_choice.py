"""What multiple-choice tasks share: the prompt, the labels and Arabic translations of English sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bimedix2.data.sources._common import asset
from bimedix2.errors import RecordError
from bimedix2.evaluate.metrics.choice import ARABIC, LATIN
from bimedix2.evaluate.schema import Sample
from bimedix2.records.schema import Language

from ._files import field
from ._translated import Arabic, check_source


def choice_sample(
    task: str,
    name: str,
    language: Language,
    question: str,
    options: Sequence[str],
    right: int,
    group: Mapping[str, str] | None = None,
) -> Sample:
    """A question with its options labelled A, B, … or أ, ب, …; ``right`` is the index of the answer."""
    letters = (ARABIC if language == "ar" else LATIN)[: len(options)]
    shown = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    instruction = asset("phrases.json")["instruction"][f"mcq_{language}"]
    return Sample(
        id=name,
        task=task,
        language=language,
        prompt=f"{instruction}\n{question}\n{shown}",
        question=question,
        reference=letters[right],
        options=tuple(options),
        letters=letters,
        group={key: value for key, value in (group or {}).items() if value},
    )


def key_index(path: Path, number: int, key: str, count: int, name: str) -> int:
    """Index of an answer key: a letter in either case.

    Raises:
        RecordError: it names none of ``count`` options.
    """
    place = LATIN.index(key.strip().upper()) if key.strip().upper() in LATIN else count
    if place >= count:
        raise RecordError(path, number, name, f"{key!r} names none of {count} options", "لا يسمي أيا من الخيارات")
    return place


def in_arabic(
    path: Path, rows: Arabic | None, name: str, question: str, options: Sequence[str]
) -> tuple[str, Sequence[str]] | None:
    """Question and options in the language asked for; ``None`` where an item has no translation.

    Raises:
        RecordError: a translation has another number of options, or was made from another English text.
    """
    if rows is None:
        return question, options
    if name not in rows:
        return None
    number, row = rows[name]
    check_source(path, number, row, question, options)
    translated = row.get("options")
    if not isinstance(translated, list) or len(translated) != len(options):
        raise RecordError(path, number, "options", f"must be a list of {len(options)}", "عدد الخيارات غير صحيح")
    return field(path, number, row, "question"), [str(option) for option in translated]
