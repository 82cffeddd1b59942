"""Rows 44, 46 and 47 of the table of bad inputs: too many at once, odd methods and paths, other sites' pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from api_server import CHAT
from bad_answers import LIMITS, MARK, Whole, head_of, named, raw, whole

from bimedix2.serve.engines.echo import EchoEngine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(tmp_path_factory.mktemp("server")) as found:
        yield found


def test_44_two_hundred_at_once(tmp_path: Any) -> None:
    """Those that find no room are told when to come again; those that are let in get their whole answer."""
    engine = EchoEngine(delay=0.002, places=4, queue=8)
    with whole(tmp_path, engine, limits=replace(LIMITS, per_key=1000)) as server, ThreadPoolExecutor(200) as pool:
        found = list(pool.map(lambda _: server.ask("one two three"), range(200)))
        assert server.server.until(lambda: engine.state().running == engine.state().queued == 0)
    statuses = {answer.status_code for answer in found}
    assert statuses == {200, 429}, statuses
    for answer in found:
        if answer.status_code == 200:
            assert answer.json()["choices"][0]["message"]["content"] == "You asked: one two three"
        else:
            assert answer.json()["error"]["code"] == "queue_full"
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 405), ("HEAD", CHAT, 405), ("TRACE", CHAT, 405), ("BREW", CHAT, 400), ("PUT", "/v1/data", 405),
        ("POST", "/health", 405), ("POST", "/v1/models", 405), ("DELETE", "/v1/export/pdf", 405),
        ("GET", "/nothing", 404), ("GET", f"/v1/{MARK}", 404), ("GET", "//v1/models", 400),
        ("GET", "/v1/../metrics", 400),
        ("GET", "/v1/%2e%2e/metrics", 400), ("GET", "/assets/..%2f..%2fapp.py", 400), ("GET", "/v1/uploads/%00", 400),
        ("GET", "*", 400),
    ],
)  # fmt: skip
def test_46_methods_and_paths(server: Whole, method: str, path: str, status: int) -> None:
    found, body = raw(
        server.server.port, head_of(server, path, "Connection: close", "Accept-Language: ar", method=method)
    )
    assert found == status, body[:300]
    assert MARK.encode() not in body and b"Traceback" not in body
    if method != "HEAD" and b"x-request-id" in body.lower():
        assert set(json.loads(body.partition(b"\r\n\r\n")[2])["error"]) == {"message", "type", "param", "code"}


def test_46_long_headers(server: Whole) -> None:
    named(lambda headers: server.send("GET", "/health", headers={**headers, "x-long": "x" * 9000}), 431)
    found, _ = raw(server.server.port, head_of(server, "/health", f"X-Long: {'x' * 200_000}", method="GET"))
    assert found in (400, 431)
    assert server.send("GET", "/health").status_code == 200


def test_47_websockets_old_cookies_and_forms_of_other_sites(server: Whole) -> None:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: eDp4eDp4eDp4eDp4eDp4eA==",
               "Sec-WebSocket-Version: 13")  # fmt: skip
    for path in ("/", CHAT, "/v1/models", "/health"):
        found, _ = raw(server.server.port, head_of(server, path, *upgrade, "Connection: close", method="GET"), 2.0)
        assert found != 101, path
    stale = {"cookie": f"bimedix2_session={MARK}; __Host-bimedix2_session={MARK}"}
    named(lambda headers: server.send("GET", "/v1/models", key=None, headers={**headers, **stale}), 401)
    form = {"content-type": "application/x-www-form-urlencoded", "origin": "http://evil.example", **stale}
    for address in (CHAT, "/v1/conversations", "/v1/uploads", "/v1/export/pdf"):
        answer = server.send("POST", address, key=None, content="a=b", headers=form)
        assert answer.status_code in (401, 403), address
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = server.send("POST", CHAT, content='{"messages": []}', headers={"content-type": kind})
        assert answer.status_code == 415
    assert server.send("DELETE", "/v1/data", headers={"origin": "http://evil.example"}).status_code == 403
