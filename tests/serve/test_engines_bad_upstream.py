"""A server behind ours that answers badly, slowly or not at all, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import everything, job, words

from bimedix2.inference.config import GenerationConfig
from bimedix2.serve.engines.protocol import Delta
from bimedix2.serve.engines.upstream import UpstreamEngine
from bimedix2.serve.errors import DeadlineError, EngineDownError, QueueFullError, ServeError
from bimedix2.serve.settings import ServeSettings


class _Raw(socketserver.BaseRequestHandler):
    answer: Callable[[Any], None]

    def handle(self) -> None:
        self.request.settimeout(5)
        with contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += self.request.recv(65536)
            if request.startswith(b"GET"):
                body = b'{"data": [{"id": "m", "max_model_len": 99}, {"id": "lora", "parent": "m"}]}'
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            else:
                type(self).answer(self.request)


@contextlib.contextmanager
def raw_upstream(answer: Callable[[Any], None]) -> Iterator[str]:
    """An upstream that lists a model and then sends whatever ``answer`` sends."""
    handler = type("Handler", (_Raw,), {"answer": staticmethod(answer)})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()


def stream_of(*lines: str, end: bytes = b"") -> Callable[[Any], None]:
    body = "".join(f"{line}\n\n" for line in lines).encode() + end
    return lambda peer: peer.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + body
    )


def status(line: str, body: str = "", headers: str = "") -> Callable[[Any], None]:
    text = f"HTTP/1.1 {line}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    return lambda peer: peer.sendall(text.encode())


def chunk(text: str, reason: str | None = None) -> str:
    content = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}
    return f"data: {json.dumps(content)}"


SECRET = "patient-words-4711"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda peer: None, EngineDownError),
        (lambda peer: peer.sendall(b"garbage\r\n\r\n"), EngineDownError),
        (status("200 OK", "<html>login</html>"), EngineDownError),
        (status("500 Internal Server Error", SECRET), EngineDownError),
        (status("401 Unauthorized", SECRET), EngineDownError),
        (status("302 Found", "", "Location: http://169.254.169.254/\r\n"), EngineDownError),
        (status("429 Too Many Requests", SECRET, "Retry-After: 7\r\n"), QueueFullError),
        (status("400 Bad Request", json.dumps({"error": {"message": SECRET}})), ServeError),
        (stream_of("data: {"), EngineDownError),
        (stream_of("data: [1]"), EngineDownError),
        (stream_of('data: {"choices": 5}'), EngineDownError),
        (stream_of('data: {"choices": [{"delta": {"content": 5}}]}'), EngineDownError),
        (stream_of(chunk("half"), 'data: {"error": {"message": "' + SECRET + '"}}'), EngineDownError),
        (stream_of(chunk("half")), EngineDownError),
        (stream_of(chunk("half"), "data: [DONE]"), EngineDownError),
        (stream_of(end=b"data: " + b"x" * 3_000_000), EngineDownError),
        (stream_of(end=b"data: \xff\xfe\n\n"), EngineDownError),
    ],
)
def test_an_upstream_that_does_not_answer_as_it_should(
    tmp_path: Path, answer: Callable[[Any], None], kind: type[ServeError]
) -> None:
    async def ask(url: str) -> ServeError:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="m", upstream=url))
        with pytest.raises(ServeError) as found:
            await everything(engine, job(deadline=time.monotonic() + 20))
        assert engine.state().running == 0
        await engine.close()
        return found.value

    with raw_upstream(answer) as url:
        error = asyncio.run(ask(url))
    assert type(error) is kind
    assert SECRET not in error.message + error.message_ar
    assert error.message_ar != error.message
    assert error.status in (422, 429, 503)


def test_what_an_upstream_sends_well_is_taken(tmp_path: Path) -> None:
    usage = (
        'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": null}}'
    )
    lines = (": a comment", chunk("سلا"), "event: x", chunk("م\ud83e"), chunk("", "length"), usage, "data: [DONE]")

    async def ask(url: str) -> tuple[Any, list[Delta]]:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="", upstream=url))
        await engine.probe()
        pieces = await everything(engine, job(adapter="lora"))
        await engine.close()
        return engine.info, pieces

    with raw_upstream(stream_of(*lines)) as url:
        info, pieces = asyncio.run(ask(url))
    assert (info.model, info.context, info.adapters) == ("m", 99, ("lora",))
    assert words(pieces) == "سلام\ufffd"
    assert pieces[-1].finish_reason == "length"
    assert pieces[-1].usage is not None
    assert (pieces[-1].usage.prompt_tokens, pieces[-1].usage.completion_tokens) == (5, 2)


def test_an_upstream_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    async def ask(url: str) -> list[Delta]:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="m", upstream=url))
        pieces = await everything(engine, job(config=GenerationConfig(max_new_tokens=4)))
        await engine.close()
        return pieces

    def endless(peer: Any) -> None:
        stream_of()(peer)
        while True:
            peer.sendall(f"{chunk('word ' * 20)}\n\n".encode())

    with raw_upstream(endless) as url:
        pieces = asyncio.run(ask(url))
    assert pieces[-1].finish_reason == "length"
    assert len(words(pieces)) < 1000


def test_a_slow_upstream_meets_the_deadline(tmp_path: Path) -> None:
    def slow(peer: Any) -> None:
        stream_of(chunk("one"))(peer)
        time.sleep(30)

    async def ask(url: str) -> None:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="m", upstream=url))
        try:
            await everything(engine, job(deadline=time.monotonic() + 0.3))
        finally:
            await engine.close()

    with raw_upstream(slow) as url, pytest.raises(DeadlineError):
        asyncio.run(ask(url))
