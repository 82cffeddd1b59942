"""A whole server with the echo engine, clocks that tests set, and canaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from bimedix2.serve.app import create_app
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.parts import default_parts
from bimedix2.serve.settings import Limits, ServeSettings

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2  # a noon in UTC


@dataclass
class Clock:
    """Wall and steady clock; ``pass_time`` moves both, ``set_wall`` is somebody setting the machine's clock."""

    now: float = NOON
    up: float = 1000.0
    steps: list[float] = field(default_factory=list)

    def wall(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.up

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds

    def set_wall(self, now: float) -> None:
        self.now = now


def canary(place: str) -> str:
    """A string that stands nowhere else, to be looked for in logs, errors and metrics."""
    return f"CANARY-{place}-7f3a"


@dataclass
class Server:
    """A running app."""

    client: TestClient
    app: Any
    parts: Any
    data: Path

    def chat(self, text: str = "hello", **more: Any) -> Any:
        """One question."""
        headers = more.pop("headers", {})
        body = {"messages": [{"role": "user", "content": text}], **more}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)


@contextmanager
def serving(data: Path, *, engine: Any = None, limits: Limits | None = None, **settings: Any) -> Iterator[Server]:
    """The whole server in this process."""
    chosen = ServeSettings(data=data, engine="echo", model="echo", limits=limits or Limits(), **settings)
    engine = engine or EchoEngine()
    parts = default_parts(chosen, engine)
    app = create_app(chosen, engine, parts=parts)
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield Server(client, app, parts, data)


def bearer(secret: str) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {secret}"}
