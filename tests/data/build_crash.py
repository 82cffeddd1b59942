"""The whole line, language model and all, killed with kill -9 at random moments and run again.

Used by ``test_build_crash.py`` and by ``benchmarks/data_crash.py``. The model is the server of ``llm_server.py`` in a
process of its own, whose log has a line a request; its replies are the only thing that costs money.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import build_files as bf

from bimedix2.records import read_jsonl, write_jsonl

HERE = Path(__file__).parent
IN_FLIGHT = 4  # requests at once, which a kill may cut off
RECIPE = """
name: crash set
ingest:
  records: [own.jsonl]
  sources:
    - {source: pneumoniamnist, options: {per_class: "2"}}
translate:
  checks: false
  audit_share: 0.3
  endpoint: {address: URL, model: writer-1, concurrency: 4, timeout_s: 60}
check: {action: report, encoder: false}
phi: {action: redact}
dedup: {action: drop}
decontaminate: {held_out: [{source: pneumoniamnist}]}
mix: {tokens: words}
shard: {phi: allow, records_per_shard: 20}
card: {description: A set., description_ar: مجموعة., plots: false}
"""


@contextmanager
def serving(log: Path, seconds: float, gate: Path | None = None) -> Iterator[str]:
    """The server's address; ``gate`` is a file with the number of requests that may be answered so far."""
    log.touch()
    command = [sys.executable, str(HERE / "llm_server.py"), str(log), str(seconds), *([str(gate)] if gate else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def write_set(folder: Path, url: str, pairs: int) -> Path:
    """Own English records without translation, films, and the recipe."""
    recipe = bf.write_set(folder, pairs)
    own = folder / "own.jsonl"
    write_jsonl(own, [one for one in read_jsonl(own) if one.turns[0].language == "en"])
    recipe.write_text(RECIPE.replace("URL", url), encoding="utf-8")
    return recipe


def keys(log: Path) -> list[str]:
    """Keys of the requests so far, in their order."""
    return [json.loads(line)["key"] for line in log.read_text("utf-8").splitlines()]


def stored(out: Path) -> set[str]:
    """Keys whose replies are in a ledger of the build."""
    found: set[str] = set()
    for path in (out / "work").glob("*/ledger.sqlite"):
        connection = sqlite3.connect(path)
        try:
            found |= {key for (key,) in connection.execute("SELECT request_key FROM replies")}
        except sqlite3.OperationalError:  # killed before it made the tables
            pass
        finally:
            connection.close()
    return found


@dataclass
class Tally:
    """What the kills did.

    Attributes:
        killed_in: kills by the step that was at work.
        rounds: builds that were begun anew and came to their end.
        differs: files with other bytes than those of the undisturbed build.
        left_over: scratch files.
        requests: that the server got; ``distinct``: those with keys of their own; ``undisturbed``: of one build.
        asked_again: requests whose reply was stored when they were sent.
        cut_off: requests that were sent again since a kill had cut off their reply.
    """

    killed_in: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    differs: set[str] = field(default_factory=set)
    left_over: set[str] = field(default_factory=set)
    requests: int = 0
    distinct: int = 0
    undisturbed: int = 0
    asked_again: int = 0
    cut_off: int = 0
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """All of them."""
        return sum(self.killed_in.values())


def crash(folder: Path, kills: int, pairs: int, seed: int = 0, seconds: float = 0.02) -> Tally:
    """Build undisturbed; then build anew, again and again in the same folder, with kills at random moments.

    A round goes on until a run is complete. Its end is compared with the undisturbed build.
    """
    log, tally, moments = folder / "requests.jsonl", Tally(), random.Random(seed)
    with serving(log, seconds) as url:
        recipe, out = write_set(folder, url, pairs), folder / "out"
        started = time.monotonic()
        assert run(recipe, out) == 0, "the undisturbed build fails"
        tally.seconds = time.monotonic() - started
        wanted, asked = bf.contents(out), set(keys(log))
        tally.undisturbed = len(asked)
        while tally.kills < kills:
            shutil.rmtree(out)
            log.write_text("")
            known = kill_often(recipe, out, log, kills, tally, moments)
            assert run(recipe, out) == 0, "the last build fails"
            compare(tally, wanted, asked, out, keys(log), known)
    return tally


def compare(
    tally: Tally, wanted: dict[str, str], asked: set[str], out: Path, now: list[str], known: list[tuple[int, set[str]]]
) -> None:
    found = bf.contents(out)
    tally.rounds += 1
    tally.differs |= {name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)}
    tally.left_over |= leftovers(out)
    assert set(now) == asked, "other requests than those of the undisturbed build"
    tally.requests += len(now)
    tally.distinct += len(asked)
    tally.cut_off += len(now) - len(asked)
    tally.asked_again += sum(len(own & set(now[seen:])) for seen, own in known)


def kill_often(
    recipe: Path, out: Path, log: Path, kills: int, tally: Tally, moments: random.Random
) -> list[tuple[int, set[str]]]:
    """Kill one run after the other until one is complete; (requests so far, keys of stored replies) after each kill."""
    known: list[tuple[int, set[str]]] = []
    while tally.kills < kills:
        process = subprocess.Popen(command(recipe, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Each run only does what is left: with moments over the whole time most would come too late.
            process.wait(moments.random() * tally.seconds * moments.choice((0.4, 0.7, 1.0)))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        tally.killed_in[at_work(out)] += 1
        time.sleep(0.1)  # what the server got before the kill may still reach its log
        known.append((len(keys(log)), stored(out)))
    return known


def at_work(out: Path) -> str:
    """The step that the log says was begun last and not done."""
    log = out / "build.log.jsonl"
    if not log.is_file():
        return "start"
    last = json.loads(log.read_bytes().splitlines()[-1])
    return str(last["step"]) if last["event"] == "start" else f"after {last['step']}"


def leftovers(out: Path) -> set[str]:
    """Scratch files and folders; locks stay on purpose."""
    return {str(path.relative_to(out)) for path in out.rglob(".*") if not path.name.endswith(".lock")}


def command(recipe: Path, out: Path) -> list[str]:
    """The build's command line, with two workers."""
    data = str(recipe.parent / "data")
    own = ["data", "build", str(recipe), "--data", data, "--out", str(out), "--workers", "2"]
    return [sys.executable, "-m", "bimedix2.cli", *own]


def run(recipe: Path, out: Path) -> int:
    """Build to the end; what it said is shown if it fails."""
    done = subprocess.run(command(recipe, out), capture_output=True, check=False, timeout=300)
    if done.returncode:
        sys.stderr.write(done.stderr.decode())
    return done.returncode
