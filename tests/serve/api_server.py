"""A real server on 127.0.0.1 in a thread, and what the tests of the interface send to it."""

from __future__ import annotations

import asyncio
import base64
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from PIL import Image

from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Language, Turn
from bimedix2.serve.app import create_app
from bimedix2.serve.engines.protocol import Delta, Engine, Job
from bimedix2.serve.run import server_config
from bimedix2.serve.settings import Limits, ServeSettings

CHAT = "/v1/chat/completions"


class Running:
    """A server that answers: its address, app and engine."""

    def __init__(self, app: Any, engine: Engine, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.engine, self.port, self.loop = app, engine, port, loop
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    def chat(
        self, content: Any = "What is this?", headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        messages = fields.pop("messages", [{"role": "user", "content": content}])
        return self.client.post(CHAT, json={"messages": messages, **fields}, headers=headers)

    def raw(self, body: bytes, **headers: str) -> httpx.Response:
        return self.client.post(CHAT, content=body, headers={"content-type": "application/json", **headers})

    def until(self, test: Any, seconds: float = 60.0) -> bool:
        """Whether ``test()`` becomes true in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if test():
                return True
            time.sleep(0.01)
        return False


@contextmanager
def running(folder: Path, engine: Engine, **settings: Any) -> Iterator[Running]:
    limits = settings.pop("limits", Limits())
    given = ServeSettings(data=folder, engine="echo", limits=limits, **settings)
    listening = socket.create_server(("127.0.0.1", settings.get("port", 0)))
    app = create_app(given, engine)
    server = uvicorn.Server(server_config(app))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started and time.monotonic() < end:
        time.sleep(0.005)
    assert server.started
    found = Running(app, engine, listening.getsockname()[1], loops[0])
    try:
        yield found
    finally:
        found.client.close()
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


def png(width: int = 40, height: int = 30, **options: Any) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "PNG", **options)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def asked(url: str, text: str = "What is this?") -> list[dict[str, Any]]:
    """Content of a message with one picture."""
    return [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error, whose form is checked on the way."""
    content = response.json()
    assert list(content) == ["error"]
    assert list(content["error"]) == ["message", "type", "param", "code"]
    assert content["error"]["message"]
    assert response.headers["x-request-id"]
    return content["error"]


def refused(response: Any, status: int, code: str | None = None, param: str | None = None) -> None:
    error = error_of(response)
    assert (response.status_code, error["code"]) == (status, code or error["code"])
    if param is not None:
        assert error["param"] == param


def job(text: str = "one two three", **fields: Any) -> Job:
    language: Language = fields.pop("language", "en")
    turn = Turn(role="user", text=text, language=language)
    return Job(**{"request_id": "r", "turns": (turn,), "images": (), "language": language, "config": GenerationConfig(),
                  **fields})  # fmt: skip


async def everything(engine: Engine, wanted: Job) -> list[Delta]:
    return [piece async for piece in engine.generate(wanted)]


def words(pieces: list[Delta]) -> str:
    return "".join(piece.text for piece in pieces)
