"""One answer as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from bimedix2.serve.api.answer import Answer
from bimedix2.serve.api.chunks import Form, event, notices
from bimedix2.serve.api.errors import error_content
from bimedix2.serve.api.stream import BEAT, BEAT_SECONDS, DONE, end
from bimedix2.serve.engines.protocol import Delta, Usage
from bimedix2.serve.errors import ServeError

# An error that comes so soon gets its own HTTP status; afterwards the stream has begun and tells it in an event.
PEEK_SECONDS = 0.25


class _Mark:
    """What stands in the queue beside pieces and errors."""


_END, _LEFT, _NOTHING = _Mark(), _Mark(), _Mark()
Item = Delta | ServeError | _Mark


class AnswerStream:
    """Role, news, words, end, tokens if wanted, and the mark that says that nothing follows.

    The engine's iterator lives in one task from beginning to end: timeouts inside it would break otherwise.

    Args:
        answer: to be opened before ``peek``.
        form: of the chunks.
        reader: language of errors.
        with_usage: whether a chunk with the tokens is wanted.
    """

    def __init__(self, answer: Answer, form: Form, reader: str, *, with_usage: bool) -> None:
        self.answer, self._form, self._reader, self._with_usage = answer, form, reader, with_usage
        self._items: asyncio.Queue[Item] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._held: Item = _NOTHING

    async def peek(self) -> None:
        """Start the engine and wait a moment for its first piece.

        Raises:
            ServeError: it fails at once, or cannot be noted in the audit log.
        """
        self._pump = asyncio.ensure_future(self._work())
        self._held = await self._next(PEEK_SECONDS)
        if isinstance(self._held, ServeError):
            raise self._held
        await self.answer.noted()

    def leave(self) -> None:
        """The client has left: the engine is told at once."""
        if self._pump is not None:
            self._pump.cancel()
        self._items.put_nowait(_LEFT)

    async def close(self) -> None:
        """End the engine's work and settle."""
        if self._pump is not None:
            await end(self._pump)
        await self.answer.close()

    async def events(self) -> AsyncGenerator[bytes]:
        """The events; those that are ready at the same time come together."""
        answer, form = self.answer, self._form
        yield form.chunk({"role": "assistant", "content": ""}, news=_news(answer.notices), with_notice=True)
        if answer.emergency:
            yield form.chunk({"content": answer.fixed_text}, news={"emergency": True})
        item, self._held = self._held, _NOTHING
        while True:
            ready: list[bytes] = []
            if item is _NOTHING:
                item = await self._next(BEAT_SECONDS)
                ready += [BEAT] if item is _NOTHING else []
            while item is not _NOTHING:
                if item is _LEFT:
                    return
                ready += self._written(item)
                if not isinstance(item, Delta):
                    yield b"".join(ready)
                    return
                item = _NOTHING if self._items.empty() else self._items.get_nowait()
            yield b"".join(ready)

    async def _work(self) -> None:
        try:
            async with aclosing(self.answer.deltas()) as deltas:
                async for piece in deltas:
                    self._items.put_nowait(piece)
            self._items.put_nowait(_END)
        except ServeError as error:
            self._items.put_nowait(error)

    async def _next(self, seconds: float) -> Item:
        if not self._items.empty():
            return self._items.get_nowait()
        try:
            async with asyncio.timeout(seconds):
                return await self._items.get()
        except TimeoutError:
            return _NOTHING

    def _written(self, item: Item) -> list[bytes]:
        if isinstance(item, ServeError):
            return [event(error_content(item, self._reader, item.status)), DONE]
        if not isinstance(item, Delta):
            usage = [self._form.usage_chunk(self.answer.usage or Usage())] if self._with_usage else []
            return [*usage, DONE]
        made = []
        news = _news(item.notices, item.queue_position)
        if item.text or news:
            made.append(self._form.chunk({"content": item.text} if item.text else {}, news=news))
        if item.finish_reason is not None:
            made.append(self._form.chunk({}, reason=item.finish_reason, with_notice=True))
        return made


def _news(found: tuple[tuple[str, str], ...], position: int | None = None) -> dict[str, Any]:
    news: dict[str, Any] = {"notices": notices(found)} if found else {}
    if position is not None:
        news["queue_position"] = position
    return news
