"""Short reference answers become full sentences that say the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bimedix2.data.llm.step import Ask, PassedOver
from bimedix2.records import Language, Record, Turn
from bimedix2.text import normalize_for_search

from ._common import (
    WORDS,
    YES_NO,
    Rewrite,
    language_of_record,
    new_id,
    numbers_of,
    sides_of,
    text_problems,
)


class FullAnswers(msgspec.Struct, frozen=True):
    """Full answers in the order of the short ones."""

    answers: list[str]


class Expand(Rewrite):
    """Short answer to full answer."""

    name = "expand"

    def ask(self, record: Record) -> Ask[Any]:
        """The question about all short answers of a record."""
        pairs = self._short(record)
        if not pairs or record.task not in ("vqa", "qa", "classification", "dialogue"):
            raise PassedOver("no_short_answer")
        language = language_of_record(record)

        def problems(found: FullAnswers) -> Sequence[str]:
            if len(found.answers) != len(pairs):
                return [WORDS[language]["count"].format(len(pairs), len(found.answers))]
            return [
                problem
                for number, ((question, answer), full) in enumerate(zip(pairs, found.answers, strict=True), start=1)
                for problem in answer_problems(number, question, answer, full, language)
            ]

        listed = [{"question": question, "answer": answer} for question, answer in pairs]
        given = {"material": msgspec.json.encode(listed).decode()}
        return self._ask(record, FullAnswers, problems, 40 * len(pairs), **given)

    def made(self, record: Record, value: FullAnswers, variant: int) -> Iterable[Record]:
        """The record with its short answers replaced."""
        waiting = iter(value.answers)
        turns = tuple(
            msgspec.structs.replace(turn, text=next(waiting).strip()) if self._is_short(turn) else turn
            for turn in record.turns
        )
        yield msgspec.structs.replace(record, id=new_id(record, self.name, variant), turns=turns, pair_id=None)

    def _short(self, record: Record) -> list[tuple[str, str]]:
        before = zip(record.turns, record.turns[1:], strict=False)
        return [(question.text, answer.text) for question, answer in before if self._is_short(answer)]

    def _is_short(self, turn: Turn) -> bool:
        return turn.role == "assistant" and len(turn.text.split()) <= self.settings.short_words


def answer_problems(number: int, question: str, answer: str, full: str, language: Language) -> list[str]:
    """What a full answer changed of the short one, as far as rules can tell: yes and no, numbers, sides, length."""
    words = WORDS[language]
    found = text_problems([full], f"{question}\n{answer}", language)
    polarity = _polarity(answer, language)
    if polarity and _polarity(full, language) != polarity:
        found.append(words["polarity"].format(number, polarity))
    if len(full.split()) <= max(2, len(answer.split())):
        found.append(words["short"].format(number))
    lost = numbers_of(answer) - numbers_of(full)
    found += [words["lost_number"].format(value) for value in sorted(lost)]
    missing = sides_of(answer, language) - sides_of(full, language)
    return found + [words["lost_side"].format(side) for side in sorted(missing)]


def _polarity(text: str, language: Language) -> str:
    """``Yes`` or ``No`` in the language, if a text begins with it."""
    first = normalize_for_search(text).replace("،", " ").replace(",", " ").replace(".", " ").split()[:1]
    return next((word for word in YES_NO[language] if first == [normalize_for_search(word)]), "")
