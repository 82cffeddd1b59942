"""A multiple-choice question gets an explanation after its answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bimedix2.data.llm.step import Ask, Parked, PassedOver
from bimedix2.data.translate.parts import LETTERS, answer_index, option_block
from bimedix2.records import Record
from bimedix2.text import language_of
from bimedix2.text.refusal import is_refusal

from ._common import WORDS, Rewrite, language_of_record, new_id


class Explanation(msgspec.Struct, frozen=True):
    """A model's explanation, and the letter that it holds to be right itself."""

    answer: str
    explanation: str


class Explain(Rewrite):
    """Multiple choice to explanation."""

    name = "explain"

    def ask(self, record: Record) -> Ask[Any]:
        """The question about one multiple-choice question."""
        index = _key(record)
        if record.task != "mcq" or index is None:
            raise PassedOver("no_choice")
        language = language_of_record(record)
        words, letters = WORDS[language], LETTERS[language]

        def problems(found: Explanation) -> Sequence[str]:
            text = found.explanation
            if answer_index(found.answer) is None:
                return [f'"answer": {found.answer!r}']
            if not text.strip():
                return [words["empty"]]
            wrong = [words["language"].format(text[:60])] if language_of(text, language) != language else []
            return wrong + ([words["refusal"].format(text[:60])] if is_refusal(text, language) else [])

        given = {
            "material": record.turns[-2].text,
            "key": record.turns[-1].text.strip() if answer_index(record.turns[-1].text) is not None else letters[index],
            "sentences": str(self.settings.sentences),
        }
        return self._ask(record, Explanation, problems, 40 * self.settings.sentences, **given)

    def made(self, record: Record, value: Explanation, variant: int) -> Iterable[Record]:
        """The record with the explanation under its answer.

        Raises:
            Parked: the model holds another option to be right; then one of the two is wrong.
        """
        index, said = _key(record), answer_index(value.answer)
        if said != index:
            raise Parked(
                "disagrees_with_key",
                f"the model answers {value.answer!r}",
                f"جواب النموذج {value.answer!r}",
                stage=self.name,
                reply=value.explanation,
            )
        last = record.turns[-1]
        text = f"{last.text.strip()}\n\n{value.explanation.strip()}"
        turns = (*record.turns[:-1], msgspec.structs.replace(last, text=text))
        yield msgspec.structs.replace(record, id=new_id(record, self.name, variant), turns=turns, pair_id=None)


def _key(record: Record) -> int | None:
    """Index of the right option, where question and answer show one and there is no explanation yet."""
    question, answer = record.turns[-2], record.turns[-1]
    lines = question.text.split("\n")
    first, last = option_block(lines)
    if first == last or "\n" in answer.text.strip():
        return None
    index = answer_index(answer.text)
    if index is not None and index < last - first:
        return index
    options = [line.strip() for line in lines[first:last]]
    same = [number for number, line in enumerate(options) if line.endswith(f" {answer.text.strip()}")]
    return same[0] if len(same) == 1 else None
