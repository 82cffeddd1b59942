"""One answer from admission to the bill, whatever form it is sent in."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.api.conversation import Asked
from bimedix2.serve.api.errors import internal_error, unavailable
from bimedix2.serve.api.gate import describe
from bimedix2.serve.api.images import ImageSources
from bimedix2.serve.api.metrics import Metrics
from bimedix2.serve.api.trail import Trail
from bimedix2.serve.auth.guard import Guard
from bimedix2.serve.engines.protocol import Delta, Engine, Job, Usage
from bimedix2.serve.errors import ServeError
from bimedix2.serve.principal import LOCAL, Principal
from bimedix2.serve.safety.emergency import emergency, text_for
from bimedix2.serve.safety.notices import notices_for
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.uploads.reference import SCHEME
from bimedix2.text.chat import ChatError

_LOG = logging.getLogger(__name__)
STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every answer needs."""

    settings: ServeSettings
    engine: Engine
    guard: Guard
    images: ImageSources
    metrics: Metrics
    trail: Trail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where, and the request's id."""

    principal: Principal
    address: str
    request_id: str


class Answer:
    """Writes one answer. ``open`` it first, read ``deltas`` once, and ``close`` it whatever happened.

    Args:
        desk: what it needs.
        asked: the checked request.
        caller: who asks.
    """

    def __init__(self, desk: Desk, asked: Asked, caller: Caller) -> None:
        self.desk, self.asked, self.caller = desk, asked, caller
        self.emergency = emergency(asked.question)
        self.notices: tuple[tuple[str, str], ...] = ()
        self.usage: Usage | None = None
        self.end = STOPPED
        self._started = time.monotonic()
        self._held = ExitStack()
        self._job: Job | None = None
        self._pieces = 0
        self._closed = False
        self._begun: asyncio.Future[None] | None = None

    @property
    def fixed_text(self) -> str:
        """The emergency text that comes before the model's words; empty without an emergency."""
        return text_for(self.emergency)[self.asked.language] + "\n\n" if self.emergency else ""

    async def open(self) -> None:
        """Take a place, load the pictures and note in the audit log that an answer begins.

        Raises:
            ServeError: it cannot begin.
        """
        desk, asked, caller = self.desk, self.asked, self.caller
        room = desk.guard.admit(caller.principal, caller.address, tokens=self._most_tokens(), images=len(asked.urls))
        self._held.enter_context(room)
        owner = caller.principal.owner
        images = [await desk.images.load(url, owner, place) for url, place in asked.urls]
        warnings = {code: text for image in images for code, text in _warnings(image)}
        told = notices_for([turn.text for turn in asked.turns if turn.role == "user"], len(images))
        self.notices = (*warnings.values(), *told)
        self._job = Job(
            request_id=caller.request_id,
            turns=asked.turns,
            images=tuple(images),
            language=asked.language,
            config=asked.config,
            adapter=asked.adapter,
            deadline=self._started + desk.settings.limits.seconds,
        )
        self._begun = self._record("begun")

    async def noted(self) -> None:
        """Wait until the audit log has it that the answer began; no word of it goes out before.

        Raises:
            StorageError: it cannot be written.
        """
        if self._begun is not None:
            await asyncio.shield(self._begun)

    async def deltas(self) -> AsyncGenerator[Delta]:
        """The engine's pieces.

        Raises:
            ServeError: whatever went wrong, as an error that may be shown.
        """
        assert self._job is not None
        try:
            async with _closing(self.desk.engine.generate(self._job)) as pieces:
                async for piece in pieces:
                    self._count(piece)
                    yield piece
        except Exception as error:  # noqa: BLE001 - the client gets an answer, and a log must not get the text
            known = self._known(error)
            self.end = known.code
            raise known from None

    async def close(self) -> None:
        """Give the place back and count what was used."""
        if self._closed:
            return
        self._closed = True
        try:
            usage, images = self.usage or await self._estimate(), 0 if self._job is None else len(self._job.images)
            if self._job is not None:
                self.desk.metrics.answer(self.end, usage, images)
                await self._charge(usage, images)
                self._record("done" if self.usage else STOPPED, usage)
        finally:
            self._held.close()

    def _count(self, piece: Delta) -> None:
        if piece.text:
            if not self._pieces:
                self.desk.metrics.first_words(time.monotonic() - self._started)
            self._pieces += 1
        if piece.finish_reason is not None:
            self.end, self.usage = piece.finish_reason, piece.usage or Usage(completion_tokens=self._pieces)

    def _known(self, error: Exception) -> ServeError:
        if isinstance(error, ServeError):
            return error
        if isinstance(error, ChatError):
            return ServeError(error.message, error.message_ar, code=error.code, status=422, param="messages")
        _LOG.error("engine_failed", extra={"request": self.caller.request_id, "error": describe(error)})
        return unavailable(error) if isinstance(error, BiMediX2Error) else internal_error()

    def _most_tokens(self) -> int:
        """At most what will be used; text has fewer tokens than characters, all but always."""
        if self.caller.principal.owner == LOCAL:
            return 0
        info, asked = self.desk.engine.info, self.asked
        prompt = asked.characters + 16 * len(asked.turns) + info.image_tokens * len(asked.urls)
        return min(info.context or prompt, prompt) + asked.config.max_new_tokens

    async def _estimate(self) -> Usage:
        """Tokens of an answer that did not come to its end: the prompt's, where it began at all, and its pieces."""
        if self._job is None or not self._pieces:
            return Usage()
        try:
            prompt = await self.desk.engine.count_tokens(self._job)
        except Exception:  # noqa: BLE001 - a count for the bill must not fail an answer
            prompt = self.asked.characters // 4
        return Usage(prompt_tokens=prompt, completion_tokens=self._pieces)

    async def _charge(self, usage: Usage, images: int) -> None:
        principal = self.caller.principal
        if principal.owner == LOCAL:
            return
        tokens = usage.prompt_tokens + usage.completion_tokens
        try:
            await asyncio.to_thread(self.desk.guard.charge, principal, tokens, images)
        except ServeError as error:  # the answer is out; what it took is kept in mind until the disk takes it
            _LOG.error("usage_not_written", extra={"request": self.caller.request_id, "code": error.code})

    def _record(self, outcome: str, usage: Usage | None = None) -> asyncio.Future[None] | None:
        """Write a line of the audit log, without waiting for the disk."""
        if self.desk.trail is None or self._job is None:
            return None
        counts: dict[str, int] = {"images": len(self._job.images)}
        if usage is not None:
            counts |= {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
        info = self.desk.engine.info
        line: dict[str, Any] = {
            "who": self.caller.principal.owner,
            "action": "chat",
            "outcome": outcome,
            "objects": _uploads(self.asked),
            "model": info.fingerprint + (f":{self.asked.adapter}" if self.asked.adapter else ""),
            "request": self.caller.request_id,
            "counts": counts,
        }
        return self.desk.trail.write(line, durable=outcome == "begun")


def _uploads(asked: Asked) -> tuple[str, ...]:
    """Ids of the uploads in a request."""
    return tuple(url.partition("?")[0][len(SCHEME) :] for url, _ in asked.urls if url.startswith(SCHEME))


def _warnings(image: Any) -> list[tuple[str, tuple[str, str]]]:
    return [(notice.code, (str(notice), notice.message_ar)) for notice in image.warnings]


@asynccontextmanager
async def _closing(pieces: AsyncIterator[Delta]) -> AsyncIterator[AsyncIterator[Delta]]:
    """Close the engine's iterator at once, not when the garbage is collected."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
