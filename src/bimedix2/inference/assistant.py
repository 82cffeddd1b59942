"""The public face of a loaded model: ask, stream, ask many, chat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bimedix2.errors import BiMediX2Error
from bimedix2.notice import notice
from bimedix2.records.schema import Language, Turn
from bimedix2.text import language_of

from .batch import Prompt, generate_batch
from .config import GenerationConfig
from .language import ASK_FOR
from .memory import PromptMemory
from .prompt import ImageEncoder

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage
    from bimedix2.model import Bundle

    from .chat import Chat

AnswerLanguage = Literal["auto", "en", "ar"]
FinishReason = Literal["stop", "length", "stop_string", "cancelled"]
_RESERVE = 64


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

    def __init__(self, pieces: Iterator[str | Answer]) -> None:
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
        self._pieces.close()  # type: ignore[attr-defined]


class Assistant:
    """A loaded model that answers questions about images and reports in Arabic and English.

    Args:
        bundle: from :func:`bimedix2.model.load_bundle`.
    """

    def __init__(self, bundle: Bundle) -> None:
        from bimedix2.images import ImageDecoder
        from bimedix2.text.chat import stop_token_ids

        self.bundle = bundle
        bundle.model.eval()
        self.encoder = ImageEncoder(bundle)
        self.memory = PromptMemory(self.encoder)
        self.end_ids = stop_token_ids(bundle.tokenizer, bundle.template)
        self.decoder = ImageDecoder()

    def ask(
        self,
        question: str,
        images: Sequence[Any] = (),
        *,
        lang: AnswerLanguage = "auto",
        config: GenerationConfig | None = None,
    ) -> Answer:
        """Answer one question.

        Args:
            question: in Arabic or English; a report can be part of it.
            images: paths or decoded images.
            lang: language of the answer; ``auto`` is the question's.
            config: generation settings; greedy by default.
        """
        stream = self.stream(question, images, lang=lang, config=config)
        for _ in stream:
            pass
        assert stream.answer is not None
        return stream.answer

    def stream(
        self,
        question: str,
        images: Sequence[Any] = (),
        *,
        lang: AnswerLanguage = "auto",
        config: GenerationConfig | None = None,
    ) -> Stream:
        """Like :meth:`ask`, piece by piece; no piece ends inside a character."""
        turn, target = user_turn(question, len(images), lang)
        return self.stream_turns([turn], images, target, config)

    def stream_turns(
        self,
        turns: Sequence[Turn],
        images: Sequence[Any],
        target: Language,
        config: GenerationConfig | None = None,
    ) -> Stream:
        """Continue a conversation whose last turn is the user's.

        Args:
            turns: their ``images`` index into ``images``.
            images: paths or decoded images.
            target: language that the answer should have.
        """
        return Stream(self._generate(turns, images, target, config or GenerationConfig()))

    def ask_batch(self, questions: Sequence[Question], config: GenerationConfig | None = None) -> list[Answer]:
        """Answer several independent questions in one batch; images they share are encoded once."""
        config = config or GenerationConfig()
        started = time.monotonic()
        decoded = self._decode_all([image for question in questions for image in question.images])
        prompts, targets = [], []
        for question in questions:
            turn, target = user_turn(question.text, len(question.images), question.lang)
            targets.append(target)
            images = tuple(decoded[_identity(image)] for image in question.images)
            prompts.append(Prompt(self._encode([turn], config)[0], images))
        rows = generate_batch(self.encoder, prompts, config, self.end_ids)
        total = Timings(total=time.monotonic() - started)
        return [
            self._batch_answer(row, target, len(prompt.ids), config, total)
            for row, target, prompt in zip(rows, targets, prompts, strict=True)
        ]

    def chat(self, path: str | Path | None = None) -> Chat:
        """A conversation of many turns, continued from ``path`` if that file exists."""
        from .chat import Chat

        return Chat(self, Path(path) if path is not None else None)

    def decode_images(self, images: Sequence[Any]) -> list[DecodedImage]:
        """Decode what is not decoded yet, in one limited child process that stays for the next images."""
        decoded = self._decode_all(images)
        return [decoded[_identity(image)] for image in images]

    def _decode_all(self, images: Sequence[Any]) -> dict[object, DecodedImage]:
        known: dict[object, DecodedImage] = {}
        for image in images:
            key = _identity(image)
            if key not in known:
                known[key] = self.decoder.decode(image) if isinstance(image, (str, Path)) else image
        return known

    def _encode(self, turns: Sequence[Turn], config: GenerationConfig) -> tuple[list[int], tuple[int, ...], str]:
        from bimedix2.text.chat import fit_to_length

        bundle = self.bundle
        limit = bundle.model.config.text_config.max_position_embeddings
        fitted = fit_to_length(
            turns,
            bundle.tokenizer,
            bundle.template,
            image_token_id=bundle.image_token_id,
            tokens_per_image=bundle.tokens_per_image,
            max_length=max(limit - config.max_new_tokens, _RESERVE),
            add_generation_prompt=True,
        )
        return fitted.encoded.input_ids, fitted.encoded.images, fitted.report(turns[-1].language)

    def _generate(
        self, turns: Sequence[Turn], images: Sequence[Any], target: Language, config: GenerationConfig
    ) -> Iterator[str | Answer]:
        from bimedix2.text.chat import StopFilter, StreamDecoder

        from .decode import decode

        started = time.monotonic()
        ids, needed, dropped = self._encode(turns, config)
        decoded = self.decode_images(images)
        shown = [decoded[index] for index in needed]
        for image in shown:
            self.encoder.encode(image)
        seen = time.monotonic() - started
        scores = self.memory.run(ids, shown)
        first = 0.0
        text, reason, tokens = "", "stop", 0
        decoder, filtered = StreamDecoder(self.bundle.tokenizer), StopFilter(config.stop)
        try:
            steps = decode(
                self.bundle.model,
                scores,
                self.memory.cache,
                config,
                self.end_ids,
                [self.bundle.image_token_id],
            )
            for (token,) in steps:
                assert token is not None
                tokens += 1
                first = first or time.monotonic() - started
                self.memory.note(token)
                piece, stopped = filtered.push(decoder.push(token))
                if piece:
                    text += piece
                    yield piece
                if stopped:
                    reason = "stop_string"
                    break
            else:
                reason = "length" if tokens == config.max_new_tokens else "stop"
            if reason != "stop_string":
                piece = filtered.push(decoder.flush())[0] + filtered.flush()
                text += piece
                if piece:
                    yield piece
        finally:
            self.memory.trim()
        total = time.monotonic() - started
        first = first or total
        speed = (tokens - 1) / (total - first) if tokens > 1 and total > first else 0.0
        warnings = tuple(dict.fromkeys(w for image in shown for w in image.warnings)) + ((dropped,) if dropped else ())
        yield Answer(
            text.strip(), target, len(ids), tokens, self.memory.reused, reason,  # type: ignore[arg-type]
            Timings(seen, first, total, speed), warnings, notice(target),
        )  # fmt: skip

    def _batch_answer(
        self, row: list[int], target: Language, prompt: int, config: GenerationConfig, timings: Timings
    ) -> Answer:
        text = self.bundle.tokenizer.decode(row, skip_special_tokens=True)
        reason: FinishReason = "length" if len(row) == config.max_new_tokens else "stop"
        cuts = [text.find(stop) for stop in config.stop if stop in text]
        if cuts:
            text, reason = text[: min(cuts)], "stop_string"
        return Answer(
            text.strip(),
            target,
            prompt,
            len(row),
            finish_reason=reason,
            timings=timings,
            notice=notice(target),
        )


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


def _identity(image: Any) -> object:
    return str(image) if isinstance(image, (str, Path)) else id(image)
