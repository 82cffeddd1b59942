"""Hosts, origins, paths and headers, on the whole server."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import pytest
from security_tools import serving

from bimedix2.serve.auth.origin import OriginCheck
from bimedix2.serve.settings import ServeSettings

OURS = "127.0.0.1:8000"


@pytest.fixture
def server(tmp_path: Path):
    with serving(tmp_path / "d", public_hosts=()) as found:
        yield found


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:8000", 200), ("[::1]:8000", 200),
     ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example:8000", 421), ("192.0.2.7", 421),
     ("", 400), ("a b", 400), ("127.0.0.1@evil.example", 400), ("localhost/x", 400), ("localhost:port", 400)],
)  # fmt: skip
def test_only_our_own_names(server, host: str, status: int) -> None:
    assert server.client.get("/health", headers={"Host": host}).status_code == status


def test_a_public_name_and_a_wildcard() -> None:
    def fault(settings: ServeSettings, host: str) -> int:
        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": [(b"host", host.encode())]}
        error = OriginCheck(None, settings).fault(scope)  # type: ignore[arg-type]
        return 200 if error is None else error.status

    named = ServeSettings(data=Path("x"), public_hosts=("ai.example:443",), public_url="https://Chat.example")
    assert [fault(named, host) for host in ("ai.example", "AI.example:8443", "chat.example", "other")] == [200] * 3 + [
        421
    ]
    anywhere = ServeSettings(data=Path("x"), host="0.0.0.0")
    assert [fault(anywhere, host) for host in ("192.0.2.7:8000", "[2001:db8::1]", "rebound.example")] == [200, 200, 421]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"Origin": f"http://{OURS}"}, 200),
     ({"Origin": f"http://{OURS}", "Sec-Fetch-Site": "same-origin"}, 200),
     ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://127.0.0.1:9999"}, 403),
     ({"Origin": "http://localhost:8000"}, 403), ({"Origin": "http://evil.example:8000"}, 403),
     ({"Origin": f"ftp://{OURS}"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Origin": ""}, 403),
     ({"Origin": f"http://{OURS}", "Sec-Fetch-Site": "cross-site"}, 403)],
)  # fmt: skip
def test_pages_of_other_sites_change_nothing(server, headers, status: int) -> None:
    assert server.chat(headers=headers).status_code == status
    assert server.client.delete("/v1/data", headers=headers).status_code == status


def test_a_link_on_another_site_may_be_followed(server) -> None:
    assert server.client.get("/health", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_other_site_is_allowed_to_read(server) -> None:
    reply = server.client.get("/v1/models", headers={"Origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.startswith("access-control")]
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = server.client.options("/v1/chat/completions", headers=preflight)
    assert reply.status_code == 405 and not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", [b"//v1/models", b"/v1/../metrics", b"/v1/%2e%2e/metrics", b"/v1/%2E%2E%2fmetrics",
    b"/v1/./models", b"/v1\\models", b"/v1/%5c", b"/v1%2fmodels", b"/v1/%00", b"/v1/..", b"/a%0d%0aX: y"])  # fmt: skip
def test_odd_paths_are_refused_before_any_route(server, path: bytes) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": path, "headers": [(b"host", OURS.encode())]}
    error = OriginCheck(None, ServeSettings(data=Path("x"))).fault(scope)  # type: ignore[arg-type]
    assert error is not None and error.status == 400 and error.message_ar != error.message


@pytest.mark.parametrize("method", ["TRACE", "GET", "PUT", "BREW"])
def test_other_methods_of_the_chat(server, method: str) -> None:
    assert server.client.request(method, "/v1/chat/completions").status_code == 405


def test_a_refusal_is_in_our_form_and_language(server) -> None:
    reply = server.client.get("/health", headers={"Host": "evil.example", "Accept-Language": "ar"})
    error = reply.json()["error"]
    assert error["code"] == "wrong_host" and "الخادم" in error["message"] and reply.headers["x-request-id"]
    assert "evil" not in reply.text


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nothing", "/api/session", "/openapi.json"])
def test_headers_on_every_answer(server, path: str) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        found = server.client.get(path, headers=headers).headers
        policy = dict(part.split(" ", 1) for part in found["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'self'", "img-src": "'self' blob: data:", "object-src": "'none'",
            "frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'self'",
        }  # fmt: skip
        assert found["x-content-type-options"] == "nosniff" and found["cache-control"] == "no-store"
        assert found["referrer-policy"] == "same-origin" and "geolocation=()" in found["permissions-policy"]
        assert found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in found


def test_strict_transport_security_with_https_alone(tmp_path: Path) -> None:
    from bimedix2.serve.auth.keys import KeyStore
    from bimedix2.serve.store.database import Database

    database = Database(tmp_path / "d")
    KeyStore(database).create("a")
    database.close()
    with serving(tmp_path / "d", public_url="https://ai.example") as server:
        reply = server.client.get("/health", headers={"Host": "ai.example"})
        assert reply.headers["strict-transport-security"].startswith("max-age=")
        ours = {"Host": "internal:8000", "Origin": "https://ai.example"}
        assert server.client.post("/v1/chat/completions", headers=ours, json={}).status_code == 421
        ours["Host"] = "ai.example"
        assert server.client.post("/v1/chat/completions", headers=ours, json={}).status_code == 401


def test_over_a_real_socket(server) -> None:
    """uvicorn hands on paths and headers as they came."""
    import uvicorn

    config = uvicorn.Config(
        server.app, port=0, lifespan="off", access_log=False, log_config=None, server_header=False, ws="none"
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        for _ in range(500):
            if running.started:
                break
            thread.join(0.01)
        port = running.servers[0].sockets[0].getsockname()[1]

        def ask(path: str, **headers: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.putrequest("GET", path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            status = connection.getresponse().status
            connection.close()
            return status

        assert ask("/health") == 200
        assert [ask(path) for path in ("//v1", "/v1/../metrics", "/v1/%2e%2e/metrics")] == [400, 400, 400]
        assert ask("/health", Host="evil.example") == 421
        assert [ask("/health", **{"X-Long": "a" * size}) for size in (7000, 8192, 40_000)] == [200, 431, 431]
        assert ask("/v1/" + "a" * 9000) == 431
    finally:
        running.should_exit = True
        thread.join(10)
