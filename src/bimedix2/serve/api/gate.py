"""The first of our own code that a request meets: an id, bounds on its body, counts, and no traceback in any log."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from pathlib import Path

from bimedix2.serve.api.errors import error_response, internal_error
from bimedix2.serve.api.metrics import Metrics
from bimedix2.serve.auth.refusal import App, Message, Receive, Scope, Send, header_values
from bimedix2.serve.errors import ServeError
from bimedix2.serve.settings import Limits

_LOG = logging.getLogger(__name__)
ERROR_KEY = "bimedix2.body_error"


class TooLargeError(ServeError):
    """The body is larger than allowed."""

    code = "request_too_large"
    status = 413

    def __init__(self, most: int) -> None:
        mib = f"{most / 1024 / 1024:g} MiB"
        super().__init__(
            f"The request is larger than {mib}. Send fewer or smaller pictures, or upload them first.",
            f"الطلب أكبر من {mib}. أرسل صورا أقل أو أصغر، أو ارفعها أولا.",
        )


class TooSlowError(ServeError):
    """The body does not arrive."""

    code = "request_too_slow"
    status = 408

    def __init__(self) -> None:
        super().__init__(
            "The request did not arrive in time. Check the connection and send it again.",
            "لم يصل الطلب في الوقت المحدد. تحقق من الاتصال ثم أرسله من جديد.",
        )


class CompressedError(ServeError):
    """A body in gzip or another coding, which could expand without bound."""

    code = "compressed_body"
    status = 415

    def __init__(self) -> None:
        super().__init__(
            "Compressed requests are not accepted. Send the body without Content-Encoding.",
            "لا تقبل الطلبات المضغوطة. أرسل المحتوى من دون Content-Encoding.",
        )


class Gate:
    """ASGI middleware around every route.

    Args:
        app: what follows.
        limits: on bodies.
        metrics: where requests are counted.
    """

    def __init__(self, app: App, limits: Limits, metrics: Metrics) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request with bounds on what it sends and an id on what it gets."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits)
        with self._metrics.in_flight():
            await self._answer(exchange)
        self._metrics.request(scope, exchange.status, time.perf_counter() - exchange.started)

    async def _answer(self, exchange: _Exchange) -> None:
        scope = exchange.scope
        error = exchange.fault()
        if error is None:
            try:
                await self._app(scope, exchange.receive, exchange.send)
                return
            except ServeError as raised:  # of another middleware: routes answer their own
                error = raised
            except Exception as raised:  # noqa: BLE001 - whatever it is, its text must not reach a log
                _LOG.error("internal_error", extra={"request": exchange.id, "error": describe(raised)})
                error = internal_error()
        if exchange.status == 0:
            response = error_response(error, ",".join(header_values(scope, b"accept-language")))
            await response(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self.scope, self._receive, self._send, self._limits = scope, receive, send, limits
        self.id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = self.id
        self.started = time.perf_counter()
        self.status = 0
        self._left = limits.body_bytes
        self._deadline: float | None = None
        self._complete = False

    def fault(self) -> ServeError | None:
        """What is wrong with the headers alone."""
        codings = header_values(self.scope, b"content-encoding")
        if any(coding.strip().lower() not in ("", "identity") for coding in codings):
            return CompressedError()
        for length in header_values(self.scope, b"content-length"):
            if length.isdigit() and int(length[:20]) > self._limits.body_bytes:
                return TooLargeError(self._limits.body_bytes)
        return None

    async def receive(self) -> Message:
        """The next piece of the body, within the bounds; afterwards waits for the client to leave."""
        if self._complete:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + self._limits.body_seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise self._note(TooSlowError()) from None
        if message["type"] != "http.request":
            self._complete = True
            return message
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._note(TooLargeError(self._limits.body_bytes))
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """The answer, with the id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
        await self._send(message)

    def _note(self, error: ServeError) -> ServeError:
        self.scope[ERROR_KEY] = error
        return error


def describe(error: BaseException) -> str:
    """What a log may hold of an exception, as one word: its kind and places in code; its text may quote a patient."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return "@".join((type(error).__name__, *(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)))[:120]
