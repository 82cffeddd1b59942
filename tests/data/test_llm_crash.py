"""kill -9 at random moments: the output is that of a run left alone, and no stored reply is asked for again."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from llm_records import findings, record

from bimedix2.records import write_jsonl

HERE = Path(__file__).parent
KILLS, ROWS = 12, 150
_RUN = """
import sys
from pathlib import Path
from bimedix2.data.llm.settings import RunSettings, Server
from bimedix2.data.llm.workspace import Work, run_work
from bimedix2.data.translate.settings import TranslateSettings
from bimedix2.data.translate.step import Translate
folder, url = Path(sys.argv[1]), sys.argv[2]
server = Server(address=url, model="writer", timeout_s=20.0)
step = Translate(TranslateSettings(audit_share=0.2))
settings = RunSettings(concurrency=8)
out = folder / "out.jsonl"
servers = {"writer": server, "critic": server}
summary, error = run_work(Work(step, [folder / "in.jsonl"], out, folder / "work", servers, settings))
assert error is None, error
print(summary.lost)
"""


@dataclass(frozen=True)
class GatedServer:
    """A server in a process of its own, which answers no more requests than it is allowed to."""

    url: str
    log: Path
    gate: Path

    def allow(self, answers: int) -> None:
        """Set how many requests may be answered in all; written whole, for the server reads it at any moment."""
        part = self.gate.with_suffix(".part")
        part.write_text(str(answers), "utf-8")
        part.replace(self.gate)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GatedServer]:
    log, gate = tmp_path / "requests.jsonl", tmp_path / "gate"
    log.touch()
    gate.write_text("0", "utf-8")
    command = [sys.executable, str(HERE / "llm_server.py"), str(log), "0.02", str(gate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield GatedServer(process.stdout.readline().strip(), log, gate)
    process.kill()
    process.wait()


def write_input(folder: Path) -> None:
    """Good rows, one that may not be translated, and one that is no record."""
    closed = record("closed", "What is seen here?", "A mass.", licence="CC-BY-ND-4.0")
    write_jsonl(folder / "in.jsonl", [*findings(ROWS), closed])
    with (folder / "in.jsonl").open("ab") as file:
        file.write(b'{"id": "half')


def start(folder: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _RUN, str(folder), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def keys(log: Path) -> list[str]:
    return [json.loads(line)["key"] for line in log.read_text("utf-8").splitlines()]


def stored(folder: Path) -> set[str]:
    path = folder / "work" / "ledger.sqlite"
    if not path.is_file():
        return set()
    connection = sqlite3.connect(path)
    try:
        return {key for (key,) in connection.execute("SELECT request_key FROM replies")}
    except sqlite3.OperationalError:  # killed before it made the tables
        return set()
    finally:
        connection.close()


def undated(path: Path) -> str:
    """A file without what differs between folders and days."""
    text = path.read_text("utf-8").replace(str(path.parent), "")
    return re.sub(r'"date":"\d{4}-\d\d-\d\d"', "", text)


def test_a_dozen_kills_leave_no_trace_and_cost_no_reply_twice(tmp_path: Path, server: GatedServer) -> None:
    url, log = server.url, server.log
    folder, rng = tmp_path / "killed", random.Random(7)
    write_input(folder)
    remembered: list[tuple[int, set[str]]] = []
    allowed = 0
    for kill in range(KILLS):
        # However slow the machine is at killing, the runs together get fewer answers than the work needs.
        answers = rng.randrange(0, 2 * ROWS // KILLS)
        allowed += answers
        server.allow(allowed)
        wanted = len(keys(log)) + answers
        process = start(folder, url)
        until = time.monotonic() + 20
        while len(keys(log)) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(rng.random() * (0.4 if kill % 4 == 0 else 0.02))  # some die before their first request
        process.kill()
        process.communicate()
        # What the server got before the kill may still reach its log for a moment.
        time.sleep(0.1)
        remembered.append((len(keys(log)), stored(folder)))
    assert sum(len(known) > 0 for _, known in remembered) >= KILLS // 2
    assert len(remembered[-1][1]) < 2 * ROWS, "every run was over before its kill"
    server.allow(1_000_000)
    last = start(folder, url)
    output, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    log_now = keys(log)
    for seen, known in remembered:
        assert not known & set(log_now[seen:])
    # What was under way at a kill may be asked twice, eight at most each time.
    assert len(log_now) - len(set(log_now)) <= 8 * KILLS
    assert len(set(log_now)) == 2 * ROWS

    clean = tmp_path / "clean"
    write_input(clean)
    process = start(clean, url)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    for name in ("out.jsonl", "work/review.jsonl", "out.quarantine.jsonl"):
        assert undated(folder / name) == undated(clean / name), name
    assert len((folder / "out.jsonl").read_text("utf-8").splitlines()) == ROWS
    assert len((folder / "out.quarantine.jsonl").read_text("utf-8").splitlines()) == 2
    assert int(output) >= 0
