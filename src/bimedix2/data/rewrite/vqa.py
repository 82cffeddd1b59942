"""Questions and answers about an image, written from its caption or from what an article says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bimedix2.data.llm.step import Ask, PassedOver
from bimedix2.data.translate.parts import LETTERS
from bimedix2.records import Language, Record, Task, Turn

from ._common import (
    WORDS,
    YES_NO,
    Rewrite,
    language_of_record,
    new_id,
    question_problems,
    text_problems,
)

_TASKS = ("caption", "report", "dialogue")


class Item(msgspec.Struct, frozen=True):
    """One question; ``options`` only where ``kind`` is ``choice``."""

    kind: str
    question: str
    answer: str
    options: list[str] = []


class Items(msgspec.Struct, frozen=True):
    """A model's questions."""

    items: list[Item]


class WriteVqa(Rewrite):
    """Caption, report or conversation to single questions."""

    name = "vqa"

    def ask(self, record: Record) -> Ask[Any]:
        """The question about one text."""
        if not record.images or record.task not in _TASKS:
            raise PassedOver("no_caption")
        # In a conversation the questions carry half of the meaning.
        spoken = record.turns if record.task == "dialogue" else [t for t in record.turns if t.role == "assistant"]
        material = "\n".join(turn.text for turn in spoken if turn.role != "system" and turn.text.strip())
        language, wanted = language_of_record(record), self.settings.items

        def problems(found: Items) -> Sequence[str]:
            if not 1 <= len(found.items) <= 2 * wanted:
                return [WORDS[language]["count"].format(wanted, len(found.items))]
            return [
                *question_problems([item.question for item in found.items], language),
                *(problem for item in found.items for problem in item_problems(item, material, language)),
            ]

        given = {"material": material, "items": str(wanted)}
        return self._ask(record, Items, problems, 50 * wanted, **given)

    def made(self, record: Record, value: Items, variant: int) -> Iterable[Record]:
        """A record a question."""
        language = language_of_record(record)
        for number, item in enumerate(value.items):
            name = new_id(record, f"{self.name}{number}", variant)
            question, answer, task = _shown(item, name, language)
            images = tuple(range(len(record.images)))
            turns = (
                Turn(role="user", text=question, language=language, images=images),
                Turn(role="assistant", text=answer, language=language),
            )
            yield msgspec.structs.replace(record, id=name, turns=turns, task=task, pair_id=None)


def _shown(item: Item, name: str, language: Language) -> tuple[str, str, Task]:
    """Question, answer and task; options are shuffled by hash, since models like to put the right one first."""
    question, answer = item.question.strip(), item.answer.strip()
    if item.kind != "choice":
        return question, answer, "vqa"
    options = sorted((option.strip() for option in item.options), key=lambda option: _hash(f"{name}|{option}"))
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS[language], options, strict=False)]
    return "\n".join([question, *lines]), lines[options.index(answer)], "mcq"


def item_problems(item: Item, material: str, language: Language) -> list[str]:
    """What is wrong with one question."""
    words = WORDS[language]
    options = [option.strip() for option in item.options]
    if item.kind not in ("closed", "open", "choice"):
        return [words["kind"].format(item.kind)]
    if item.kind == "closed":
        short = item.answer.strip().rstrip(".")
        good = short.lower() in [word.lower() for word in YES_NO[language]]
        return [] if good and not options else [words["closed"].format(item.answer)]
    if item.kind == "open":
        found = [words["no_options"].format(item.question)] if options else []
        return found + text_problems([item.answer], material, language)
    if len(options) != 4 or len(set(options)) != 4 or not all(options) or item.answer.strip() not in options:
        return [words["options"].format(item.question)]
    return text_problems([item.answer], material, language)  # wrong options may name what is not there


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
