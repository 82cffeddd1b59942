"""A real HTTP server on 127.0.0.1 that speaks the chat interface and misbehaves as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
Act = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request; ``body`` is what was asked, ``raw`` its bytes."""

    protocol_version = "HTTP/1.1"
    server: Server
    raw: bytes
    body: Request

    def do_POST(self) -> None:
        self.raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.body = json.loads(self.raw)
        if self.server.released.is_set():  # a server that is gone has no open connections either
            self.close_connection = True
            return
        with self.server.lock:
            self.server.seen.append(self)
            number = len(self.server.seen) - 1
        self.server.act(number)(self)

    def log_message(self, *_: Any) -> None: ...

    def send(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def prompt(self) -> str:
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[-1]["text"]


class Server(ThreadingHTTPServer):
    """Answers request ``n`` by ``script[n]``, and by ``default`` when the script is over."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, script: list[Act], default: Act, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.script, self.default = script, default
        self.seen: list[Exchange] = []
        self.lock = threading.Lock()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def act(self, number: int) -> Act:
        return self.script[number] if number < len(self.script) else self.default

    def handle_error(self, *_: Any) -> None: ...


@contextmanager
def serving(*script: Act, default: Act | None = None, port: int = 0) -> Iterator[Server]:
    """A server that runs for the length of the block."""
    server = Server(list(script), default or says("ok"), port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def completion(text: str | None, **fields: Any) -> Request:
    """A reply as the interface has it; keywords override."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    choice |= {name: fields.pop(name) for name in ("finish_reason", "logprobs") if name in fields}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return {"id": "c", "object": "chat.completion", "model": "m-1", "choices": [choice], "usage": usage} | fields


def says(text: str | Callable[[Exchange], str] | None, **fields: Any) -> Act:
    """Reply with a text, or with what a function makes of the request."""

    def act(exchange: Exchange) -> None:
        words = text(exchange) if callable(text) else text
        exchange.send(200, json.dumps(completion(words, **fields)).encode(), Content_Type="application/json")

    return act


def status(code: int, content: Any = "", **headers: str) -> Act:
    """Refuse with a status; ``content`` is text, or an object sent as JSON."""
    data = content if isinstance(content, str) else json.dumps(content)
    return lambda exchange: exchange.send(code, data.encode(), **headers)


def raw(data: bytes) -> Act:
    """Reply with these bytes under status 200."""
    return lambda exchange: exchange.send(200, data)


def hang(exchange: Exchange) -> None:
    """Say nothing until the server is gone."""
    exchange.server.released.wait(10)
    exchange.close_connection = True


def drip(exchange: Exchange) -> None:
    """Send the body so slowly that no single read times out."""
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    for _ in range(1000):
        exchange.wfile.write(b" ")
        exchange.wfile.flush()
        if exchange.server.released.wait(0.02):
            return


def cut_off(exchange: Exchange) -> None:
    """Close the connection in the middle of the reply."""
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"choices": [')
    exchange.close_connection = True
