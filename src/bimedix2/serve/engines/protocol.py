"""The protocol between the server and whatever writes the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Language, Turn

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One answer to write.

    Attributes:
        request_id: names the request in logs; an engine never logs anything else of a job.
        turns: the conversation; the last turn is the user's, ``images`` of a turn index into ``images``.
        images: decoded pictures, exactly what the model is to see.
        language: language that the answer should have.
        config: generation settings.
        adapter: name of a language-model adapter of the engine, or ``None``.
        deadline: ``time.monotonic()`` at which the engine gives up, queueing included.
    """

    request_id: str
    turns: tuple[Turn, ...]
    images: tuple[DecodedImage, ...]
    language: Language
    config: GenerationConfig
    adapter: str | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; ``reused`` of the prompt's were not computed again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of an answer.

    Attributes:
        text: whole characters only; empty in a piece that carries only news.
        queue_position: jobs ahead of this one, while it waits; ``0`` once it has a place.
        notices: warnings in (English, Arabic), such as turns left out to fit the context.
        finish_reason: set in the last piece alone.
        usage: set in the last piece alone.
    """

    text: str = ""
    queue_position: int | None = None
    notices: tuple[tuple[str, str], ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine serves.

    Attributes:
        model: name that requests use.
        engine: ``transformers``, ``openvino``, ``openai`` or ``echo``.
        context: longest prompt and answer together, in tokens.
        image_tokens: tokens that one image takes.
        adapters: names that a job may ask for.
        fingerprint: changes whenever the same request may be answered differently (weights, versions).
    """

    model: str
    engine: str
    context: int
    image_tokens: int
    adapters: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """How an engine is doing; ``problem`` is (English, Arabic) and says what to do about it."""

    ready: bool
    running: int = 0
    queued: int = 0
    problem: tuple[str, str] | None = None


class Engine(Protocol):
    """Writes answers for many requests at a time; used from one event loop."""

    @property
    def info(self) -> EngineInfo:
        """What it serves."""

    async def start(self) -> None:
        """Load the model or reach the upstream; may take minutes. ``state`` says when it is ready."""

    async def close(self) -> None:
        """End every job and free what is held."""

    def state(self) -> EngineState:
        """How it is doing, at once."""

    def generate(self, job: Job) -> AsyncIterator[Delta]:
        """Write one answer.

        Closing the iterator (``aclose``) or cancelling its task frees the job's place within a second.

        Raises:
            QueueFullError: nothing can wait any more; with the seconds after which to try again.
            DeadlineError: ``job.deadline`` has passed.
            EngineDownError: the model or the upstream cannot answer now.
            ServeError: the job cannot be answered (unknown adapter, prompt longer than the context).
        """

    async def count_tokens(self, job: Job) -> int:
        """Tokens of the prompt, images included; a close estimate where the upstream alone knows."""
