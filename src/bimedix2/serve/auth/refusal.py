"""The answer of a middleware that refuses a request, in OpenAI's form of an error."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bimedix2.serve.errors import ServeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a request's header."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


async def refuse(scope: Scope, receive: Receive, send: Send, error: ServeError) -> None:
    """Answer with ``error`` without handing the request on."""
    from bimedix2.serve.api.errors import error_response

    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    response = error_response(error, ",".join(header_values(scope, b"accept-language")))
    response.headers["X-Request-Id"] = secrets.token_hex(8)
    response.headers["Connection"] = "close"  # the rest of the request is not read
    await response(scope, receive, send)
