"""A caption or report about an image becomes a conversation of several questions about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bimedix2.data.llm.step import Ask, PassedOver
from bimedix2.records import Record, Turn

from ._common import (
    WORDS,
    Rewrite,
    answers_of,
    language_of_record,
    new_id,
    question_problems,
    text_problems,
)


class Exchange(msgspec.Struct, frozen=True):
    """A question and its answer."""

    question: str
    answer: str


class Conversation(msgspec.Struct, frozen=True):
    """A model's conversation."""

    exchanges: list[Exchange]


class Dialogue(Rewrite):
    """Caption to dialogue."""

    name = "dialogue"

    def ask(self, record: Record) -> Ask[Any]:
        """The question about a caption."""
        if not record.images or record.task not in ("caption", "report"):
            raise PassedOver("no_caption")
        material = "\n".join(turn.text for turn in answers_of(record))
        language, wanted = language_of_record(record), self.settings.exchanges

        def problems(found: Conversation) -> Sequence[str]:
            count = len(found.exchanges)
            if not 2 <= count <= 2 * wanted:
                return [WORDS[language]["count"].format(wanted, count)]
            return [
                *question_problems([exchange.question for exchange in found.exchanges], language),
                *text_problems((exchange.answer for exchange in found.exchanges), material, language),
            ]

        given = {"material": material, "exchanges": str(wanted)}
        return self._ask(record, Conversation, problems, 60 * wanted, **given)

    def made(self, record: Record, value: Conversation, variant: int) -> Iterable[Record]:
        """One record; its first question shows all the images."""
        language, turns = language_of_record(record), []
        for number, exchange in enumerate(value.exchanges):
            images = () if number else tuple(range(len(record.images)))
            turns.append(Turn(role="user", text=exchange.question.strip(), language=language, images=images))
            turns.append(Turn(role="assistant", text=exchange.answer.strip(), language=language))
        name = new_id(record, self.name, variant)
        yield msgspec.structs.replace(record, id=name, turns=tuple(turns), task="dialogue", pair_id=None)
