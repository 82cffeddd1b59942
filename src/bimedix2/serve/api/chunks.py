"""Answers in OpenAI's two forms: whole, and in chunks. What OpenAI has no field for goes into ``bimedix2``."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from bimedix2.notice import notice
from bimedix2.records.schema import Language
from bimedix2.serve.engines.protocol import EngineInfo, FinishReason, Usage

_ENCODER = msgspec.json.Encoder()
Notices = tuple[tuple[str, str], ...]


class Form:
    """Writes the parts of one answer.

    Args:
        info: of the engine.
        language: of the answer and so of the notice beside it.
        adapter: that the answer is written with.
    """

    def __init__(self, info: EngineInfo, language: Language, adapter: str | None) -> None:
        self.id = f"chatcmpl-{secrets.token_hex(12)}"
        self.notice = notice(language)
        self._head: dict[str, Any] = {
            "id": self.id,
            "created": int(time.time()),
            "model": info.model if adapter is None else f"{info.model}:{adapter}",
            "system_fingerprint": info.fingerprint,
        }

    def whole(self, text: str, reason: FinishReason, usage: Usage, news: dict[str, Any]) -> bytes:
        """A complete answer."""
        message = {"role": "assistant", "content": text, "refusal": None}
        content = {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
            "usage": tokens(usage),
            "notice": self.notice,
        }
        return _ENCODER.encode({**content, "bimedix2": news} if news else content)

    def chunk(
        self,
        delta: dict[str, Any],
        *,
        reason: FinishReason | None = None,
        news: dict[str, Any] | None = None,
        with_notice: bool = False,
    ) -> bytes:
        """An event with a piece of the answer, with news, or with both."""
        content: dict[str, Any] = {
            **self._head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}],
        }
        if news:
            content["bimedix2"] = news
        if with_notice:
            content["notice"] = self.notice
        return event(content)

    def usage_chunk(self, usage: Usage) -> bytes:
        """The event with the tokens, which has no choice."""
        return event({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": tokens(usage)})


def event(content: dict[str, Any]) -> bytes:
    """JSON values as one server-sent event."""
    return b"data: " + _ENCODER.encode(content) + b"\n\n"


def tokens(usage: Usage) -> dict[str, Any]:
    """``usage`` in OpenAI's form."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.reused},
    }


def notices(found: Notices) -> list[dict[str, str]]:
    """Warnings as the page shows them."""
    return [{"en": english, "ar": arabic} for english, arabic in found]
