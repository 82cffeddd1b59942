"""The whole server with keys, over a real connection, and what every refusal has in common."""

from __future__ import annotations

import io
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from api_server import Running, running

from bimedix2.serve import logs
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Engine
from bimedix2.serve.settings import Limits

MARK = "CANARY7f3a"
_ARABIC = re.compile("[\u0620-\u064a]{2}")
Send = Callable[[dict[str, str]], httpx.Response]


class Whole:
    """A running server, and keys of two people: ``chat`` may chat, ``admin`` everything."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.keys = server.app.state.parts.guard.keys
        self.admin = self.keys.create("admin", scopes=("chat", "admin"))[0]
        self.chat = self.keys.create("chat")[0]

    def send(self, method: str, address: str, *, key: str | None = "", **more: Any) -> httpx.Response:
        """One request, by default with the key ``admin``; ``key=None`` sends none."""
        headers = {**({} if key is None else bearer(key or self.admin)), **(more.pop("headers", None) or {})}
        return self.server.client.request(method, address, headers=headers, **more)

    def ask(self, content: Any = "What is this?", **fields: Any) -> httpx.Response:
        """One question."""
        headers = fields.pop("headers", None)
        messages = fields.pop("messages", [{"role": "user", "content": content}])
        return self.send("POST", "/v1/chat/completions", json={"messages": messages, **fields}, headers=headers)

    def upload(self, data: bytes, name: str = "scan.dcm", headers: dict[str, str] | None = None) -> httpx.Response:
        """Send one file."""
        return self.send("POST", "/v1/uploads", files={"file": (name, data)}, headers=headers)


def bearer(secret: str) -> dict[str, str]:
    """The header of a key."""
    return {"authorization": f"Bearer {secret}"}


LIMITS = Limits(requests_per_minute=1_000_000, per_key=64)


@contextmanager
def whole(folder: Path, engine: Engine | None = None, **settings: Any) -> Iterator[Whole]:
    """The server with every part that it has by default."""
    settings.setdefault("limits", LIMITS)
    with running(folder / "data", engine or EchoEngine(), **settings) as found:
        yield Whole(found, folder / "data")


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that this process logs meanwhile, at the lowest level, as the server writes it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    stream = io.StringIO()
    logs.configure(stream, logging.DEBUG)
    try:
        yield stream
    finally:
        root.handlers[:], root.level, logging.raiseExceptions = before[0], before[1], before[2]
        logging.captureWarnings(False)


def named(send: Send, status: int, code: str | None = None) -> dict[str, Any]:
    """The error of a request, sent once for a reader of English and once for one of Arabic; checks its form.

    Args:
        send: sends the request with the headers that it is given.
        status, code: what is expected; ``code`` may stay open.
    """
    english, arabic = ({"accept-language": language} for language in ("en", "ar-SA,ar;q=0.9,en;q=0.1"))
    first, second = send(english), send(arabic)
    errors = [_error(answer, status) for answer in (first, second)]
    assert errors[0]["code"] == errors[1]["code"] == (code or errors[0]["code"]), errors
    assert _ARABIC.search(errors[1]["message"]), errors[1]
    assert not _ARABIC.search(errors[0]["message"]), errors[0]
    return errors[0]


def _error(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    assert status < 500 or status in (503, 504)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-request-id"]
    content = answer.json()
    assert list(content) == ["error"], content
    error: dict[str, Any] = content["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert all(isinstance(error[name], str) and error[name] for name in ("message", "type", "code"))
    assert MARK not in answer.text + str(answer.headers)
    assert "Traceback" not in answer.text and '.py"' not in answer.text
    return error


def head_of(server: Whole, address: str, *lines: str, method: str = "POST", key: str | None = None) -> bytes:
    """Request line and headers, as they go over the wire."""
    fixed = (
        f"{method} {address} HTTP/1.1",
        f"Host: 127.0.0.1:{server.server.port}",
        f"Authorization: Bearer {key or server.admin}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*fixed, *lines, "", "")).encode()


def raw(port: int, request: bytes, seconds: float = 10.0) -> tuple[int, bytes]:
    """(status, everything that came back) of bytes that no client library would send; 0 where nothing came."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.settimeout(seconds)
        found = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                found += chunk
        except OSError:
            pass
    return (int(found.split(b" ", 2)[1]) if found.startswith(b"HTTP/1.1 ") else 0), found


@contextmanager
def nobody_connects() -> Iterator[int]:
    """A port of 127.0.0.1 on which a connection while the context is open is a failure."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])
        listener.settimeout(0.3)  # whatever has connected meanwhile waits in the queue
        try:
            peer, _ = listener.accept()
        except TimeoutError:
            return
        peer.close()
        raise AssertionError("somebody has connected")
