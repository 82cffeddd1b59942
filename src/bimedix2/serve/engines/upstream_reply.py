"""What an upstream answers: events, errors, or something else altogether."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from bimedix2.endpoint.completion import is_quota
from bimedix2.endpoint.settings import retry_after
from bimedix2.serve.engines.protocol import FinishReason, Usage
from bimedix2.serve.errors import EngineDownError, QueueFullError, ServeError

LONGEST_EVENT = 1024 * 1024
_REASONS: Mapping[str, FinishReason] = {"length": "length", "max_tokens": "length"}
_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One event: words, how the answer ended, and tokens, as far as the event has them."""

    text: str = ""
    reason: FinishReason | None = None
    usage: Usage | None = None
    done: bool = False


def unusable() -> EngineDownError:
    """The upstream answers, but not as the interface promises."""
    return EngineDownError(
        "The model server sent something that is no answer. Try again; if it goes on, tell the person who runs it.",
        "أرسل خادم النموذج ما ليس إجابة. أعد المحاولة، وأبلغ المسؤول عن الخادم إن تكرر ذلك.",
    )


def unreachable() -> EngineDownError:
    """No connection, or it broke off."""
    return EngineDownError(
        "The model server cannot be reached. Try again in a moment; if it goes on, tell the person who runs it.",
        "يتعذر الوصول إلى خادم النموذج. أعد المحاولة بعد لحظات، وأبلغ المسؤول عن الخادم إن تكرر ذلك.",
    )


def misconfigured() -> EngineDownError:
    """The upstream refuses us altogether."""
    return EngineDownError(
        "The model server refuses this server's requests. The person who runs it should check the key, the address "
        "and the model's name with `bimedix2 serve --check`.",
        "يرفض خادم النموذج طلبات هذا الخادم. على المسؤول التحقق من المفتاح والعنوان واسم النموذج بالأمر "
        "`bimedix2 serve --check`.",
        retry_after=60.0,
    )


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ServeError:
    """What a status other than 200 means for whoever asked; the upstream's text stays here, it may quote them."""
    if status == 429 and not is_quota(body):
        return QueueFullError(retry_after(headers.get("retry-after", "")) or _RETRY_SECONDS)
    if status in (400, 413, 422):
        return ServeError(
            "The model server cannot take this request, most likely because it is too long. Shorten it or send fewer "
            "pictures.",
            "لا يستطيع خادم النموذج قبول هذا الطلب، والأرجح أنه طويل جدا. اختصره أو أرسل صورا أقل.",
            code="upstream_refused",
            status=422,
            param="messages",
        )
    if status >= 500 or status in (408, 409):
        return unreachable()
    return misconfigured()


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of every event of a stream.

    Raises:
        EngineDownError: an event is longer than a megabyte.
    """
    left = b""
    async for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(left) > LONGEST_EVENT:
            raise unusable()


def read(data: bytes) -> Piece:
    """One event's data.

    Raises:
        EngineDownError: it is an error or no chunk of a chat.
    """
    if data == b"[DONE]":
        return Piece(done=True)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise unusable() from None
    if not isinstance(content, dict) or "error" in content or not isinstance(content.get("choices", []), list):
        raise unusable()
    usage = _usage(content.get("usage"))
    choices = content.get("choices") or []
    if not choices:
        return Piece(usage=usage)
    choice = choices[0]
    if not isinstance(choice, dict) or not isinstance(choice.get("delta", {}), dict):
        raise unusable()
    text, reason = (choice.get("delta") or {}).get("content") or "", choice.get("finish_reason")
    if not isinstance(text, str):
        raise unusable()
    return Piece(_whole(text), None if not reason else _REASONS.get(str(reason), "stop"), usage)


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    details = value.get("prompt_tokens_details")
    reused = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(value.get("prompt_tokens")), _count(value.get("completion_tokens")), _count(reused))


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0
