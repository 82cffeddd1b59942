"""What a hostile or careless client sends, and the named answer it gets."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import CHAT, Running, asked, error_of, refused, running

from bimedix2.images.types import MIB, DecodeLimits
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.settings import Limits

LIMITS = Limits(body_bytes=2 * MIB, body_seconds=1.0, image=DecodeLimits(max_bytes=MIB), max_tokens=100)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    engine = EchoEngine(adapters=("chest",))
    with running(tmp_path_factory.mktemp("data"), engine, limits=LIMITS) as found:
        yield found


def talk(server: Running, head: str, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send raw bytes, and read until the server closes or says no more."""
    lines = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n{head}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(lines.encode())
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except OSError:  # it has had enough
            pass
        connection.settimeout(5)
        found = b""
        try:
            while chunk := connection.recv(65536):
                found += chunk
        except OSError:
            pass
        return found


def test_bodies_that_are_too_large_say_so_before_they_are_read(server: Running) -> None:
    refused(server.raw(b" " * (2 * MIB + 1)), 413, "request_too_large")
    announced = talk(server, f"Content-Length: {10 * MIB}\r\n")
    assert announced.startswith(b"HTTP/1.1 413")
    chunk = b"%x\r\n%s\r\n" % (MIB, b" " * MIB)
    unannounced = talk(server, "Transfer-Encoding: chunked\r\n", chunk, chunk, chunk)
    assert unannounced.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in unannounced


def test_a_slow_body_is_408_and_the_connection_is_closed(server: Running) -> None:
    started = time.monotonic()
    found = talk(server, "Content-Length: 1000\r\n", b'{"messages"')
    assert found.startswith(b"HTTP/1.1 408")
    assert b"request_too_slow" in found
    assert b"connection: close" in found.lower()
    assert time.monotonic() - started < 5


def test_compressed_bodies_are_refused_unread(server: Running) -> None:
    body = gzip.compress(b"0" * 10 * MIB)
    for coding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
        refused(server.raw(body, **{"content-encoding": coding}), 415, "compressed_body")


GOOD = '{"messages": [{"role": "user", "content": "Hello?"}]'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"hello", b"[]", b'"text"', b"null", b"\xff\xfe", b"\xef\xbb\xbf" + GOOD.encode() + b"}",
        f'{GOOD}, "temperature": NaN}}'.encode(),
        f'{GOOD}, "temperature": -Infinity}}'.encode(),
        f'{GOOD}, "model": "echo", "model": "echo"}}'.encode(),
        b'{"messages": [{"role": "user", "role": "system", "content": "x"}]}',
        b'{"messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        f'{GOOD}, "metadata": {"[" * 40}{"]" * 40}}}'.encode(),
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "x", "\\udc00": 1}]}',
        b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}',
        b'{"messages": [{"role": "user", "content": "a\x00b"}]}',
        f'{GOOD}, "seed": {"9" * 5000}}}'.encode(),
    ],
)  # fmt: skip
def test_what_is_not_strict_json_is_400(server: Running, body: bytes) -> None:
    refused(server.raw(body), 400, "invalid_json")


def test_a_pair_of_surrogates_and_an_escaped_backslash_are_fine(server: Running) -> None:
    body = rb'{"messages": [{"role": "user", "content": "\ud83e\udec1 \\ud800 \\u0000"}]}'
    assert server.raw(body).json()["choices"][0]["message"]["content"] == "You asked: 🫁 \\ud800 \\u0000"


def test_another_media_type_is_415(server: Running) -> None:
    found = server.client.post(CHAT, content=f"{GOOD}}}", headers={"content-type": "text/plain"})
    refused(found, 415, "unsupported_media_type")
    refused(server.client.post(CHAT, data={"messages": "x"}), 415, "unsupported_media_type")


def user(content: Any = "x") -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"), ([], "messages"), ("hello", "messages"), ({}, "messages"), ([1], "messages"),
        ([{"content": "x"}], "role"), ([{"role": "tool", "content": "x"}], "role"), ([{"role": "user"}], "content"),
        ([user(None)], "content"), ([user(5)], "content"), ([user([])], "content"), ([user("  ")], "content"),
        ([user([{"type": "audio"}])], "content"), ([user([{"type": "text"}])], "text"),
        ([user([{"type": "image_url"}])], "image_url"), ([user([{"type": "image_url", "image_url": {}}])], "url"),
        ([user([{"type": "image_url", "image_url": "data:"}])], "image_url"),
        ([user(), {"role": "assistant", "content": "y"}], "role"),
        ([user(), {"role": "system", "content": "y"}, user()], "role"),
        ([{"role": "system", "content": "y"}], "role"),
        ([user()] * 10_000, "messages"),
    ],
)  # fmt: skip
def test_messages_that_make_no_conversation_are_422(server: Running, messages: Any, param: str) -> None:
    body = {} if messages is None else {"messages": messages}
    found = server.client.post(CHAT, json=body)
    refused(found, 422)
    assert param in error_of(found)["param"]


def test_too_much_text_is_413(server: Running) -> None:
    refused(server.chat("x" * 32_001), 413, "text_too_long")
    refused(server.chat(messages=[user("x" * 10_000)] * 4), 413, "text_too_long")
    refused(server.chat("x" * 5 * MIB), 413, "request_too_large")
    assert server.chat("x" * 32_000).status_code == 200


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("max_tokens", [0, -1, 10**9, 101, "12", 1.5, True]),
        ("max_completion_tokens", [0, 101]),
        ("temperature", [-1, 3, 1e999, "1"]),
        ("top_p", [0, 1.1, -1]),
        ("n", [0, 2, 16384]),
        ("stop", [["x"] * 1000, "x" * 1000, "", [""], [1], 5]),
        ("logit_bias", [{"1": 100}, {str(i): 1 for i in range(10_000)}]),
        ("frequency_penalty", [1]),
        ("presence_penalty", [-2]),
        ("repetition_penalty", [0, 5]),
        ("seed", [-1, 2**64, "x"]),
        ("stream", ["yes", 1]),
        ("stream_options", [[], {"include_usage": 2}]),
        ("logprobs", [True, 1]),
        ("tools", [{}, [{}] * 129]),
        ("tool_choice", ["required", {"type": "function", "function": {"name": "f"}}]),
        ("response_format", [{"type": "json_object"}]),
        ("language", ["fr", ""]),
        ("model", [5, "", "x" * 300]),
    ],
)
def test_values_out_of_their_documented_range_are_422(server: Running, field: str, values: list[Any]) -> None:
    for value in values:
        # json and not httpx's own: 1e999 is Infinity to Python and a plain number on the wire
        text = json.dumps({"messages": [user()], field: value}).replace("Infinity", "1e999")
        found = server.raw(text.encode())
        refused(found, 422)
        assert error_of(found)["param"].startswith(field), (value, error_of(found))


def test_neutral_values_and_fields_that_change_nothing_are_taken(server: Running) -> None:
    fields = {
        "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "logprobs": False,
        "response_format": {"type": "text"}, "user": "u", "metadata": {"a": "b"}, "store": False, "seed": None,
        "temperature": None, "stop": None, "stream": None, "stream_options": None, "max_tokens": 100,
    }  # fmt: skip
    assert server.chat(**fields).status_code == 200
    # Open WebUI offers its tools with every question; none of them has to be called.
    offered = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]
    for choice in ({}, {"tool_choice": "auto"}, {"tool_choice": "none"}):
        found = server.chat(tools=offered, parallel_tool_calls=True, **choice)
        assert found.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["other", "../../etc", "echo:", "echo:none", "echo:../../etc", "gpt-4o"])
def test_an_unknown_model_is_404(server: Running, name: str) -> None:
    found = server.chat(model=name)
    refused(found, 404)
    refused(server.chat(adapter=name), 404, "adapter_not_found", "adapter")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405), ("PUT", CHAT, 405), ("DELETE", CHAT, 405), ("HEAD", CHAT, 405), ("OPTIONS", CHAT, 405),
        ("TRACE", CHAT, 405), ("POST", "/v1/models", 405), ("GET", "/nothing", 404), ("GET", "/v1", 404),
        ("GET", "//v1/models", 400), ("GET", "/v1/../metrics", 400), ("GET", "/v1/%2e%2e/metrics", 400),
        ("GET", "/docs", 404), ("GET", "/redoc", 404),
    ],
)  # fmt: skip
def test_wrong_methods_and_paths(server: Running, method: str, path: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        lines = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode())
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
    head, _, body = found.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    if method == "HEAD":
        assert body == b""
    else:
        assert json.loads(body)["error"]["code"]
    if status == 405:
        assert b"\r\nallow: " in head.lower()


def test_a_huge_header_is_refused(server: Running) -> None:
    found = server.client.get("/health", headers={"x-large": "x" * 100_000})
    assert found.status_code in (400, 431)
    assert server.client.get("/health").status_code == 200


def test_errors_quote_nothing_of_the_request(server: Running, tmp_path: Path) -> None:
    secret = "Canary-7391"
    bodies: list[dict[str, Any]] = [
        {"messages": secret}, {"messages": [user()], "model": secret}, {"messages": [user()], "language": secret},
        {"messages": [{"role": secret, "content": secret}]}, {"messages": [user([{"type": secret}])]},
        {"messages": [user(asked(secret))]}, {"messages": [user(asked(f"http://{secret}/"))]},
        {"messages": [user()], "logit_bias": {secret: secret}}, {"messages": [user()], "temperature": secret},
    ]  # fmt: skip
    for body in bodies:
        found = server.client.post(CHAT, json=body, params={"key": secret})
        assert found.status_code in (400, 404, 422)
        assert secret not in found.text
    assert secret not in server.client.get(f"/{secret}").text


def test_every_error_is_told_in_the_readers_language(server: Running) -> None:
    english, arabic = "The body", "محتوى"
    for header, start in (("ar", arabic), ("ar-EG,en;q=0.5", arabic), ("en, ar;q=0.9", english), ("fr", english)):
        found = server.raw(b"{", **{"accept-language": header})
        assert error_of(found)["message"].startswith(start)
        assert found.headers["content-language"] == ("ar" if start == arabic else "en")
