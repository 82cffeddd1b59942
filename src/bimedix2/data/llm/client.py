"""Asynchronous HTTP to one server: attempts, retries with full jitter, and failures by name."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from bimedix2.endpoint.completion import Completion, problem_of, read_completion
from bimedix2.endpoint.errors import (
    EndpointBadReplyError,
    EndpointError,
    EndpointServerError,
    EndpointTimeoutError,
    EndpointUnreachableError,
    status_error,
)
from bimedix2.endpoint.settings import checked_key, without_key

from .limits import Limits

if TYPE_CHECKING:
    import ssl

    import httpx

    from .settings import Server

MAX_REPLY_BYTES = 8 * 1024 * 1024
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST_S, _FIRST_S = 30.0, 0.5
_GARBAGE_TRIES = 2

Before = Callable[[], Awaitable[None]]
OnFailure = Callable[[EndpointError], Awaitable[None]]


class Sent(NamedTuple):
    """One answered request: the body as it came, what is in it, how many attempts and seconds it took."""

    body: bytes
    completion: Completion
    tries: int
    seconds: float


class Client:
    """Posts chat requests to one server.

    Attempts that time out, lose their connection or get 408, 409, 429 or 5xx are repeated up to ``server.retries``
    times; a body that is no completion twice. The wait is drawn evenly from 0 to 0.5, 1, 2 … 30 s ("full jitter",
    Brooker 2015), on top of what ``Retry-After`` asks for (up to 60 s), which holds back every other request too.
    Redirects are not followed, and a reply larger than 8 MiB is refused.

    Args:
        server: whom to ask, and how.
        stop: no further attempt is made once it is set.
        limits: replaced in tests.
        rng: of the jitter.
    """

    def __init__(
        self,
        server: Server,
        stop: asyncio.Event,
        *,
        limits: Limits | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.server, self._stop = server, stop
        rates = server.requests_per_minute, server.tokens_per_minute
        self.limits = limits or Limits(*rates, stopped=stop.is_set, sleep=self._rest)
        self._key = checked_key(server.key())
        self._rng = rng or random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []
        self._tls: ssl.SSLContext | None = None

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.aclose()

    async def send(self, body: bytes, key: str, tokens: float, before: Before, on_failure: OnFailure) -> Sent:
        """The reply to one request.

        Args:
            body: JSON as the interface has it.
            key: sent as ``Idempotency-Key``, so that a provider that knows it charges a repeated request once.
            tokens: likely tokens of prompt and reply, for the limits.
            before: waited for before every attempt; what it raises ends the request.
            on_failure: waited for after every attempt that failed, the last one too.

        Raises:
            EndpointError: the last attempt's.
        """
        started, tries = time.monotonic(), 0
        while True:
            await self.limits.wait(tokens)
            await before()
            tries += 1
            try:
                data = await self._attempt(body, key)
                completion = read_completion(data)
                if completion is None:
                    raise EndpointBadReplyError(self.server.address, *problem_of(without_key(data, self._key)))
            except EndpointError as error:
                await on_failure(error)
                if not self._again(error, tries):
                    raise
                self.limits.hold(error.retry_after_s)
                await self._rest(error.retry_after_s + self.backoff(tries))
            else:
                used = (completion.prompt_tokens or 0) + (completion.completion_tokens or 0)
                self.limits.correct(tokens, used or tokens)
                return Sent(data, completion, tries, time.monotonic() - started)

    def _again(self, error: EndpointError, tries: int) -> bool:
        if self._stop.is_set():
            return False
        if isinstance(error, EndpointBadReplyError):
            return tries <= min(_GARBAGE_TRIES, self.server.retries)
        return error.transient and tries <= self.server.retries

    def backoff(self, tries: int) -> float:
        """Seconds to wait after so many attempts, beside what the server asks for."""
        return self._rng.uniform(0.0, min(_FIRST_S * 2.0 ** (tries - 1), _LONGEST_S))

    async def _rest(self, seconds: float) -> None:
        """Wait, but not longer than until the run is to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _attempt(self, body: bytes, key: str) -> bytes:
        """The body of a reply with status 2xx."""
        import httpx

        address = self.server.address
        try:
            # A server that drips never times out by itself, so the whole exchange has a limit.
            async with asyncio.timeout(self.server.timeout_s):
                return await self._exchange(body, key)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise EndpointUnreachableError(address, _reason(error)) from None
        except (TimeoutError, httpx.TimeoutException):
            raise EndpointTimeoutError(address, self.server.timeout_s) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise EndpointUnreachableError(address, _reason(error), sent=True) from None

    async def _exchange(self, body: bytes, key: str) -> bytes:
        address, data = self.server.address, bytearray()
        url, headers = f"{address}/chat/completions", {"Idempotency-Key": key}
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            async with client.stream("POST", url, content=body, headers=headers) as response:
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > MAX_REPLY_BYTES:
                        size = MAX_REPLY_BYTES // 2**20
                        raise EndpointBadReplyError(address, f"more than {size} MiB", f"أكبر من {size} MiB")
        finally:
            self._idle.append(client)
        if response.status_code // 100 != 2:
            clean = without_key(bytes(data), self._key)
            error = status_error(address, self.server.model, response.status_code, response.headers, clean)
            # A gateway that gave up waiting may have left the model writing.
            error.may_cost = isinstance(error, EndpointServerError) and response.status_code in (408, 504, 524)
            raise error
        return bytes(data)

    def _new_client(self) -> httpx.AsyncClient:
        """A client for one request at a time: httpx looks through all connections of a pool for every request."""
        import httpx

        local = urlsplit(self.server.address).hostname in _LOCAL
        self._tls = self._tls or httpx.create_ssl_context(trust_env=not local)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self.server.timeout_s, connect=min(self.server.timeout_s, 20)),
            limits=httpx.Limits(max_connections=1),
            verify=self._tls,
            follow_redirects=False,
            trust_env=not local,  # a proxy from the environment is meant for hosts elsewhere
        )
        self._clients.append(client)
        return client


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
