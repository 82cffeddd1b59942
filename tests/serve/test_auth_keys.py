"""Keys: what is kept of them, what opens the server and what does not, and the quota that goes with them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from security_tools import DAY, Clock, bearer, serving

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.keys import KeyStore
from bimedix2.serve.settings import Limits
from bimedix2.serve.store.database import Database


@pytest.fixture
def database(tmp_path: Path):
    found = Database(tmp_path / "server")
    yield found
    found.close()


def test_a_key_has_256_random_bits_and_only_its_hash_is_kept(database) -> None:
    keys = KeyStore(database)
    first, second = keys.create("ward 3")[0], keys.create("ward 3")[0]
    assert first != second and first.startswith("bmx2-") and len(first) == 5 + 43  # 32 bytes in base64url
    database.close()
    content = b"".join(path.read_bytes() for path in database.folder.iterdir())
    assert first.encode() not in content and first[5:].encode() not in content
    row = sqlite3.connect(database.path).execute("SELECT hash, prefix FROM keys ORDER BY rowid").fetchone()
    assert row == (hashlib.sha256(first.encode()).digest(), first[:11])
    assert database.path.stat().st_mode & 0o777 == 0o600 and database.folder.stat().st_mode & 0o777 == 0o700


def test_unknown_expired_and_revoked_keys_open_nothing(database) -> None:
    clock = Clock()
    keys = KeyStore(database, clock)
    secret, key = keys.create("a", days=1)
    other, ended = keys.create("b")
    assert keys.find(secret) == key and keys.find(secret + "x") is None and keys.find("") is None
    keys.revoke(ended.prefix)
    assert keys.find(other) is None and keys.get(ended.id).revoked == clock.now
    clock.pass_time(DAY - 1)
    assert keys.find(secret) == key
    clock.pass_time(1)
    assert keys.find(secret) is None
    assert keys.any(), "a server whose keys have all ended must not open to everybody"


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ["root"]}, {"scopes": []}, {"name": " "}, {"name": "x\ny"}, {"days": -1}, {"tokens_per_day": -1}],
)
def test_a_wrong_key_is_refused_in_both_languages(database, wrong) -> None:
    with pytest.raises(ConfigError) as caught:
        KeyStore(database).create(**{"name": "x", **wrong})
    assert caught.value.code == "bad_key" and any("\u0600" < letter < "\u06ff" for letter in caught.value.message_ar)


def test_every_reason_gives_the_same_401(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        secret = server.parts.guard.keys.create("a")[0]
        expired = server.parts.guard.keys.create("b", days=0)[0]
        revoked, key = server.parts.guard.keys.create("c")
        server.parts.guard.keys.revoke(key.id)
        bad = [
            {},
            *({"Authorization": value} for value in ("Bearer wrong", "Bearer", "", f"Basic {secret}", secret)),
            bearer(expired),
            bearer(revoked),
            bearer(secret[:-1]),
            {"Authorization": f"Bearer {secret}é".encode("latin-1")},
            bearer("x" * 5000),
        ]
        replies = [server.client.get("/v1/models", headers=headers) for headers in bad]
        replies.append(server.client.get(f"/v1/models?api_key={secret}&key={secret}&access_token={secret}"))
        assert {reply.status_code for reply in replies} == {401}
        assert len({reply.text for reply in replies}) == 1
        assert {reply.headers["www-authenticate"] for reply in replies} == {'Bearer realm="bimedix2"'}
        assert secret not in "".join(reply.text for reply in replies)
        assert server.client.get("/v1/models", headers=bearer(secret)).status_code == 200
        arabic = server.client.get("/v1/models", headers={"Accept-Language": "ar"}).json()["error"]["message"]
        assert "مفتاح" in arabic


def test_unknown_and_expired_keys_take_the_same_steps(database) -> None:
    """Counted in statements of SQLite rather than in time, which other processes change."""
    clock = Clock()
    keys = KeyStore(database, clock)
    good = keys.create("a")[0]
    expired = keys.create("b", days=1)[0]
    clock.pass_time(2 * DAY)
    counts = []
    for secret in (good, expired, "unknown", ""):
        seen: list[str] = []
        database.read().set_trace_callback(seen.append)
        keys.find(secret)
        database.read().set_trace_callback(None)
        counts.append(len(seen))
    assert counts == [1, 1, 1, 1]


def test_two_authorization_headers_are_not_a_key(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        secret = server.parts.guard.keys.create("a")[0]
        headers = [("Authorization", f"Bearer {secret}"), ("Authorization", "Bearer other")]
        assert server.client.get("/v1/models", headers=headers).status_code == 401


def test_scope_admin_is_needed_for_metrics(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        chat, admin = (server.parts.guard.keys.create("a", scopes=[scope])[0] for scope in ("chat", "admin"))
        assert server.client.get("/metrics", headers=bearer(chat)).status_code == 403
        assert server.client.get("/metrics", headers=bearer(admin)).status_code == 200
        assert server.chat(headers=bearer(admin)).status_code == 403


def test_requests_a_minute_and_answers_at_a_time(tmp_path: Path) -> None:
    with serving(tmp_path / "d", limits=Limits(requests_per_minute=3, per_key=1)) as server:
        guard = server.parts.guard
        secret, key = guard.keys.create("a")
        with guard.admit(key.principal(), "192.0.2.1"):
            reply = server.chat(headers=bearer(secret))
            assert reply.status_code == 429 and reply.json()["error"]["code"] == "too_many_at_a_time"
            assert int(reply.headers["retry-after"]) >= 1
        assert server.chat(headers=bearer(secret)).status_code == 200
        reply = server.chat(headers=bearer(secret))
        assert reply.status_code == 429 and reply.json()["error"]["code"] == "rate_limited"


def test_wrong_keys_are_slowed_down_by_address(tmp_path: Path) -> None:
    with serving(tmp_path / "d", limits=Limits(requests_per_minute=5)) as server:
        server.parts.guard.keys.create("a")
        codes = [server.client.get("/v1/models", headers=bearer("x")).status_code for _ in range(7)]
        assert codes == [401] * 5 + [429] * 2


@pytest.mark.parametrize(
    "settings", [{"host": "0.0.0.0"}, {"host": "192.0.2.1"}, {"public_hosts": ("ai.example",)},
                 {"public_url": "https://ai.example"}],
)  # fmt: skip
def test_others_can_reach_it_only_with_keys(tmp_path: Path, settings) -> None:
    with pytest.raises(ConfigError) as caught, serving(tmp_path / "d", **settings):
        pass
    assert caught.value.code == "keys_needed"
    database = Database(tmp_path / "d")
    KeyStore(database).create("a")
    database.close()
    with serving(tmp_path / "d", **settings) as server:
        assert server.client.get("/v1/models").status_code == 401


def test_commands_work_while_a_server_runs(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bimedix2.cli", *words, "--data", str(tmp_path / "d")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    with serving(tmp_path / "d") as server:
        made = run("keys", "create", "ward 3", "--scope", "chat", "--days", "2")
        secret = made.stdout.strip()
        assert made.returncode == 0 and server.client.get("/v1/models", headers=bearer(secret)).status_code == 200
        assert server.client.get("/v1/models").status_code == 401
        listed = json.loads(run("keys", "list", "--json").stdout)
        assert [row["name"] for row in listed] == ["ward 3"] and secret not in json.dumps(listed)
        assert run("keys", "revoke", listed[0]["id"]).returncode == 0
        assert server.client.get("/v1/models", headers=bearer(secret)).status_code == 401
        assert run("keys", "revoke", "key_none").returncode == 2


def test_commands_look_where_the_server_does() -> None:
    import inspect

    from bimedix2.cli import keys, serve

    default = inspect.signature(serve.serve).parameters["data"].default
    for command in (keys.create, keys.list_, keys.revoke, keys.verify, keys.tail):
        assert inspect.signature(command).parameters["data"].default == default


def test_every_route_is_behind_the_guard_but_for_those_named(tmp_path: Path) -> None:
    """Asked over HTTP, whatever the routers say of themselves."""
    with serving(tmp_path / "d") as server:
        server.parts.guard.keys.create("a")
        described = server.app.openapi()["paths"]
        open_to_all = set()
        for path, methods in described.items():
            for method in methods:
                reply = server.client.request(method.upper(), path.replace("{", "").replace("}", ""), json={})
                if reply.status_code != 401:
                    open_to_all.add(path)
        assert open_to_all <= {"/health", "/"}, open_to_all
        assert len(described) >= 12
        for path in ("/docs", "/redoc", "/metrics", "/openapi.json", "/v1/nothing"):
            assert server.client.get(path).status_code in (401, 404)
