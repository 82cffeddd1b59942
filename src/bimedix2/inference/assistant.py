"""The public face of a loaded model: ask, stream, ask many, chat."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.notice import notice
from bimedix2.records.schema import Language, Turn

from .answer import Answer, AnswerLanguage, FinishReason, Question, Stream, Timings, user_turn
from .batch import Prompt, generate_batch
from .config import GenerationConfig
from .fast_head import shortlist_head
from .memory import PromptMemory
from .prompt import ImageEncoder

if TYPE_CHECKING:
    from torch import Tensor

    from bimedix2.images import DecodedImage
    from bimedix2.model import Bundle

    from .chat import Chat

_RESERVE = 64


@dataclass
class _Progress:
    """What is known of an answer while it is being written."""

    started: float
    text: str = ""
    tokens: int = 0
    first_token: float = 0.0
    reason: FinishReason = "stop"

    def timings(self, images: float) -> Timings:
        """Times up to now; ``images`` are the seconds that the images took."""
        total = time.monotonic() - self.started
        first = self.first_token or total
        speed = (self.tokens - 1) / (total - first) if self.tokens > 1 and total > first else 0.0
        return Timings(images, first, total, speed)


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
        self.head = shortlist_head(bundle.model.lm_head.weight)

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
    ) -> Generator[str | Answer]:
        progress = _Progress(time.monotonic())
        ids, needed, dropped = self._encode(turns, config)
        decoded = self.decode_images(images)
        shown = [decoded[index] for index in needed]
        for image in shown:
            self.encoder.encode(image)
        seen = time.monotonic() - progress.started
        scores = self.memory.run(ids, shown)
        try:
            yield from self._write(scores, config, progress)
        finally:
            self.memory.trim()
        notices = [warning for image in shown for warning in image.warnings] + ([dropped] if dropped else [])
        yield Answer(
            text=progress.text.strip(),
            language=target,
            prompt_tokens=len(ids),
            tokens=progress.tokens,
            reused_tokens=self.memory.reused,
            finish_reason=progress.reason,
            timings=progress.timings(seen),
            warnings=tuple(dict.fromkeys(notices)),
            notice=notice(target),
        )

    def _write(self, scores: Tensor, config: GenerationConfig, progress: _Progress) -> Generator[str]:
        """Decode token by token and yield text in whole characters, up to a stop string."""
        from bimedix2.text.chat import StopFilter, StreamDecoder

        from .decode import decode

        decoder, stops = StreamDecoder(self.bundle.tokenizer), StopFilter(config.stop)
        model, image_token = self.bundle.model, self.bundle.image_token_id
        steps = decode(model, scores, self.memory.cache, config, self.end_ids, [image_token], head=self.head)
        for (token,) in steps:
            assert token is not None
            progress.tokens += 1
            progress.first_token = progress.first_token or time.monotonic() - progress.started
            self.memory.note(token)
            piece, stopped = stops.push(decoder.push(token))
            progress.text += piece
            if piece:
                yield piece
            if stopped:
                progress.reason = "stop_string"
                return
        if progress.tokens == config.max_new_tokens:
            progress.reason = "length"
        piece, stopped = stops.push(decoder.flush())
        if stopped:
            progress.reason = "stop_string"
        else:
            piece += stops.flush()
        progress.text += piece
        if piece:
            yield piece

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


def _identity(image: Any) -> object:
    return str(image) if isinstance(image, (str, Path)) else id(image)
