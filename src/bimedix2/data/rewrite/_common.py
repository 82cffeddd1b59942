"""What all kinds of rewriting share: one question a record, provenance, and guards against invented facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from bimedix2.data.llm.prompts import Prompts
from bimedix2.data.llm.step import Answered, Ask, By, Expected, Job, Outcome, require_derivatives
from bimedix2.records import Language, Record, Step, Turn
from bimedix2.records.validate import find_fault
from bimedix2.text import language_of, to_western_digits
from bimedix2.text.refusal import is_refusal

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# "That is right" and "left untreated" name no side.
_SIDES: dict[Language, dict[str, re.Pattern[str]]] = {
    "en": {
        "left": re.compile(r"\bleft(?:-|(?= (?!untreated|over|behind)\w))|\bthe left\b", re.IGNORECASE),
        "right": re.compile(
            r"\bright(?:-|(?= (?!answer|or wrong|away|now)\w))|\bthe right(?! answer)\b", re.IGNORECASE
        ),
        "bilateral": re.compile(r"\bbilateral|\bboth (?:sides|lungs|kidneys|eyes|breasts|hips|knees)", re.IGNORECASE),
    },
    "ar": {
        "أيسر": re.compile(r"[أا]يسر|يسار|يسرى"),
        "أيمن": re.compile(r"[أا]يمن|يمين|يمنى"),
        "ثنائي الجانب": re.compile(r"ثنائي\w* الجانب|الجانبين|كلا ال|كلتا ال"),
    },
}
_MENTIONS: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"\b(?:the|this|in) (?:caption|text|article|authors?)\b|\b(?:fig|figure)\.? ?\d", re.IGNORECASE),
    "ar": re.compile(r"شرح الصورة|التعليق|النص\b|المقال|المؤلف|(?:ال)?شكل \d"),
}
WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "count": "{} items were asked for but {} came",
        "empty": "a text is empty",
        "language": "a text is not in English: {!r}",
        "number": "the number {} is not in the material",
        "lost_number": "the number {} of the short answer is missing",
        "side": "the side {!r} is not in the material",
        "lost_side": "the side {!r} of the short answer is missing",
        "mention": "it speaks of a caption or text: {!r}",
        "refusal": "it declines instead of answering: {!r}",
        "polarity": "answer {} must begin with {!r}",
        "short": "answer {} is no whole sentence",
        "kind": '"kind" is {!r}; choose closed, open or choice',
        "closed": "the answer of a closed question is {!r}, not yes or no",
        "options": "a choice needs four different options, one of them the answer: {!r}",
        "no_options": "only a choice has options: {!r}",
        "twice": "a question is asked twice: {!r}",
    },
    "ar": {
        "count": "طلب {} عناصر وجاء {}",
        "empty": "أحد النصوص فارغ",
        "language": "نص ليس بالعربية: {!r}",
        "number": "العدد {} ليس في المادة",
        "lost_number": "العدد {} الوارد في الجواب القصير مفقود",
        "side": "الجهة {!r} ليست في المادة",
        "lost_side": "الجهة {!r} الواردة في الجواب القصير مفقودة",
        "mention": "يتحدث عن شرح أو نص: {!r}",
        "refusal": "امتناع بدل الجواب: {!r}",
        "polarity": "يجب أن يبدأ الجواب {} بكلمة {!r}",
        "short": "الجواب {} ليس جملة كاملة",
        "kind": 'قيمة "kind" هي {!r}؛ اختر closed أو open أو choice',
        "closed": "جواب السؤال المغلق هو {!r} وليس نعم أو لا",
        "options": "يحتاج سؤال الاختيار إلى أربعة خيارات مختلفة أحدها الجواب: {!r}",
        "no_options": "الخيارات لأسئلة choice فقط: {!r}",
        "twice": "سؤال مكرر: {!r}",
    },
}
YES_NO: dict[Language, tuple[str, str]] = {"en": ("Yes", "No"), "ar": ("نعم", "لا")}


class RewriteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How records are rewritten.

    Attributes:
        exchanges: questions of a dialogue.
        items: questions written about one text.
        sentences: of an explanation.
        short_words: longest answer, in words, that counts as short.
        allow_no_derivatives: rewrite records whose licence forbids it.
        max_tokens: longest reply.
    """

    exchanges: int = 4
    items: int = 5
    sentences: int = 3
    short_words: int = 6
    allow_no_derivatives: bool = False
    max_tokens: int = 2048


class Rewrite:
    """One kind of rewriting; instructions and replies are in the record's own language.

    Args:
        settings: sizes.
        prompts: where prompts come from.
    """

    name: ClassVar[str]
    roles: tuple[By, ...] = ("writer",)

    def __init__(self, settings: RewriteSettings | None = None, prompts: Prompts | None = None) -> None:
        self.settings, self._found = settings or RewriteSettings(), prompts or Prompts()

    @property
    def fingerprint(self) -> str:
        """Changes with settings and prompts."""
        labels = [self._found.get(self.name, language).label for language in ("en", "ar")]
        return f"{msgspec.json.encode(self.settings).decode()}|{'|'.join(labels)}"

    def ask(self, record: Record) -> Ask[Any]:
        """The question about a record.

        Raises:
            PassedOver: this kind is not for it.
        """
        raise NotImplementedError

    def made(self, record: Record, value: Any, variant: int) -> Iterable[Record]:
        """New records from a reply, without provenance."""
        raise NotImplementedError

    def job(self, record: Record, variant: int) -> Job:
        """The work on one record; see :class:`~bimedix2.data.llm.step.Step`."""
        ask = self.ask(record)
        if not self.settings.allow_no_derivatives:
            require_derivatives(record)
        answered = yield ask
        step = self._step(ask, answered)
        finished = tuple(
            msgspec.structs.replace(new, parent=record.id, provenance=(*record.provenance, step))
            for new in self.made(record, answered.value, variant)
        )
        for new in finished:
            fault = find_fault(new)
            assert fault is None, fault  # what could be wrong was told to the model
        return Outcome(finished)

    def expected(self, record: Record) -> list[Expected]:
        """One call."""
        ask = self.ask(record)
        size = sum(len(message["content"].encode()) for message in ask.messages)
        return [Expected("writer", size, ask.expected_tokens, ask.max_tokens, sure=True)]

    def _step(self, ask: Ask[Any], answered: Answered) -> Step:
        note = f"reply {answered.key}"
        return Step(
            name=f"rewrite:{self.name}", tool=answered.model, version=ask.prompt.label, date=answered.date, note=note
        )

    def _ask(self, record: Record, reply: type[Any], problems: Any, expected: int, **given: str) -> Ask[Any]:
        prompt = self._found.get(self.name, language_of_record(record))
        messages = prompt.messages(**given)
        return Ask(self.name, prompt, messages, reply, problems, self.settings.max_tokens, expected)


def language_of_record(record: Record) -> Language:
    """Language of the last answer."""
    return record.turns[-1].language


def new_id(record: Record, mark: str, variant: int) -> str:
    """Id of a new record: ``mark`` is put before the language at the end, if there is one.

    >>> from bimedix2.data.sources._common import exchange
    >>> one = exchange("rocov2:7:en", "What?", "A CT.", "en", task="vqa", modality="ct", source="s", licence="l")
    >>> new_id(one, "dialogue", 0), new_id(one, "dialogue", 1)
    ('rocov2:7:dialogue:en', 'rocov2:7:dialogue~1:en')
    """
    language = language_of_record(record)
    ending = f":{language}" if record.id.endswith(f":{language}") else ""
    base = record.id.removesuffix(ending) if ending else record.id
    return f"{base}:{mark}" + (f"~{variant}" if variant else "") + ending


def answers_of(record: Record) -> list[Turn]:
    """What the assistant says."""
    return [turn for turn in record.turns if turn.role == "assistant"]


def numbers_of(text: str) -> set[str]:
    """Numbers in any digits, with one spelling: ``1,200`` is ``1200`` and ``2.50`` is ``2.5``."""
    found = _NUMBER.findall(to_western_digits(text))
    return {_plain(number) for number in found}


def _plain(number: str) -> str:
    joined = re.sub(r",(?=\d{3}(?:\D|$))", "", number).rstrip(".,")
    return joined.rstrip("0").rstrip(".") if "." in joined else joined


def sides_of(text: str, language: Language) -> set[str]:
    """Sides of the body that a text names."""
    return {name for name, pattern in _SIDES[language].items() if pattern.search(text)}


def text_problems(texts: Iterable[str], material: str, language: Language) -> list[str]:
    """What is wrong with new texts about an image: language, invented numbers and sides, talk about the text itself."""
    words, known, sides = WORDS[language], numbers_of(material), sides_of(material, language)
    found: list[str] = []
    for text in texts:
        if not text.strip():
            found.append(words["empty"])
            continue
        if language_of(text, language) != language:
            found.append(words["language"].format(_start(text)))
        if _MENTIONS[language].search(text):
            found.append(words["mention"].format(_start(text)))
        if is_refusal(text, language):
            found.append(words["refusal"].format(_start(text)))
        found += [words["number"].format(number) for number in sorted(numbers_of(text) - known)]
        found += [words["side"].format(side) for side in sorted(sides_of(text, language) - sides)]
    return found


def question_problems(texts: Sequence[str], language: Language) -> list[str]:
    """What is wrong with new questions: one is empty, in another language, or there twice."""
    words = WORDS[language]
    found = [words["empty"] for text in texts if not text.strip()]
    found += [words["language"].format(_start(text)) for text in texts if language_of(text, language) != language]
    found += [words["mention"].format(_start(text)) for text in texts if _MENTIONS[language].search(text)]
    twice = {text for text in texts if texts.count(text) > 1}
    return found + [words["twice"].format(_start(text)) for text in sorted(twice)]


def _start(text: str) -> str:
    return " ".join(text.split())[:60]
