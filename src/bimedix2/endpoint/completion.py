"""From the bytes of a server's reply to a completion, whatever the bytes are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_TOKENS = 2**53
_SHOWN = 300


@dataclass(frozen=True)
class Completion:
    """One reply of a model.

    Attributes:
        text: its words; empty where the server sends none, such as for a filtered reply.
        finish_reason: as the server says: ``stop``, ``length``, ``content_filter`` … or empty.
        model: the server's name of what answered, often with a version.
        prompt_tokens, completion_tokens: as the server counts them; ``None`` where it does not.
        top_logprobs: (token, log-probability in nats) of the likeliest first tokens, as listed; empty if not asked
            for or not given. A token that is part of a letter keeps its bytes as surrogates (``surrogateescape``).
        refusal: why the model declines, where the server tells it apart from an answer.
    """

    text: str
    finish_reason: str = ""
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    top_logprobs: tuple[tuple[str, float], ...] = ()
    refusal: str = ""


def read_completion(data: bytes) -> Completion | None:
    """The first choice of a chat completion; ``None`` where there is none, see :func:`problem_of`."""
    content = _json(data)
    if not isinstance(content, dict):
        return None
    choices, usage = content.get("choices"), content.get("usage")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not isinstance(message := choice.get("message"), dict):
        return None
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    return Completion(
        text=_text(message.get("content")),
        finish_reason=_text(choice.get("finish_reason")),
        model=_text(content.get("model")),
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        top_logprobs=_first_token(choice.get("logprobs")),
        refusal=_text(message.get("refusal")),
    )


def problem_of(data: bytes) -> tuple[str, str]:
    """Why a body is not a completion, in English and Arabic."""
    if isinstance(_json(data), dict):
        found = error_text(data)
        return f"it holds no choice but {found!r}", f"لا يحتوي على أي اختيار بل {found!r}"
    found = shown(data)
    return f"not JSON but {found!r}", f"ليس JSON بل {found!r}"


def error_text(data: bytes) -> str:
    """What a refusal says, on one line, without markup or control characters and cut to 300 characters."""
    content = _json(data)
    if isinstance(content, dict):
        error = content.get("error", content)
        # {"error": {"message": …}}, {"error": "…"}, {"message": …} and {"detail": …} are all in use.
        found = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        if isinstance(found, str) and found.strip():
            return shown(found.encode("utf-8", "replace"))
    return shown(data) or "no reason given"


def is_quota(data: bytes) -> bool:
    """Whether a 429 means that nothing is left to spend, which waiting does not change."""
    content = _json(data)
    error = content.get("error") if isinstance(content, dict) else None
    return isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))


def shown(data: bytes) -> str:
    """Start of a body for a message."""
    text = data[: 4 * _SHOWN].decode("utf-8", "replace")
    if text.lstrip()[:1] == "<":
        return "an HTML page"
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _text(content: Any) -> str:
    """Text of a message: a string, or a list of parts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part.get("text")))
    if not _is_text(content):
        return ""
    # A lone surrogate can stand in JSON but not in UTF-8; stored replies have to be UTF-8.
    return str(content).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _first_token(logprobs: Any) -> tuple[tuple[str, float], ...]:
    places = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = places[0] if isinstance(places, list) and places else None
    listed = first.get("top_logprobs") if isinstance(first, dict) else None
    if not isinstance(listed, list):
        return ()
    found = ((_token(entry), _logprob(entry.get("logprob"))) for entry in listed if isinstance(entry, dict))
    return tuple((token, value) for token, value in found if value is not None)


def _logprob(value: Any) -> float | None:
    """A log-probability; rounding may put it a hair above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and value <= 0.01 else None


def _token(entry: Mapping[str, Any]) -> str:
    """A token; by its bytes where they are given, since half a letter has no text."""
    data = entry.get("bytes")
    if isinstance(data, list) and all(type(value) is int and 0 <= value < 256 for value in data):
        return bytes(data).decode("utf-8", "surrogateescape")
    return _text(entry.get("token"))
