"""From a request to its reply: out of the ledger, from a twin under way, or from the server, paid for once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bimedix2.endpoint.completion import Completion
from bimedix2.endpoint.errors import EndpointError
from bimedix2.endpoint.price import most_tokens

from .budget import Budget
from .client import Client, Sent
from .errors import ModelChangedError
from .ledger import Call, Ledger, StoredReply, digest, put_call, put_failure, put_reply, put_served
from .prompts import Message
from .replies import reply_format
from .settings import Server

TOKENS_PER_BYTE = 0.35  # of prompts, until replies were counted: English about 0.25, Arabic 0.2 to 0.5


@dataclass(frozen=True)
class Request:
    """What is sent to a server.

    Attributes:
        body: JSON as the interface has it; its hash is the request's identity.
        key: that hash.
        prompt_bytes: UTF-8 bytes of the messages.
        worst: most that it can cost, in the currency of the price.
        tokens: likely tokens of prompt and reply.
    """

    body: bytes
    key: str
    prompt_bytes: int
    worst: float
    tokens: float


class Tally:
    """What one run did; the ledger has the sums over all runs."""

    def __init__(self) -> None:
        self.requests = self.cached = self.failures = 0
        self.prompt_tokens = self.completion_tokens = 0


class Caller:
    """Gets replies of one model.

    Args:
        server: the model and how it is asked.
        ledger: keeps every reply before it is read.
        budget: shared by all models of a run.
        stop: set when nothing new may be sent.
        tally: counts.
        accept: names that the server may answer under, beside the first that it used.
    """

    def __init__(
        self,
        server: Server,
        ledger: Ledger,
        budget: Budget,
        stop: asyncio.Event,
        tally: Tally,
        accept: Sequence[str] = (),
        *,
        client: Client | None = None,
    ) -> None:
        self.server, self._ledger, self._budget, self._tally = server, ledger, budget, tally
        self._client = client or Client(server, stop)
        self._under_way: dict[str, asyncio.Future[StoredReply]] = {}
        self._served = [*ledger.served(server.model)]
        self._new_names = [name for name in accept if name not in self._served]
        self._rate = ledger.tokens_per_byte() or TOKENS_PER_BYTE

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def request(
        self, messages: Sequence[Message], reply: type[msgspec.Struct], max_tokens: int, variant: int, expected: int
    ) -> Request:
        """A request for the next message."""
        server = self.server
        fields: dict[str, Any] = {
            "model": server.model,
            "messages": list(messages),
            server.tokens_field: max_tokens,
            "temperature": server.temperature,
            "seed": None if server.seed is None else server.seed + variant,
            "response_format": reply_format(server.reply_format, reply),
        }
        kept = {name: value for name, value in (fields | server.extra).items() if value is not None}
        body = msgspec.json.encode(kept)
        size = sum(len(message["content"].encode()) for message in messages)
        most = sum(most_tokens(message, 0) for message in messages)
        worst = server.price.of(most, max_tokens) if server.price else 0.0
        return Request(body, digest(body), size, worst, size * self._rate + expected)

    async def reply(self, request: Request, call: Call, may_send: Callable[[], None]) -> StoredReply:
        """The reply to a request; twins under way wait for one another.

        Args:
            request: what to ask.
            call: whose question it is.
            may_send: raises where the run is to stop before anything new is sent.

        Raises:
            EndpointError, LedgerError, ModelChangedError: there is no reply that may be used.
        """
        while (twin := self._under_way.get(request.key)) is not None:
            await asyncio.wait([twin])
            if not twin.cancelled():
                break
        stored = self._ledger.reply(request.key)
        if stored is not None:
            self._tally.cached += 1
            await self._check_name(stored.served)
            self._ledger.post(put_call(call, "answered"))
            return stored
        may_send()
        future: asyncio.Future[StoredReply] = asyncio.get_running_loop().create_future()
        self._under_way[request.key] = future
        try:
            stored = await self._paid(request, call, may_send)
            future.set_result(stored)
        except BaseException:
            future.cancel()  # a twin then asks for itself
            raise
        finally:
            del self._under_way[request.key]
        await self._check_name(stored.served)
        return stored

    async def _paid(self, request: Request, call: Call, may_send: Callable[[], None]) -> StoredReply:
        """Ask the server; every attempt has its money set aside and is in the ledger before and after it."""
        worst = request.worst

        async def before() -> None:
            may_send()
            await self._budget.reserve(worst)
            try:
                may_send()  # it may have changed while others were waited for
                await self._ledger.write(put_call(call, "sent", worst))
            except BaseException:
                self._budget.settle(worst, 0.0)
                raise

        async def failed(error: EndpointError) -> None:
            paid = worst if error.may_cost else 0.0
            self._budget.settle(worst, paid)
            self._tally.failures += 1
            failure = put_failure(request.key, error.code, error.message, paid)
            await self._ledger.write(failure, put_call(call, "planned"))

        self._ledger.post(put_call(call, "planned"))
        sent = await self._client.send(request.body, request.key, request.tokens, before, failed)
        reply = self._stored(request, sent)
        self._budget.settle(worst, reply.cost)
        # The body is on the disk before anything but its counts is read: a fault of ours never pays again.
        await self._ledger.write(put_reply(reply), put_call(call, "answered"))
        self._count(sent.completion, request)
        return reply

    def _stored(self, request: Request, sent: Sent) -> StoredReply:
        found, price = sent.completion, self.server.price
        counted = found.prompt_tokens is not None and found.completion_tokens is not None
        cost = request.worst
        if price is not None and counted:
            cost = price.of(found.prompt_tokens or 0, found.completion_tokens or 0)
        return StoredReply(
            request.key, self.server.model, found.model, sent.body, request.prompt_bytes,
            found.prompt_tokens, found.completion_tokens, cost, sent.tries, sent.seconds, time.time(),
        )  # fmt: skip

    def _count(self, found: Completion, request: Request) -> None:
        self._tally.requests += 1
        self._tally.prompt_tokens += found.prompt_tokens or 0
        self._tally.completion_tokens += found.completion_tokens or 0
        if found.prompt_tokens and request.prompt_bytes:
            self._rate += 0.05 * (found.prompt_tokens / request.prompt_bytes - self._rate)

    async def _check_name(self, served: str) -> None:
        """Stop where another model answers than the one that began; a server that names none is believed."""
        if not served or served in self._served:
            return
        if self._served and served not in self._new_names:
            raise ModelChangedError(self.server.model, self._served, served)
        self._served.append(served)
        await self._ledger.write(put_served(self.server.model, self._served))
