"""What goes into a model's answer and what comes out; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from bimedix2.errors import BiMediX2Error
from bimedix2.records.schema import Language, Turn
from bimedix2.text import language_of
from bimedix2.text.answer_language import ASK_FOR

AnswerLanguage = Literal["auto", "en", "ar"]
FinishReason = Literal["stop", "length", "stop_string", "cancelled"]


@dataclass(frozen=True)
class Timings:
    """Seconds, measured from the call.

    Attributes:
        images: decoding and encoding the images.
        first_token: until the first token was chosen.
        total: until the answer was complete.
        tokens_per_second: speed after the first token; 0 for answers of one token.
    """

    images: float = 0.0
    first_token: float = 0.0
    total: float = 0.0
    tokens_per_second: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What the model said and how it came about.

    Attributes:
        text: the model's words, nothing added.
        language: the language that was asked for: the question's, unless told otherwise.
        prompt_tokens, tokens, reused_tokens: length of prompt and answer; prompt tokens found in the cache.
        finish_reason: ``stop`` (end of turn), ``length``, ``stop_string`` or ``cancelled``.
        timings: see :class:`Timings`.
        warnings: about the images or a shortened conversation.
        notice: the research-use notice in the answer's language; show it beside the text.
    """

    text: str
    language: Language
    prompt_tokens: int
    tokens: int
    reused_tokens: int = 0
    finish_reason: FinishReason = "stop"
    timings: Timings = field(default_factory=Timings)
    warnings: tuple[str, ...] = ()
    notice: str = ""


@dataclass(frozen=True)
class Question:
    """One question of a batch."""

    text: str
    images: tuple[Any, ...] = ()
    lang: AnswerLanguage = "auto"


class Stream:
    """Text pieces of an answer as they are generated; ``answer`` is there once it is exhausted."""

    def __init__(self, pieces: Generator[str | Answer]) -> None:
        self._pieces = pieces
        self.answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if isinstance(piece, Answer):
                self.answer = piece
            else:
                yield piece

    def close(self) -> None:
        """Stop generating at once."""
        self._pieces.close()


def user_turn(text: str, images: int, lang: AnswerLanguage, first_image: int = 0) -> tuple[Turn, Language]:
    """A user turn and the language its answer should have.

    Raises:
        BiMediX2Error: neither text nor image.
    """
    if not text.strip() and not images:
        raise BiMediX2Error("The question is empty; type one.", "السؤال فارغ؛ اكتب سؤالا.", code="empty_question")
    asked: Language = language_of(text)
    target: Language = asked if lang == "auto" else lang
    if target != asked:
        text = f"{text.rstrip()}\n{ASK_FOR[target]}"
    return Turn(role="user", text=text, language=asked, images=tuple(range(first_image, first_image + images))), target
