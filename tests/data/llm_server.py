"""A real HTTP server on 127.0.0.1 that speaks the chat interface: a deterministic "model", and faults on request.

The model translates letter by letter (a → ا …), so every reply can be worked out by hand. A fault is tied to a mark in
the request's text: the first requests with that mark get the fault's acts, one each, and later ones a good reply.

Run as a script it prints its address and appends every request to a log file:

    python llm_server.py LOG [SECONDS_A_REQUEST [GATE]]

GATE is a file with the number of requests that may be answered so far; the others wait until it says more.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TO_ARABIC = str.maketrans(dict(zip("abcdefghijklmnopqrstuvwxyz", "ابجدهفغحيقكلمنوبقرستعفوخيز", strict=True)))
TO_ENGLISH = {point: "abcdefghijklmnopqrstuvwxyz"[(point - 0x621) % 26] for point in range(0x621, 0x64B)}


@dataclass
class Request:
    """One request as it came."""

    body: dict[str, Any]
    key: str
    headers: dict[str, str]
    number: int
    at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        return "\n".join(message["content"] for message in self.body["messages"])

    @property
    def last(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass
class Reply:
    """What is sent: a status, bytes, headers; or nothing at all."""

    status: int = 200
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # close in the middle of the body
    wait: float = 0.0


Act = Callable[[Request], Reply]
Model = Callable[[Request], str]


def completion(text: str | None, model: str = "writer-1", **fields: Any) -> Reply:
    """A reply as the interface has it; keywords override."""
    message = {"role": "assistant", "content": text} | fields.pop("message", {})
    choice = {"index": 0, "message": message, "finish_reason": fields.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    body = {"id": "c", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage} | fields
    return Reply(data=json.dumps(body).encode())


def says(text: str | None, **fields: Any) -> Act:
    return lambda request: completion(text, **fields)


def status(code: int, message: str = "no", **headers: str) -> Act:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Reply(code, json.dumps({"error": {"message": message}}).encode(), names)


def garbage(request: Request) -> Reply:
    return Reply(data=b"<html>Bad gateway</html>")


def hangs(request: Request) -> Reply:
    return Reply(wait=3600)


def breaks_off(request: Request) -> Reply:
    return Reply(data=b'{"choices": [' + b" " * 100, cut=True)


class LlmServer:
    """The server; ``requests`` is its log."""

    def __init__(
        self, model: Model | None = None, faults: dict[str, list[Act]] | None = None, delay: float = 0
    ) -> None:
        self.model, self.faults, self.delay = model or answer, dict(faults or {}), delay
        self.requests: list[Request] = []
        self.log: Path | None = None
        self.gate: Path | None = None
        self.answered = 0
        self.served = "writer-1"
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self, mark: str) -> list[Request]:
        return [request for request in self.requests if mark in request.text]

    async def start(self, port: int = 0) -> asyncio.Server:
        server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await self._read(reader)) is not None:
                if not await self._let_through(reader):
                    return
                reply = await asyncio.to_thread(self._act, request) if self.model is not answer else self._act(request)
                await asyncio.sleep(reply.wait or self.delay)
                head = {"Content-Length": str(len(reply.data) * (2 if reply.cut else 1)), **reply.headers}
                lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
                writer.write(f"HTTP/1.1 {reply.status} X\r\n{lines}\r\n".encode() + reply.data)
                await writer.drain()
                if reply.cut:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _let_through(self, reader: asyncio.StreamReader) -> bool:
        """Wait at the gate; False where the asking side has gone meanwhile."""
        while self.gate is not None and self.answered >= int(self.gate.read_text("utf-8") or 0):
            if reader.at_eof():
                return False
            await asyncio.sleep(0.01)
        self.answered += 1
        return True

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        request = Request(body, headers.get("idempotency-key", ""), headers, len(self.requests))
        self.requests.append(request)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": request.key}) + "\n")
        return request

    def _act(self, request: Request) -> Reply:
        for mark, acts in self.faults.items():
            if acts and mark in request.body["messages"][1]["content"]:
                return acts.pop(0)(request)
        return completion(self.model(request), self.served)


@contextmanager
def serving(server: LlmServer) -> Iterator[LlmServer]:
    """Run a server in a thread for the length of the block."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_close(listening), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _close(listening: asyncio.Server) -> None:
    listening.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def objects(text: str) -> list[dict[str, Any]]:
    """All JSON objects in a text."""
    decoder, found, place = json.JSONDecoder(), [], text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
            found.append(value)
        except json.JSONDecodeError:
            end = place + 1
        place = text.find("{", end)
    return found


def translated(text: str, to_arabic: bool) -> str:
    """The model's translation of one string."""
    return text.lower().translate(TO_ARABIC) if to_arabic else text.translate(TO_ENGLISH)


def answer(request: Request) -> str:
    """The model's reply, by the form that the prompt asks for."""
    user = request.body["messages"][1]["content"]
    system = request.body["messages"][0]["content"]
    found = objects(user)
    if '"score"' in user:
        return json.dumps({"errors": [], "critical": False, "score": 95})
    if '"turns"' in user:
        to_arabic = "into Modern Standard Arabic" in system or "إلى العربية" in system
        turns = [[translated(text, to_arabic) for text in texts] for texts in found[0]["turns"]]
        return json.dumps({"turns": turns}, ensure_ascii=False)
    raise AssertionError(f"no reply for {user[:200]!r}")


def main() -> None:
    async def run() -> None:
        server = LlmServer(delay=float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
        server.log = Path(sys.argv[1])
        server.gate = Path(sys.argv[3]) if len(sys.argv) > 3 else None
        listening = await server.start()
        print(server.url, flush=True)
        async with listening:
            await listening.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
