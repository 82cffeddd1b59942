"""The audit log: a chain that shows changes, survives crashes, and without which nothing is served."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from security_tools import bearer, canary, serving

from bimedix2.serve.store.audit import START, AuditError, AuditLog, entries, verify
from bimedix2.serve.store.failures import StorageError


def fill(path: Path, count: int = 4) -> AuditLog:
    log = AuditLog(path)
    for number in range(count):
        log.record(who="key_1", action="chat", outcome="done", objects=(f"upload{number}",), counts={"tokens": number})
    return log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_the_chain_by_hand(path: Path) -> None:
    fill(path)
    assert path.stat().st_mode & 0o777 == 0o600
    previous = "0" * 64
    for number, line in enumerate(path.read_text().splitlines(), 1):
        entry = json.loads(line)
        digest = entry.pop("hash")
        text = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        assert (entry["n"], entry["previous"]) == (number, previous)
        assert entry["objects"] == [hashlib.sha256(f"upload{number - 1}".encode()).hexdigest()]
        previous = digest
    verdict = verify(path)
    assert verdict.sound and (verdict.lines, verdict.last) == (4, previous)


def test_it_goes_on_after_a_restart(path: Path) -> None:
    fill(path).close()
    fill(path).close()
    assert verify(path).sound and verify(path).lines == 8 and [entry["n"] for entry in entries(path)] == [*range(1, 9)]


@pytest.mark.parametrize(
    ("change", "broken"),
    [(lambda lines: [lines[0], lines[1].replace("chat", "read"), *lines[2:]], 2),
     (lambda lines: [lines[0], *lines[2:]], 2),
     (lambda lines: lines[1:], 1),
     (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
     (lambda lines: [*lines, lines[-1]], 5),
     (lambda lines: [*lines[:3], "not json", lines[3]], 4)],
)  # fmt: skip
def test_every_change_is_found(path: Path, change, broken: int) -> None:
    fill(path)
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    verdict = verify(path)
    assert not verdict.sound and verdict.broken == broken


def test_a_cut_or_rewritten_log_does_not_hold_a_noted_hash(path: Path) -> None:
    fill(path)
    noted = verify(path).last
    assert verify(path, noted).sound and verify(path, START).sound
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert verify(path).sound and verify(path, noted).found is False and not verify(path, noted).sound


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_taken_off_and_told(path: Path, cut: int) -> None:
    fill(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert verify(path).torn and not verify(path).sound
    AuditLog(path).close()
    verdict = verify(path)
    found = list(entries(path))
    assert verdict.sound and [entry["action"] for entry in found] == ["chat"] * 3 + ["recovered"]
    torn = whole.splitlines(keepends=True)[-1][:-cut]
    assert found[-1]["objects"] == [hashlib.sha256(torn).hexdigest()] and found[-1]["counts"] == {"bytes": len(torn)}


def test_a_process_killed_while_writing_leaves_a_log_that_goes_on(path: Path) -> None:
    code = f"""
import os, threading
from pathlib import Path
from bimedix2.serve.store.audit import AuditLog
log = AuditLog(Path({str(path)!r}))
for number in range(40):
    log.record(who="a", action="chat", outcome="begun")
os.write(log._file, b'{{"n": 41, "who"')
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    fill(path, 1).close()
    verdict = verify(path)
    assert verdict.sound and verdict.lines == 42


def test_a_damaged_end_is_not_built_upon(path: Path) -> None:
    fill(path).close()
    path.write_text(path.read_text().replace('"n": 4', '"n": 5'))
    with pytest.raises(AuditError):
        AuditLog(path)


def test_threads_share_one_chain(path: Path) -> None:
    log = AuditLog(path)
    work = [threading.Thread(target=fill_with, args=(log, f"key_{number}")) for number in range(8)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert verify(path).sound and verify(path).lines == 80


def fill_with(log: AuditLog, who: str) -> None:
    for _ in range(10):
        log.record(who=who, action="chat", outcome="done")


def test_a_full_disk_leaves_whole_lines_alone(path: Path) -> None:
    """A limit on the size of files stands for a full disk: the system itself refuses the rest of the line."""
    code = f"""
import resource, signal
from pathlib import Path
from bimedix2.serve.store.audit import AuditLog
from bimedix2.serve.store.failures import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(path)!r})
log = AuditLog(path)
log.record(who="a", action="chat", outcome="done")
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        log.record(who="a", action="chat", outcome="done")
    except StorageError as error:
        print(error.status)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.record(who="b", action="chat", outcome="done")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["503", "503"]
    assert verify(path).sound and [entry["who"] for entry in entries(path)] == ["a", "b"]


def test_a_link_is_not_followed(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        AuditLog(path)


def test_nothing_is_served_that_is_not_in_the_log(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        assert server.chat().status_code == 200
        audit = server.parts.audit
        real, full = audit._file, os.open("/dev/full", os.O_RDWR)  # every write to it says "no space left"
        audit._file = full
        try:
            reply = server.chat(canary("question"))
            assert reply.status_code == 503 and reply.json()["error"]["code"] == "storage_unavailable"
            assert canary("question") not in reply.text, "the echo engine's answer went out"
            for method, address in (("POST", "/v1/conversations"), ("DELETE", "/v1/data")):
                assert server.client.request(method, address, json={}).status_code == 503
            assert server.client.get("/v1/conversations").json()["data"] == []
        finally:
            audit._file = real
            os.close(full)
        assert server.chat().status_code == 200
    assert verify(tmp_path / "d" / "audit.jsonl").sound


def test_what_a_chat_leaves(tmp_path: Path) -> None:
    with serving(tmp_path / "d") as server:
        secret, key = server.parts.guard.keys.create("anna")
        server.chat(canary("question"), headers=bearer(secret))
        made = server.client.post("/v1/conversations", json={"title": canary("title")}, headers=bearer(secret)).json()
        server.client.get(f"/v1/conversations/{made['id']}", headers=bearer(secret))
    text = (tmp_path / "d" / "audit.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    assert {entry["who"] for entry in found} == {key.id}
    assert [(entry["action"], entry["outcome"]) for entry in found[:2]] == [("chat", "begun"), ("chat", "done")]
    assert found[0]["model"] and found[0]["request"]
    assert found[-1]["objects"] == [hashlib.sha256(made["id"].encode()).hexdigest()]
    assert "CANARY" not in text and secret not in text and made["id"] not in text and "anna" not in text


def test_commands(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    log = fill(tmp_path / "d" / "audit.jsonl")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bimedix2.cli", "audit", *words, "--data", str(tmp_path / "d")]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "BIMEDIX2_LANG": ""}
        )

    checked = run("verify")
    assert checked.returncode == 0 and checked.stdout.split() == ["4", log._last] and "سليمة" in checked.stderr
    assert run("verify", "--contains", log._last).returncode == 0 and run("verify", "--contains", "ab").returncode == 1
    assert [json.loads(line)["n"] for line in run("tail", "-n", "2").stdout.splitlines()] == [3, 4]
    text = log.path.read_text()
    log.path.write_text(text.replace('"tokens": 2', '"tokens": 9'))
    assert run("verify").returncode == 1
