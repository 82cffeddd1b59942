"""Row 50 of the table of bad inputs, and what else goes wrong around a server: it says so, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import asked, png, uri
from bad_answers import Whole, named, whole
from test_api_command import started
from test_engines_bad_upstream import chunk, raw_upstream, status, stream_of

from bimedix2.errors import ConfigError
from bimedix2.serve.app import create_app
from bimedix2.serve.auth.clock import SystemClock
from bimedix2.serve.auth.errors import QuotaError
from bimedix2.serve.auth.quotas import Spend
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.local import LocalEngine
from bimedix2.serve.engines.upstream import UpstreamEngine
from bimedix2.serve.settings import Limits, ServeSettings
from bimedix2.serve.store.audit import verify
from bimedix2.serve.store.failures import StorageError

STORAGE = "storage_unavailable"


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A file system of its own; skips where this user may not mount one."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("needs a small file system of its own, and this user may not mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    if file.write(bytes(size)) != size:
                        break
            except OSError:
                continue
    return path


def is_ready(server: Whole, ready: bool) -> dict[str, Any]:
    """What /health says, which both languages and no key can read."""
    answer = server.send("GET", "/health", key=None)
    assert (answer.status_code, answer.json()["ready"]) == (200 if ready else 503, ready), answer.text
    problem = answer.json()["problem"]
    assert (problem is None) is ready
    if not ready:
        assert problem["en"] and problem["ar"] and problem["en"] != problem["ar"]
        assert str(server.folder.parent) not in answer.text
    return dict(answer.json())


def test_50_a_full_disk(tmp_path: Path) -> None:
    """Nothing is answered that could not be noted; what was there is there afterwards, and it goes on by itself."""
    with small_disk(tmp_path / "disk") as disk, whole(disk) as server:
        talk = server.send("POST", "/v1/conversations", json={"title": "kept"}).json()["id"]
        upload = server.upload(png(), "x.png").json()["id"]
        shown = server.send("GET", f"/v1/uploads/{upload}/image").content
        assert server.ask().status_code == 200
        filler = fill(disk)
        is_ready(server, False)
        refusals = 0
        for number in range(60):
            fill(disk)  # a log that is cut back, or SQLite's, gives a block free again
            before = _begun(server)
            answer = server.ask(stream=bool(number % 2), headers={"accept-language": "ar"})
            if answer.status_code == 200:  # the line has still found room in the log's last block
                assert _begun(server) == before + 1, "an answer was given that is not in the audit log"
                continue
            refusals += 1
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, STORAGE)
            assert "القرص" in answer.json()["error"]["message"]
            assert _begun(server) == before
            if refusals == 10:
                break
        assert refusals == 10
        fill(disk)
        named(lambda headers: server.upload(png(400, 300), "x.png", headers), 503, STORAGE)
        named(
            lambda headers: server.send("POST", "/v1/conversations", json={"title": "x"}, headers=headers), 503, STORAGE
        )
        named(
            lambda headers: server.send("PUT", f"/v1/conversations/{talk}", json={"title": "x"}, headers=headers),
            503,
            STORAGE,
        )
        assert server.send("GET", "/", key=None).status_code == 200
        filler.unlink()
        is_ready(server, True)
        assert server.ask().status_code == 200
        assert server.send("GET", f"/v1/conversations/{talk}").json()["title"] == "kept"
        assert server.send("GET", f"/v1/uploads/{upload}/image").content == shown
        assert len(list((server.folder / "uploads").iterdir())) == 1, "half an upload was left behind"
        found = verify(server.folder / "audit.jsonl")
        assert found.sound, found


def _begun(server: Whole) -> int:
    found = (json.loads(line) for line in (server.folder / "audit.jsonl").read_text().splitlines())
    return sum(entry["action"] == "chat" and entry["outcome"] == "begun" for entry in found)


def test_50_what_answers_took_is_charged_when_the_disk_has_room_again(tmp_path: Path) -> None:
    """A full disk gives nobody more than a day's quota."""
    with small_disk(tmp_path / "disk") as disk, whole(disk) as server:
        quotas = server.server.app.state.parts.guard.quotas
        owner = server.keys.find(server.admin).id
        assert server.ask("one two three").json()["usage"]["total_tokens"] == 8
        filler = fill(disk)
        for _ in range(3):
            with pytest.raises(StorageError):
                quotas.charge(owner, Spend(100, 1))
        with pytest.raises(QuotaError):
            quotas.hold(owner, Spend(1), Spend(tokens=300))
        assert quotas.used(owner) == Spend(8)
        filler.unlink()
        assert server.ask("one two three").status_code == 200
        assert server.server.until(lambda: quotas.used(owner) == Spend(316, 3))


def test_50_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Modes say nothing to root, so the file system itself is read-only."""
    with small_disk(tmp_path / "disk") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for folder in (disk, disk / "new"):
            with pytest.raises(ConfigError) as caught:
                create_app(ServeSettings(data=folder, engine="echo"), EchoEngine())
            assert caught.value.code == "data_folder"
            assert caught.value.message_ar != caught.value.message


def test_50_a_model_that_is_not_there(tmp_path: Path) -> None:
    engine = LocalEngine(ServeSettings(data=tmp_path, model=str(tmp_path / "missing")))
    with whole(tmp_path, engine) as server:
        assert server.server.until(lambda: "missing" in str(engine.state().problem) or engine.state().problem is None)
        is_ready(server, False)
        for stream in (False, True):
            named(lambda headers, s=stream: server.ask(stream=s, headers=headers), 503)
        upload = server.upload(png(), "x.png")  # everything but answers goes on
        assert upload.status_code == 200
        assert server.send("POST", "/v1/export/markdown", json={"report": {"text": "x"}}).status_code == 200
        assert server.send("GET", "/", key=None).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        lambda peer: None,
        lambda peer: peer.sendall(b"garbage\r\n\r\n"),
        status("500 Internal Server Error", "secret"),
        status("200 OK", "<html>login</html>"),
        stream_of("data: {"),
        stream_of(chunk("half")),
    ],
    ids=["hangs up", "garbage", "500", "HTML", "cut JSON", "half an answer"],
)
def test_an_upstream_that_answers_nonsense(tmp_path: Path, answer: Callable[[Any], None]) -> None:
    with raw_upstream(answer) as url:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="m", upstream=url))
        with whole(tmp_path, engine) as server:
            assert server.server.until(lambda: engine.state().ready)
            error = named(lambda headers: server.ask(asked(uri(png())), headers=headers), 503, "engine_unavailable")
            assert "secret" not in str(error)
            assert server.server.until(lambda: engine.state().running == 0)
    assert verify(tmp_path / "data" / "audit.jsonl").sound


def test_an_upstream_that_is_down_slow_and_back(tmp_path: Path) -> None:
    def slow(peer: Any) -> None:
        stream_of()(peer)
        time.sleep(30)

    with raw_upstream(slow) as url:
        engine = UpstreamEngine(ServeSettings(data=tmp_path, model="m", upstream=url))
        limits = Limits(seconds=0.5, requests_per_minute=1000)
        with whole(tmp_path, engine, limits=limits) as server:
            assert server.server.until(lambda: engine.state().ready)
            named(lambda headers: server.ask(headers=headers), 504, "deadline_passed")
            assert server.server.until(lambda: engine.state().running == 0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    engine = UpstreamEngine(ServeSettings(data=tmp_path, model="echo", upstream=f"http://127.0.0.1:{port}/v1"))
    with whole(tmp_path, engine) as server:
        is_ready(server, False)
        named(lambda headers: server.ask(headers=headers), 503, "engine_unavailable")
        with started(tmp_path / "up", "--port", str(port)):
            assert server.server.until(lambda: server.ask().status_code == 200, 30), (
                "it does not find the upstream again"
            )
            is_ready(server, True)


@pytest.mark.parametrize("years", [-20, 20])
def test_a_clock_that_is_set_wrong_and_right_again(tmp_path: Path, years: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = years * 365 * 86_400
    real = time.time
    with whole(tmp_path) as server:
        talk = server.send("POST", "/v1/conversations", json={"title": "kept"}).json()["id"]
        upload = server.upload(png(), "x.png").json()["id"]
        retention = next(
            work.__self__ for work in server.server.app.state.parts.background if hasattr(work.__self__, "sweep")
        )
        for wall in (lambda _: real() + ahead, lambda _: real()):
            monkeypatch.setattr(SystemClock, "wall", wall)
            retention.sweep()
            is_ready(server, True)
            assert server.ask().status_code == 200
            assert server.send("GET", f"/v1/conversations/{talk}").json()["title"] == "kept"
            assert server.send("GET", f"/v1/uploads/{upload}").status_code == 200
    assert verify(tmp_path / "data" / "audit.jsonl").sound


def test_two_servers_on_one_folder(tmp_path: Path) -> None:
    with whole(tmp_path) as server:
        talk = server.send("POST", "/v1/conversations", json={"title": "kept"}).json()["id"]
        for _ in range(2):
            with pytest.raises(ConfigError) as caught:
                create_app(ServeSettings(data=server.folder, engine="echo"), EchoEngine())
            assert caught.value.code == "busy"
            is_ready(server, True)
            assert server.ask().status_code == 200
        assert server.send("GET", f"/v1/conversations/{talk}").json()["title"] == "kept"
    assert verify(tmp_path / "data" / "audit.jsonl").sound


def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    """By SIGKILL, while answers are being written and things are being kept."""
    kept: list[str] = []
    for _ in range(3):
        with started(tmp_path, "--port", "0") as (process, url):
            transport = httpx.HTTPTransport(retries=5)
            with httpx.Client(base_url=url, trust_env=False, transport=transport, timeout=30) as client:
                titles = {found["title"] for found in client.get("/v1/conversations").json()["data"]}
                assert titles >= set(kept), "a conversation is lost whose keeping was confirmed"
                for number in range(5):
                    title = f"{len(kept)}-{number}"
                    if client.post("/v1/conversations", json={"title": title}).status_code in (200, 201):
                        kept.append(title)
                body = {"messages": [{"role": "user", "content": "word " * 2000}], "stream": True, "max_tokens": 2000}
                with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    next(answer.iter_bytes())
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait(30)
    assert len(kept) == 15
    with started(tmp_path, "--port", "0"):
        pass  # takes off a line that was cut short
    found = verify(tmp_path / "data" / "audit.jsonl")
    assert found.sound and found.lines >= 18, found
