"""Kept conversations: what comes back, for whom, within which bounds, and that deleting leaves nothing on the disk."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from security_tools import DAY, Clock, bearer, canary, serving

from bimedix2.errors import ConfigError
from bimedix2.serve.errors import ServeError
from bimedix2.serve.settings import Limits
from bimedix2.serve.store.conversations import Conversations
from bimedix2.serve.store.database import Database
from bimedix2.serve.store.failures import StorageError
from bimedix2.serve.store.message import clean_title
from bimedix2.serve.store.retention import Retention

PNG = "data:image/png;base64," + base64.b64encode(b"not looked at here").decode()
TALK: dict[str, Any] = {
    "title": "صدر",
    "mode": "report",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is 12 × 8 mm? ما هذا؟"},
                {"type": "image_url", "image_url": {"url": "upload:AbC_-9?frame=0&center=40&width=400"}},
                {"type": "image_url", "image_url": {"url": PNG}},
            ],
            "language": "ar",
            "created": 1_700_000_000.5,
        },
        {"role": "assistant", "content": "كتلة", "notices": [{"en": "a", "ar": "ب"}], "emergency": True, "junk": 1},
    ],
}


@pytest.fixture
def server(tmp_path: Path):
    with serving(tmp_path / "d") as found:
        yield found


def test_a_conversation_comes_back_with_its_attachments(server) -> None:
    made = server.client.post("/v1/conversations", json=TALK)
    assert made.status_code == 201
    found = server.client.get(f"/v1/conversations/{made.json()['id']}").json()
    assert found == made.json()
    assert (found["title"], found["mode"]) == ("صدر", "report") and found["created"] == found["updated"]
    first, second = found["messages"]
    for part in first["content"][1:]:
        assert part["image_url"].pop("detail") == "auto"  # OpenAI's default, written out
    assert first == TALK["messages"][0]
    assert second["content"] == [{"type": "text", "text": "كتلة"}] and second["emergency"] and "junk" not in second


def test_list_replace_delete(server) -> None:
    first, second = (server.client.post("/v1/conversations", json={"title": name}).json() for name in "ab")
    listed = server.client.get("/v1/conversations").json()["data"]
    assert [row["id"] for row in listed] == [second["id"], first["id"]] and "messages" not in listed[0]
    changed = server.client.put(f"/v1/conversations/{first['id']}", json={**TALK, "title": "c"}).json()
    assert changed["created"] == first["created"] and changed["updated"] > first["updated"]
    assert [row["title"] for row in server.client.get("/v1/conversations").json()["data"]] == ["c", "b"]
    assert server.client.delete(f"/v1/conversations/{first['id']}").status_code == 204
    assert server.client.get(f"/v1/conversations/{first['id']}").status_code == 404
    assert server.client.delete(f"/v1/conversations/{first['id']}").status_code == 404
    assert server.client.put(f"/v1/conversations/{first['id']}", json=TALK).status_code == 404


def test_somebody_elses_is_not_there(server) -> None:
    mine, theirs = (bearer(server.parts.guard.keys.create(name)[0]) for name in "ab")
    made = server.client.post("/v1/conversations", json=TALK, headers=mine).json()
    address = f"/v1/conversations/{made['id']}"
    unknown = server.client.get("/v1/conversations/" + "0" * 32, headers=theirs)
    for method, body in (("GET", None), ("PUT", TALK), ("DELETE", None)):
        reply = server.client.request(method, address, json=body, headers=theirs)
        assert reply.status_code == 404 and reply.text == unknown.text
    assert server.client.get("/v1/conversations", headers=theirs).json()["data"] == []
    assert server.client.delete("/v1/data", headers=theirs).json()["deleted"]["conversations"] == 0
    assert server.client.get(address, headers=mine).json() == made


@pytest.mark.parametrize(
    ("body", "status"),
    [({"mode": "other"}, 422), ({"messages": "x"}, 422), ({"title": 5}, 422),
     ({"messages": [{"role": "tool", "content": "x"}]}, 422),
     ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, 422),
     ({"messages": [{"role": "user", "content": "x"}] * 65}, 422),
     ({"messages": [{"role": "user", "content": "x" * 130_000}]}, 413),
     *(({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}, 422)
       for url in ("http://127.0.0.1/x.png", "file:///etc/passwd", "data:text/html;base64,AA", "upload:../../x",
                   "upload:a\" onerror=1", "data:image/svg+xml;base64,AA", "javascript:alert(1)"))],
)  # fmt: skip
def test_what_is_not_kept(server, body: dict[str, Any], status: int) -> None:
    reply = server.client.post("/v1/conversations", json=body, headers={"Accept-Language": "ar"})
    assert reply.status_code == status and any("\u0600" < x < "\u06ff" for x in reply.json()["error"]["message"])
    assert server.client.get("/v1/conversations").json()["data"] == []


@pytest.mark.parametrize("name", ["x", "1' OR '1'='1", "%27", "a" * 5000])
def test_odd_ids(server, name: str) -> None:
    assert server.client.get(f"/v1/conversations/{name}").status_code in (404, 431)


def test_titles_are_one_plain_line() -> None:
    assert clean_title("a\u202egnp.exe\n\0b  c") == "agnp.exe b c" and len(clean_title("x" * 999)) == 200


def test_nothing_is_kept_where_nothing_is_to_be_kept(tmp_path: Path) -> None:
    with serving(tmp_path / "d", keep=False) as server:
        reply = server.client.post("/v1/conversations", json=TALK)
        assert reply.status_code == 409 and reply.json()["error"]["code"] == "keeps_nothing"
        assert server.client.put("/v1/conversations/x", json=TALK).status_code == 409
        assert server.client.get("/v1/conversations").json()["data"] == []
        assert server.client.get("/api/session").json()["keep"] is False
    assert "كتلة".encode() not in b"".join(path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file())


def test_delete_now_leaves_nothing_on_the_disk(server) -> None:
    secret = canary("message")
    body = {"title": secret, "messages": [{"role": "user", "content": secret * 500}]}
    for _ in range(3):
        server.client.post("/v1/conversations", json=body)

    def on_disk() -> bool:
        return any(secret.encode() in path.read_bytes() for path in server.data.rglob("*") if path.is_file())

    assert on_disk()
    assert server.client.delete("/v1/data").json()["deleted"]["conversations"] == 3
    assert not on_disk(), "deleted text can still be read from the files"
    made = server.client.post("/v1/conversations", json=body).json()
    server.client.delete(f"/v1/conversations/{made['id']}")
    assert not on_disk()


def test_a_full_disk_is_a_503_and_nothing_is_lost(server) -> None:
    made = server.client.post("/v1/conversations", json={"title": "kept"}).json()
    database = server.parts.guard.keys._database
    real = database._connection

    def small() -> Any:
        connection = real()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 1}")  # SQLite's own SQLITE_FULL
        return connection

    database._connection = small
    text = "x" * 100_000
    reply = server.client.post("/v1/conversations", json={"messages": [{"role": "user", "content": text}]})
    assert reply.status_code == 503 and reply.json()["error"]["code"] == "storage_unavailable"
    assert int(reply.headers["retry-after"]) > 0
    assert [row["title"] for row in server.client.get("/v1/conversations").json()["data"]] == ["kept"]
    assert server.client.get(f"/v1/conversations/{made['id']}").status_code == 200


def test_two_servers_on_one_folder(tmp_path: Path) -> None:
    with serving(tmp_path / "d"), pytest.raises(ConfigError) as caught, serving(tmp_path / "d"):
        pass
    assert caught.value.code == "busy" and "آخر" in caught.value.message_ar


def test_one_owner_cannot_fill_the_table(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bimedix2.serve.store.conversations.PER_OWNER", 2)
    with serving(tmp_path / "d") as server:
        codes = [server.client.post("/v1/conversations", json={}).status_code for _ in range(3)]
        assert codes == [201, 201, 409]


def test_uploads_of_a_kept_conversation_are_touched(tmp_path: Path) -> None:
    from fastapi import FastAPI, Request
    from fastapi.testclient import TestClient

    from bimedix2.serve.principal import LOCAL_PRINCIPAL
    from bimedix2.serve.store.audit import AuditLog
    from bimedix2.serve.store.routes import conversations_router

    touched: list[tuple[str, set[str]]] = []
    database = Database(tmp_path / "d")
    audit = AuditLog(tmp_path / "d" / "audit.jsonl")
    app = FastAPI()

    @app.middleware("http")
    async def local(request: Request, call_next: Any) -> Any:
        request.state.principal = LOCAL_PRINCIPAL
        return await call_next(request)

    app.include_router(
        conversations_router(
            Conversations(database), Limits(), audit, lambda owner, names: touched.append((owner, names))
        )
    )
    TestClient(app).post("/v1/conversations", json=TALK)
    assert touched == [("local", {"AbC_-9"})]
    database.close()


@pytest.fixture
def kept(tmp_path: Path):
    clock = Clock()
    database = Database(tmp_path / "d")
    conversations = Conversations(database, clock=clock)
    yield clock, conversations, Retention({"conversations": conversations}, 24.0, clock)
    database.close()


def titles(conversations: Conversations) -> list[str]:
    return [found.title for found in conversations.list("a")]


def test_the_timer_deletes_what_nobody_has_used(kept) -> None:
    clock, conversations, retention = kept
    old = conversations.create("a", "old", "chat", [])
    conversations.create("a", "older", "chat", [])
    clock.pass_time(DAY - 1)
    conversations.replace("a", old.id, "used", "chat", [])
    assert retention.sweep() == {"conversations": 0}
    clock.pass_time(2)
    assert retention.sweep() == {"conversations": 1} and titles(conversations) == ["used"]


def test_reading_counts_as_use(kept) -> None:
    clock, conversations, retention = kept
    made = conversations.create("a", "read", "chat", [])
    clock.pass_time(DAY - 1)
    conversations.get("a", made.id)
    clock.pass_time(2)
    assert retention.sweep() == {"conversations": 0}
    clock.pass_time(DAY)
    assert retention.sweep() == {"conversations": 1}


def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day(kept) -> None:
    clock, conversations, retention = kept
    conversations.create("a", "x", "chat", [])
    clock.set_wall(clock.now + 400 * DAY)
    assert retention.sweep() == {} and titles(conversations) == ["x"]
    clock.set_wall(clock.now - 400 * DAY)
    assert retention.sweep() == {"conversations": 0}, "put right: sweeping goes on at once"
    clock.set_wall(clock.now + 400 * DAY)
    assert retention.sweep() == {}
    clock.pass_time(DAY)
    assert retention.sweep() == {"conversations": 1}, "a clock that stays there is believed"


def test_a_clock_that_goes_back_deletes_nothing(kept) -> None:
    clock, conversations, retention = kept
    conversations.create("a", "x", "chat", [])
    clock.set_wall(0.0)
    assert retention.sweep() == {"conversations": 0} and titles(conversations) == ["x"]


def test_a_store_that_fails_does_not_keep_the_others_from_forgetting(kept) -> None:
    clock, conversations, _ = kept

    class Broken:
        def purge(self, before: float) -> int:
            raise StorageError

        forget = purge

    conversations.create("a", "x", "chat", [])
    with pytest.raises(ServeError):
        Retention({"broken": Broken(), "conversations": conversations}, 1.0, clock).forget("a")
    assert titles(conversations) == []


def test_the_timer_goes_on_after_a_full_disk() -> None:
    calls = []

    class Failing:
        def purge(self, before: float) -> int:
            calls.append(before)
            raise StorageError

        def forget(self, owner: str) -> int:
            return 0

    async def main() -> None:
        retention = Retention({"x": Failing()}, 1.0, Clock())
        type(retention).pause = property(lambda self: 0.001)  # type: ignore[assignment]
        task = asyncio.ensure_future(retention.run())
        while len(calls) < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    pause = Retention.pause
    try:
        asyncio.run(asyncio.wait_for(main(), 10))
    finally:
        Retention.pause = pause  # type: ignore[method-assign]
