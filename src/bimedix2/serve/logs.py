"""JSON lines with an allow-list of fields, so that no prompt, answer, file name or key can get into a log.

A message of a library is never written: it may quote what was sent. What remains of it is the logger's name, the
level, and of an exception its type and the places in code. uvicorn's own messages are constant texts, and their
templates are kept.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from bimedix2.serve.auth.refusal import App, Message, Receive, Scope, Send

FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "request": str,
    "key": str,
    "route": str,
    "method": str,
    "status": int,
    "ms": (int, float),
    "bytes_in": int,
    "bytes_out": int,
    "prompt_tokens": int,
    "completion_tokens": int,
    "reused_tokens": int,
    "images": int,
    "model": str,
    "adapter": str,
    "engine": str,
    "code": str,
    "error": str,
    "count": int,
    "port": int,
}
_PLAIN = re.compile(r"[A-Za-z0-9_.:/{}@+-]{0,120}")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,60}")
_OURS, _CONSTANT = "bimedix2.serve", ("uvicorn",)
_FRAMES = 12
_REQUESTS = logging.getLogger("bimedix2.serve.requests")


class JSONFormatter(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "logger": record.name}
        if (event := _event(record)) is not None:
            content["event"] = event
        content.update(allowed(record.__dict__))
        if record.exc_info and record.exc_info[0] is not None:
            content["exception"] = record.exc_info[0].__name__
            content["places"] = _places(record)
        return json.dumps(content, ensure_ascii=True)


def allowed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the allow-list, where their values are of its types; a string must look like a name.

    >>> allowed({"status": 200, "prompt": "secret", "route": "a b"})
    {'status': 200}
    """
    return {
        name: value
        for name, kind in FIELDS.items()
        if (value := fields.get(name)) is not None
        and isinstance(value, kind)
        and (not isinstance(value, str) or _PLAIN.fullmatch(value))
    }


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every log of the process through the formatter; start uvicorn with ``log_config=None, access_log=False``.

    Args:
        stream: where lines go; standard error by default.
        level: the lowest level that is written.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    # The address of a request may hold an id of a patient's, and its query string anything.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("httpx", "httpcore", "multipart", "python_multipart"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a failing handler would print the record, message and all
    logging.captureWarnings(True)


class RequestLog:
    """ASGI middleware: one line for every request, with the route's pattern and never its address.

    Args:
        app: what follows.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and write the line when the answer has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts: dict[str, Any] = {"status": 0, "bytes_out": 0, "request": ""}
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
                names = {name.lower(): value for name, value in message.get("headers", ())}
                facts["request"] = names.get(b"x-request-id", b"").decode("latin-1")
            elif message["type"] == "http.response.body":
                facts["bytes_out"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            facts["ms"] = round((time.perf_counter() - started) * 1000, 1)
            _REQUESTS.info("request", extra={**facts, **_of_scope(scope)})


def _of_scope(scope: Scope) -> dict[str, str]:
    """Method, pattern of the route and key id."""
    pattern = getattr(scope.get("route"), "path", "none")
    principal = scope.get("state", {}).get("principal")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return {"method": method, "route": pattern, "key": getattr(principal, "owner", "none")}


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _event(record: logging.LogRecord) -> str | None:
    """Name of an event of ours, or the constant text of a library that writes no others; never with arguments in."""
    template = record.msg if isinstance(record.msg, str) else ""
    if record.name.startswith(_OURS):
        return template if _EVENT.fullmatch(template) else None
    if record.name.startswith(_CONSTANT) and record.levelno < logging.ERROR:
        return template.strip()[:200] or None
    return None


def _places(record: logging.LogRecord) -> list[str]:
    """File, line and function of the innermost frames."""
    assert record.exc_info is not None
    frames = traceback.extract_tb(record.exc_info[2])[-_FRAMES:]
    return [f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames]
