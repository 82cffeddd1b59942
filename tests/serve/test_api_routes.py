"""Who gets in where, and the routes beside the chat."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import CHAT, Running, error_of, running
from prometheus_client.parser import text_string_to_metric_families

from bimedix2.errors import ConfigError
from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.serve.api.language import accepted_language
from bimedix2.serve.app import OPEN_PATHS, create_app
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.settings import Limits, ServeSettings


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str, str]]:
    """A server with keys: of a person who may chat, and of one who may look at the counts too."""
    with running(tmp_path_factory.mktemp("data"), EchoEngine()) as found:
        keys = found.app.state.parts.guard.keys
        chat = keys.create("chat")[0]
        admin = keys.create("admin", scopes=("chat", "admin"))[0]
        yield found, chat, admin


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def walk(routes: Any) -> Iterator[tuple[str, str]]:
    """Method and path of every route, however deep it was included."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods)
        elif inner is not None and hasattr(inner, "routes"):
            yield from walk(inner.routes)
        else:
            yield "GET", route.path


def test_every_route_needs_a_key_but_the_listed_ones(locked: tuple[Running, str, str]) -> None:
    server, _, admin = locked
    pages = {path for router in server.app.state.parts.open_routers for _, path in walk(router.routes)}
    found = {(method, path) for method, path in walk(server.app.routes) if path not in OPEN_PATHS | pages}
    assert {("POST", CHAT), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/openapi.json")} <= found
    assert {path for _, path in found} >= {"/v1/uploads", "/v1/conversations", "/v1/data"}
    described = server.client.get("/openapi.json", headers=bearer(admin)).json()["paths"]
    walked = {path.replace(":path}", "}") for _, path in found}
    assert walked | OPEN_PATHS >= described.keys() - pages
    for method, path in sorted(found):
        address = re.sub(r"\{[^}]*\}", "x", path)
        for headers in ({}, bearer("wrong"), {"authorization": "Basic eDp4"}):
            refused = server.client.request(method, address, headers=headers, params={"api_key": admin, "key": admin})
            # Wrong keys are counted: after so many of them the address has to wait.
            assert refused.status_code in (401, 429), (method, path, refused.status_code)
            if refused.status_code == 401:
                assert refused.headers["www-authenticate"].startswith("Bearer")
                assert error_of(refused)["code"] == "invalid_api_key"


def test_keys_open_what_their_scopes_say(locked: tuple[Running, str, str]) -> None:
    server, chat, admin = locked
    assert server.chat(headers=bearer(chat)).status_code == 200
    assert server.client.get("/metrics", headers=bearer(admin)).status_code == 200
    refused = server.client.get("/metrics", headers=bearer(chat))
    assert (refused.status_code, error_of(refused)["type"]) == (403, "permission_error")
    session = server.client.get("/api/session", headers=bearer(chat)).json()
    assert (session["owner_kind"], session["scopes"]) == ("key", ["chat"])


def test_quotas_count_prompt_answer_and_pictures(tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine(), limits=Limits(tokens_per_day=200)) as server:
        guard = server.app.state.parts.guard
        secret, key = guard.keys.create("one")
        used = server.chat("one two three", max_tokens=50, headers=bearer(secret)).json()["usage"]
        assert guard.quotas.used(key.id).tokens == used["total_tokens"] == 3 + 5
        refused = server.chat("one two three", max_tokens=190, headers=bearer(secret))
        assert (refused.status_code, error_of(refused)["code"]) == (429, "quota_used_up")
        assert server.chat("one", max_tokens=50, stream=True, headers=bearer(secret)).status_code == 200


def test_a_made_up_key_does_no_harm_where_there_are_none(tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine()) as server:
        assert server.chat(headers=bearer("sk-none")).status_code == 200


def test_a_public_server_without_keys_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as found:
        create_app(ServeSettings(data=tmp_path, host="0.0.0.0", engine="echo"), EchoEngine())
    assert found.value.code == "keys_needed"
    with running(tmp_path, EchoEngine()):  # the folder is free again
        pass


def test_health_needs_no_key_and_says_no_more_than_it_must(locked: tuple[Running, str, str], tmp_path: Path) -> None:
    assert locked[0].client.get("/health").json() == {"status": "ok", "ready": True, "problem": None}

    class Loading(EchoEngine):
        def state(self) -> Any:
            from bimedix2.serve.engines.protocol import EngineState

            return EngineState(ready=False)

    with running(tmp_path, Loading()) as server:
        found = server.client.get("/health")
        assert found.status_code == 503
        assert set(found.json()["problem"]) == {"en", "ar"}


def test_an_engine_that_fails_to_start_leaves_the_server_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Missing(EchoEngine):
        async def start(self) -> None:
            raise ConfigError("The folder /home/somebody is missing.", "المجلد مفقود.")

    with running(tmp_path, Missing()) as server:
        assert server.until(lambda: "engine_not_started" in caplog.text)
        assert server.client.get("/health").status_code == 200
    assert "somebody" not in caplog.text


def test_metrics_are_prometheus_and_name_no_path(locked: tuple[Running, str, str]) -> None:
    server, _, admin = locked
    server.client.get("/secret-path")
    server.chat("one two", headers=bearer(admin))
    text = server.client.get("/metrics", headers=bearer(admin)).text
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert "secret-path" not in text
    routes = {sample.labels.get("route") for sample in found["bimedix2_requests"].samples}
    assert {CHAT, "none"} <= routes
    tokens = {s.labels["kind"]: s.value for s in found["bimedix2_tokens"].samples if s.name.endswith("_total")}
    assert tokens["prompt"] >= 2
    assert found["bimedix2_engine_ready"].samples[0].value == 1


def test_the_session_tells_the_page_what_it_needs(tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine(adapters=("chest",)), limits=Limits(images=3)) as server:
        session = server.client.get("/api/session").json()
    assert session["owner_kind"] == "local"
    assert session["limits"]["images"] == 3
    assert session["adapters"] == ["chest"]
    assert session["notice"] == {"en": NOTICE_EN, "ar": NOTICE_AR}
    assert set(session["emergency"]) == {"en", "ar"}
    assert session["sign_in"] is None


def test_the_openapi_document_holds_the_ranges(locked: tuple[Running, str, str]) -> None:
    server, _, admin = locked
    found = server.client.get("/openapi.json", headers=bearer(admin)).json()
    body = found["paths"][CHAT]["post"]["requestBody"]["content"]["application/json"]["schema"]
    chat = found["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert chat["required"] == ["messages"]
    (temperature, _) = chat["properties"]["temperature"]["anyOf"]
    assert (temperature["minimum"], temperature["maximum"]) == (0.0, 2.0)
    names = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', server.client.get(
        "/openapi.json", headers=bearer(admin)).text))  # fmt: skip
    assert names <= found["components"]["schemas"].keys()


def test_every_answer_has_an_id_of_its_own_and_the_headers(locked: tuple[Running, str, str]) -> None:
    server, chat, _ = locked
    answers = [server.client.get("/health"), server.client.get("/x"), server.chat(headers=bearer(chat))]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    assert all("default-src 'self'" in answer.headers["content-security-policy"] for answer in answers)
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers)
    assert "server" not in answers[0].headers


def test_nothing_that_was_said_gets_into_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Canary-5527"
    with running(tmp_path, EchoEngine()) as server:
        server.chat(secret, model="echo", user=secret)
        server.chat(secret, stream=True)
        server.chat(secret, model=secret)
        server.client.get(f"/v1/models/{secret}", params={"q": secret})
    client = [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]
    said = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record not in client)
    assert "request" in said
    assert secret not in said
    assert secret not in (tmp_path / "audit.jsonl").read_text()
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"), ("ar", "ar"), ("AR-eg", "ar"), ("en", "en"), ("en,ar", "en"), ("ar,en", "ar"), ("*", "en"),
        ("en;q=0.5,ar;q=0.8", "ar"), ("ar;q=0", "en"), ("ar;q=x", "en"), ("fr,ar;q=0.1", "ar"), (";;;,,,", "en"),
        ("arn", "en"),
    ],
)  # fmt: skip
def test_the_preferred_language(header: str, language: str) -> None:
    assert accepted_language(header) == language


def test_the_default_client_of_a_browser_on_another_site_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, EchoEngine()) as server:
        foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert server.chat(headers=foreign).status_code == 403
        rebound = httpx.get(f"{server.url}/health", headers={"host": "evil.example"}, trust_env=False)
        assert rebound.status_code == 421
