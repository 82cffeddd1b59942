"""Answers by another server that speaks OpenAI's interface: vLLM, SGLang, llama-server, or one of ours."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from typing import Any

import httpx

from bimedix2.endpoint.settings import checked_key, checked_url
from bimedix2.errors import ConfigError
from bimedix2.serve.engines.echo import unknown_adapter
from bimedix2.serve.engines.protocol import Delta, EngineInfo, EngineState, FinishReason, Job, Usage
from bimedix2.serve.engines.upstream_reply import (
    events,
    misconfigured,
    read,
    refusal,
    unreachable,
    unusable,
)
from bimedix2.serve.engines.upstream_request import payload
from bimedix2.serve.errors import DeadlineError, EngineDownError, QueueFullError
from bimedix2.serve.settings import ServeSettings

PROBE_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 120.0  # between two pieces; a long prompt on a slow machine takes its time
_CONTEXT, _IMAGE_TOKENS = 8192, 576
_LONGEST_TOKEN = 48  # characters; an upstream that ignores max_tokens is cut off after so many for each
_MOST_MODELS_BYTES = 1024 * 1024
_RETRY_SECONDS = 2.0


class UpstreamEngine:
    """Hands jobs on.

    Args:
        settings: address, model name, variable of the key; ``batch`` and ``limits.queue`` bound the jobs at a time.

    Raises:
        ConfigError: there is no address, or it or the key cannot be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        if not settings.upstream:
            raise ConfigError(
                "The engine openai needs the address of a server: --upstream http://127.0.0.1:8001/v1.",
                "يحتاج المحرك openai إلى عنوان خادم: --upstream http://127.0.0.1:8001/v1.",
                code="upstream_needed",
            )
        self._url = checked_url(settings.upstream)
        key = checked_key(os.environ.get(settings.upstream_key_variable, ""))
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
            trust_env=False,  # a proxy named in the environment would see every question
        )
        self._most = settings.batch + settings.limits.queue
        self._running = 0
        self._problem: EngineDownError | None = unreachable()
        self._watcher: asyncio.Task[None] | None = None
        self._info = EngineInfo(
            model=settings.model or "default",
            engine="openai",
            context=_CONTEXT,
            image_tokens=_IMAGE_TOKENS,
            fingerprint=self._fingerprint(settings.model),
        )
        self._named = bool(settings.model)
        self.found: tuple[str, ...] = ()
        """Names of the models that the upstream has; for the person who runs the server."""

    @property
    def info(self) -> EngineInfo:
        """What it serves, as far as the upstream has told."""
        return self._info

    async def start(self) -> None:
        """Ask the upstream what it has, and again from time to time."""
        await self.probe()
        self._watcher = asyncio.ensure_future(self._watch())

    async def close(self) -> None:
        """Let go of every connection."""
        if self._watcher is not None:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        await self._client.aclose()

    def state(self) -> EngineState:
        """As the last look at the upstream found it."""
        problem = None if self._problem is None else (self._problem.message, self._problem.message_ar)
        return EngineState(ready=problem is None, running=self._running, problem=problem)

    async def count_tokens(self, job: Job) -> int:
        """An estimate: the upstream alone knows."""
        characters = sum(len(turn.text) for turn in job.turns)
        return characters // 3 + 8 * len(job.turns) + self._info.image_tokens * len(job.images)

    async def generate(self, job: Job) -> AsyncGenerator[Delta]:
        """Write one answer; raises as ``Engine.generate`` says."""
        if job.adapter is not None and job.adapter not in self._info.adapters:
            raise unknown_adapter()
        if self._running >= self._most:
            raise QueueFullError(_RETRY_SECONDS)
        self._running += 1
        try:
            body = await payload(job, job.adapter or self._info.model)
            async with aclosing(self._answer(body, job)) as pieces:
                async for delta in pieces:
                    yield delta
        except TimeoutError:
            raise DeadlineError from None
        except (httpx.HTTPError, httpx.StreamError):
            raise self._down() from None
        finally:
            self._running -= 1

    async def _answer(self, body: dict[str, Any], job: Job) -> AsyncGenerator[Delta]:
        usage: Usage | None = None
        reason: FinishReason | None = None
        pieces, characters = 0, 0
        async with AsyncExitStack() as held:
            async with asyncio.timeout(_left(job)):
                request = self._client.stream("POST", f"{self._url}/chat/completions", json=body)
                response = await held.enter_async_context(request)
                await _check(response)
            async for data in _in_time(events(response.aiter_bytes()), job):
                piece = read(data)
                usage, reason = piece.usage or usage, reason or piece.reason
                if piece.done:
                    break
                if piece.text:
                    pieces, characters = pieces + 1, characters + len(piece.text)
                    yield Delta(text=piece.text)
                if characters > job.config.max_new_tokens * _LONGEST_TOKEN:
                    reason = "length"
                    break
        if reason is None:
            raise self._down()  # it broke off; half an answer must not look like a whole one
        self._problem = None
        known = usage or Usage(await self.count_tokens(job), pieces)
        yield Delta(finish_reason=reason, usage=known)

    async def probe(self) -> None:
        """Look at the upstream once; ``state`` says what was found."""
        try:
            response = await self._client.get(f"{self._url}/models", timeout=_CONNECT_SECONDS)
            if response.status_code != 200:
                self._problem = misconfigured() if response.status_code < 500 else unreachable()
                return
            self._adopt(_models(response.content))
        except (httpx.HTTPError, httpx.StreamError):
            self._problem = unreachable()
        except EngineDownError as error:
            self._problem = error

    def _adopt(self, models: list[dict[str, Any]]) -> None:
        names = [model["id"] for model in models]
        self.found = tuple(names)
        name = self._info.model if self._named else names[0] if names else self._info.model
        if name not in names:
            self._problem = misconfigured()
            return
        own = models[names.index(name)]
        length = own.get("max_model_len", own.get("context_length"))
        self._info = replace(
            self._info,
            model=name,
            context=length if type(length) is int and length > 0 else _CONTEXT,
            adapters=tuple(model["id"] for model in models if model.get("parent") == name and model["id"] != name),
            fingerprint=self._fingerprint(name),
        )
        self._problem = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await self.probe()

    def _down(self) -> EngineDownError:
        self._problem = unreachable()
        return self._problem

    def _fingerprint(self, model: str) -> str:
        return "openai-" + hashlib.sha256(f"{self._url} {model}".encode()).hexdigest()[:12]


async def _check(response: httpx.Response) -> None:
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    if response.status_code == 200:
        raise unusable()
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > 4096:
            break
    raise refusal(response.status_code, response.headers, body)


def _models(data: bytes) -> list[dict[str, Any]]:
    """Entries with a name of ``GET …/models``."""
    try:
        content = json.loads(data[:_MOST_MODELS_BYTES])
    except (ValueError, RecursionError):
        raise unusable() from None
    found = content.get("data") if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise unusable()
    return [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)]


async def _in_time(found: AsyncIterator[bytes], job: Job) -> AsyncIterator[bytes]:
    """The same, or ``TimeoutError`` at the job's deadline. A timeout must not stay open while we are left waiting."""
    while True:
        async with asyncio.timeout(_left(job)):
            data = await anext(found, None)
        if data is None:
            return
        yield data


def _left(job: Job) -> float | None:
    return None if job.deadline is None else max(0.0, job.deadline - time.monotonic())
