"""An engine without a model: it repeats the question, the same way each time. For tests, pages and load."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bimedix2.records.schema import Language
from bimedix2.serve.engines.protocol import Delta, EngineInfo, EngineState, FinishReason, Job, Usage
from bimedix2.serve.errors import DeadlineError, QueueFullError, ServeError
from bimedix2.text.chat.stream import StopFilter

MODEL = "echo"
_CONTEXT = 65_536
_IMAGE_TOKENS = 64
_WORD = re.compile(r"\s*\S+")
_RETRY_SECONDS = 1.0
_SAYS: dict[Language, tuple[str, str]] = {
    "en": ("You asked: {question}", "Pictures: {sizes}."),
    "ar": ("سألت: {question}", "الصور: {sizes}."),
}


class EchoEngine:
    """Repeats the question after a line in the answer's language; a word counts as a token, an image as 64.

    Args:
        delay: seconds before each word.
        first: seconds before the first word, besides.
        places: answers written at a time; 0 sets no bound.
        queue: jobs that may wait for a place.
        adapters: names that a job may ask for; an answer with one starts with the name.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        first: float = 0.0,
        places: int = 0,
        queue: int = 32,
        adapters: tuple[str, ...] = (),
    ) -> None:
        self._delay, self._first, self._queue = delay, first, queue
        self._places = places
        self._running = self._waiting = 0
        self._freed = asyncio.Condition()
        self._info = EngineInfo(
            model=MODEL,
            engine="echo",
            context=_CONTEXT,
            image_tokens=_IMAGE_TOKENS,
            adapters=adapters,
            fingerprint="echo-1",
        )

    @property
    def info(self) -> EngineInfo:
        """What it serves."""
        return self._info

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    def state(self) -> EngineState:
        """Always ready."""
        return EngineState(ready=True, running=self._running, queued=self._waiting)

    async def count_tokens(self, job: Job) -> int:
        """Words of the conversation and 64 for each image."""
        return _prompt_tokens(job)

    async def generate(self, job: Job) -> AsyncGenerator[Delta]:
        """Write one answer; raises as ``Engine.generate`` says."""
        if job.adapter is not None and job.adapter not in self._info.adapters:
            raise unknown_adapter()
        if self._places and self._running >= self._places:
            if self._waiting >= self._queue:
                raise QueueFullError(_RETRY_SECONDS)
            yield Delta(queue_position=self._waiting + 1)
            await self._wait(job)
            yield Delta(queue_position=0)
        self._running += 1
        try:
            async with aclosing(self._answer(job)) as pieces:
                async for delta in pieces:
                    yield delta
        finally:
            self._running -= 1
            async with self._freed:
                self._freed.notify()

    async def _wait(self, job: Job) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(_left(job)), self._freed:
                await self._freed.wait_for(lambda: self._running < self._places)
        except TimeoutError:
            raise DeadlineError from None
        finally:
            self._waiting -= 1

    async def _answer(self, job: Job) -> AsyncGenerator[Delta]:
        words = _WORD.findall(answer_text(job))
        stop = StopFilter(job.config.stop)
        reason: FinishReason = "stop"
        written = 0
        for word in words:
            if written >= job.config.max_new_tokens:
                reason = "length"
                break
            if pause := self._delay + (0.0 if written else self._first):
                await asyncio.sleep(pause)
            if job.deadline is not None and time.monotonic() > job.deadline:
                raise DeadlineError
            written += 1
            text, stopped = stop.push(word)
            if text:
                yield Delta(text=text)
            if stopped:
                break
        usage = Usage(prompt_tokens=_prompt_tokens(job), completion_tokens=written)
        yield Delta(text=stop.flush(), finish_reason=reason, usage=usage)


def answer_text(job: Job) -> str:
    """The whole answer to ``job``: the last question word for word, and the sizes of its images."""
    said, shown = _SAYS[job.language]
    last = job.turns[-1]
    lines = [said.format(question=last.text.strip())]
    if last.images:
        sizes = "، " if job.language == "ar" else ", "
        images = [job.images[index] for index in last.images]
        lines.append(shown.format(sizes=sizes.join(f"{image.size[0]}×{image.size[1]}" for image in images)))
    answer = "\n\n".join(lines)
    return answer if job.adapter is None else f"[{job.adapter}] {answer}"


def unknown_adapter() -> ServeError:
    """No such adapter."""
    return ServeError(
        "There is no such adapter. GET /v1/models lists those that there are.",
        "لا يوجد مكيف بهذا الاسم. يعرض GET /v1/models الأسماء المتاحة.",
        code="adapter_not_found",
        status=404,
        param="adapter",
    )


def _left(job: Job) -> float | None:
    return None if job.deadline is None else max(0.0, job.deadline - time.monotonic())


def _prompt_tokens(job: Job) -> int:
    return sum(len(turn.text.split()) + _IMAGE_TOKENS * len(turn.images) for turn in job.turns)
