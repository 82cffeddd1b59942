"""The data line by number of records: records a CPU second, peak memory; runners and other tools beside.

    python benchmarks/data_scale.py FOLDER [--sizes 10000 100000 1000000 1600000] [--slow-most 100000]
        [--direct 1000000] [--runners 20000] [--peer PYTHON] [--out FILE.json] [--join FILE.json …]

A bilingual set in LLaVA's form (one JSON array; half of the rows are translations, one pair in 25 is repeated, 40
records an image) goes through the steps of ``bimedix2 data build``: each in a process of its own, on one core, with the
files of the step before. ``--slow-most`` is the largest size for ``check`` and ``phi``, whose time is proportional to
the records. From ``--direct`` on the records are written as they are, without ``ingest`` (``ingest.py`` measures it)
and ``shard``. ``--runners`` is the size at which one process, two and Ray are compared: hash of the files, CPU and wall
clock. ``--peer`` is a Python with polars, for ``data_scale_peer.py``, which does what one would write without this
package. FOLDER needs some 7 kB a record. Writes benchmarks/results/data_scale.{json,md}, or another file, after every
step; ``--join`` adds the rows of other runs to it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from data_scale_report import told
from data_scale_set import direct, linked, make_set

RESULTS = Path(__file__).parent / "results"
PEER = Path(__file__).with_name("data_scale_peer.py")
LINE = ("ingest", "check", "phi", "dedup", "decontaminate", "mix", "shard")
SLOW = ("check", "phi")


def step(name: str, folder: Path, source: Path, runner: Any) -> Path:
    """Do one step of the line and return its folder."""
    from bimedix2.data.build import recipe as r
    from bimedix2.data.build.job import Job, Place
    from bimedix2.data.build.steps import STEPS

    options = {"file": "set.json", "name": "scale", "licence": "CC0-1.0", "task": "vqa", "modality": "xray"}
    settings = {
        "ingest": r.IngestRecipe((r.SourceRecipe("llava", options=options),)),
        "check": r.CheckRecipe(action="report", encoder=False),
        "phi": r.PhiRecipe(),
        "dedup": r.DedupRecipe(images="path"),
        "decontaminate": r.DecontaminateRecipe(images=False),
        "mix": r.MixRecipe(targets={"ar/*/*": 0.4}, unit="tokens", tokens="words"),
        "shard": r.ShardRecipe(phi="allow"),
    }
    place = Place(r.BuildRecipe("scale", settings["ingest"]), folder, folder, folder, lambda en, ar: None, runner)
    out = folder / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    next(one for one in STEPS if one.name == name).run(Job(place, settings[name], out, source, {}))
    return out


def one(name: str, folder: Path, source: Path, runner: str, workers: int) -> None:
    """A step in this process: prints CPU seconds, also of workers, wall clock, peak memory, hash of the records."""
    from bimedix2.cache import sha256_file
    from bimedix2.data.runner import open_runner

    peak, done, spent = [0.0], threading.Event(), dict[int, float]()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous_mb())
            spent.update(cpu_of_others())

    with open_runner(runner, workers) as found:
        threading.Thread(target=watch, daemon=True).start()
        before = sum(cpu_of_others().values())  # the start of Ray
        wall, cpu = time.perf_counter(), time.process_time()
        out = step(name, folder, source, found)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        done.set()
        cpu += sum({**spent, **cpu_of_others()}.values()) - before
    records = out / "records.jsonl"
    facts = {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2), "peak_mb": round(peak[0])}
    print(json.dumps({**facts, "sha256": sha256_file(records) if records.is_file() else ""}))


def processes() -> Iterator[tuple[int, list[str]]]:
    """This process's descendants, with the fields of their ``stat``."""
    table = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            table[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
    mine = {os.getpid()}
    while new := {number for number, fields in table.items() if int(fields[1]) in mine} - mine:
        mine |= new
    yield from ((number, table[number]) for number in mine - {os.getpid()})


def cpu_of_others() -> dict[int, float]:
    """CPU seconds so far of all processes below this one; those that end are the caller's to remember."""
    tick = os.sysconf("SC_CLK_TCK")
    return {number: (int(fields[11]) + int(fields[12])) / tick for number, fields in processes()}


def anonymous_mb() -> float:
    """Memory of this process and all below it, but for pages of files, which the system can take back."""
    total = 0
    for number in [os.getpid(), *(number for number, _ in processes())]:
        try:
            text = Path(f"/proc/{number}/status").read_text()
        except OSError:  # it has ended
            continue
        total += int(text.partition("RssAnon:")[2].split()[0]) if "RssAnon:" in text else 0
    return total / 1e3


def child(command: list[Any]) -> dict[str, Any]:
    """Run a process and read the JSON that it prints last."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_line(folder: Path, count: int, slow_most: int, direct_from: int) -> Iterator[dict[str, Any]]:
    """Every step at one size."""
    from bimedix2.records import write_jsonl

    source = folder / "set.json"
    if count < direct_from:
        make_set(folder, count)
    else:
        source = folder / "linked.jsonl"
        write_jsonl(source, direct(count))
    for name in LINE if count < direct_from else ("dedup", "decontaminate", "mix"):
        if name in SLOW and count > slow_most:
            continue
        given = count if name == "ingest" else count_lines(source)
        found = child([sys.executable, __file__, folder, "--one", name, source, "local", 1])
        yield {"size": count, "step": name, "records": given, **found}
        source = folder / name / "records.jsonl"
        if name == "ingest":
            source = folder / "linked.jsonl"
            write_jsonl(source, linked(folder / "ingest/records.jsonl"))


def count_lines(path: Path) -> int:
    """Records of a file."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def run_runners(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """One process, two, and Ray on the same records."""
    from bimedix2.records import write_jsonl

    make_set(folder, count)
    child([sys.executable, __file__, folder, "--one", "ingest", folder / "set.json", "local", 1])
    source = folder / "linked.jsonl"
    write_jsonl(source, linked(folder / "ingest/records.jsonl"))
    for name in ("check", "phi", "dedup", "decontaminate"):
        for runner, workers in (("local", 1), ("local", 2), ("ray", 2)):
            found = child([sys.executable, __file__, folder, "--one", name, source, runner, workers])
            yield {"size": count, "step": name, "runner": runner, "workers": workers, "records": count, **found}


def run_peers(folder: Path, python: str) -> Iterator[dict[str, Any]]:
    """Plain Python and polars on the files that the line has left."""
    files = {
        "ingest": folder / "set.json",
        "dedup": folder / "linked.jsonl",
        "mix": folder / "decontaminate/records.jsonl",
    }
    for what, source in files.items():
        for tool in ("python", "polars"):
            found = child([python, PEER, tool, what, source, folder / f"peer-{what}.jsonl"])
            yield {"size": count_lines(folder / "linked.jsonl"), "step": what, "tool": tool, **found}


def main(options: argparse.Namespace) -> None:
    """Run everything; the result is written after every step."""
    result: dict[str, Any] = {"line": [], "runners": [], "peers": [], "slow_most": options.slow_most, **about()}

    def keep(part: str, rows: Iterator[dict[str, Any]]) -> None:
        for row in rows:
            result[part].append(row)
            print(part, json.dumps(row), flush=True)
            save(options.out, result)

    def fresh(name: str) -> Path:
        shutil.rmtree(options.folder / name, ignore_errors=True)
        (options.folder / name).mkdir(parents=True)
        return Path(options.folder / name).absolute()

    if options.runners:
        keep("runners", run_runners(fresh("runners"), options.runners))
    for size in options.sizes:
        folder = fresh(str(size))
        with closing(run_line(folder, size, options.slow_most, options.direct)) as rows:
            keep("line", rows)
        if options.peer:
            keep("peers", run_peers(folder, options.peer))
        shutil.rmtree(folder)


def save(out: Path, result: dict[str, Any]) -> None:
    """The figures, and the page beside them."""
    result["line"].sort(key=lambda row: (row["size"], LINE.index(row["step"])))
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(told(result), encoding="utf-8")


def join(out: Path, others: list[Path]) -> None:
    """Add the rows of other runs."""
    result = json.loads(out.read_bytes())
    for path in others:
        for part in ("line", "runners", "peers"):
            result[part] += json.loads(path.read_bytes())[part]
    save(out, result)


def about() -> dict[str, Any]:
    """Machine and versions."""
    from bimedix2 import __version__

    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = text.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    machine = f"{name or platform.machine()}, {len(os.sched_getaffinity(0))} cores"
    return {"version": __version__, "python": platform.python_version(), "machine": machine, "load": os.getloadavg()[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000, 1_600_000])
    parser.add_argument("--slow-most", type=int, default=100_000)
    parser.add_argument("--direct", type=int, default=10**9)
    parser.add_argument("--runners", type=int, default=20_000)
    parser.add_argument("--peer", default="")
    parser.add_argument("--out", type=Path, default=RESULTS / "data_scale.json")
    parser.add_argument("--join", type=Path, nargs="*")
    parser.add_argument("--one", nargs=4)
    given = parser.parse_args()
    if given.one:
        one(given.one[0], given.folder, Path(given.one[1]), given.one[2], int(given.one[3]))
    elif given.join:
        join(given.out, given.join)
    else:
        main(given)
