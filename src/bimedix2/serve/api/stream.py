"""Server-sent events, and work that ends when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from starlette.responses import Response

from bimedix2.serve.auth.refusal import Receive, Scope, Send

Result = TypeVar("Result")
DONE = b"data: [DONE]\n\n"
BEAT = b": waiting\n\n"
"""A comment of the event stream: proxies close connections that stay silent."""
BEAT_SECONDS = 15.0
_READING_SECONDS = 60.0


class ClientLeftError(Exception):
    """Nobody waits for the answer any more."""


class Source(Protocol):
    """What an event stream sends."""

    def events(self) -> AsyncGenerator[bytes]:
        """Whole events, one or several at a time."""

    def leave(self) -> None:
        """The client has left: ``events`` ends at once."""

    async def close(self) -> None:
        """Free everything; called at the end, however it came, and also where nothing could be sent."""


class EventStream(Response):
    """Sends a source's events as they come.

    Args:
        source: closed at the end.
        seconds: that the answer may take, after which a client that does not read is left.
    """

    media_type = "text/event-stream"

    def __init__(self, source: Source, seconds: float) -> None:
        super().__init__(b"", 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._source, self._seconds = source, seconds + _READING_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or until the client leaves."""
        watcher = asyncio.ensure_future(self._watch(receive))
        try:
            with suppress(OSError):  # of a connection that has gone; a timeout is one too
                async with asyncio.timeout(self._seconds):
                    await self._send(send)
        finally:
            await end(watcher)
            await self._source.close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for event in self._source.events():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, receive: Receive) -> None:
        await _left(receive)
        self._source.leave()


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled as soon as the client leaves.

    Raises:
        ClientLeftError: it has left.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientLeftError
    finally:
        await end(task)
        await end(watcher)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait until everything that it holds is freed."""
    if not task.done():
        if not task.cancelling():  # a second time would break off the freeing
            task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # seen: the loop must not complain
