"""Ingest: records a second of CPU time, and peak memory at growing numbers of records.

    python benchmarks/ingest.py [--counts 10000 100000 1000000] [--rounds 3] [--out benchmarks/results/ingest.json]

A synthetic set in SLAKE's layout (one JSON array, twenty questions an image) is read by ``bimedix2.data.ingest``:
to JSON lines, to Parquet, and with the SHA-256 of each image. Beside it stands the loop that people write by hand,
``json.load`` of the whole file, a dict a row, ``json.dumps`` a line, which checks nothing: no schema, no image, no
repeated id, no row that is in two splits. Each run is a process of its own. Peak memory is the highest anonymous
memory, sampled every 5 ms: the file itself is mapped and its pages belong to the page cache. Figures are medians of
CPU time, which a busy neighbour disturbs less, on one thread; files are read from the page cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

QUESTIONS_AN_IMAGE = 20
IMAGE_BYTES = b"\xff\xd8\xff\xe0" + bytes(12_000)


def make_set(root: Path, count: int) -> None:
    """Write ``count`` questions and their images."""
    folder = root / "slake"
    folder.mkdir(parents=True)
    with (folder / "train.json").open("w", encoding="utf-8") as file:
        file.write("[")
        for n in range(count):
            file.write((", " if n else "") + json.dumps(row_of(n)))
        file.write("]")
    for n in range(0, count, QUESTIONS_AN_IMAGE):
        path = folder / "imgs" / row_of(n)["img_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGE_BYTES + n.to_bytes(4, "big"))


def row_of(n: int) -> dict[str, Any]:
    """A row as SLAKE has it."""
    image = n // QUESTIONS_AN_IMAGE
    return {
        "img_id": image, "img_name": f"xm{image // 1000}/{image}.jpg", "qid": n,
        "question": f"Is the lesion in slice {n} larger than before?",
        "answer": "Yes, it has grown by two millimetres.",
        "q_lang": "en", "location": "Abdomen", "modality": "CT", "answer_type": "CLOSED", "base_type": "vqa",
        "content_type": "Size", "triple": ["vhead", "_", "_"],
    }  # fmt: skip


def by_hand(root: Path, out: Path) -> None:
    """What a script without any check does."""
    rows = json.loads((root / "slake" / "train.json").read_text(encoding="utf-8"))
    records = [
        {
            "id": f"slake:{row['qid']}:en",
            "turns": [
                {"role": "user", "text": row["question"], "language": "en", "images": [0]},
                {"role": "assistant", "text": row["answer"], "language": "en"},
            ],
            "images": [{"path": f"slake/imgs/{row['img_name']}"}],
            "task": "vqa", "modality": row["modality"].lower(), "source": "slake", "licence": "CC-BY-4.0",
        }
        for row in rows
        if row["q_lang"] == "en"
    ]  # fmt: skip
    with out.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def ours(suffix: str, *, hash_images: bool = False) -> Callable[[Path, Path], None]:
    """Ingest into a file of this kind."""

    def run(root: Path, out: Path) -> None:
        from bimedix2.data.ingest import IngestSettings, ingest

        ingest("slake", root, out.with_suffix(suffix), IngestSettings(hash_images=hash_images))

    return run


RUNS: dict[str, Callable[[Path, Path], None]] = {
    "by hand, no checks": by_hand,
    "ingest to JSON lines": ours(".jsonl"),
    "ingest to Parquet": ours(".parquet"),
    "ingest with image hashes": ours(".jsonl", hash_images=True),
}


def anonymous_mib() -> float:
    """Anonymous memory of this process now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no RssAnon in /proc/self/status")


def one_run(name: str, root: Path, out: Path) -> None:
    """Run once in this process and print CPU seconds, wall seconds and the peak."""
    peak, done = [anonymous_mib()], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    RUNS[name](root, out)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done.set()
    watcher.join()
    print(json.dumps({"cpu_s": cpu, "wall_s": wall, "peak_mib": peak[0]}))


def measure(counts: list[int], rounds: int) -> list[dict[str, Any]]:
    """Every run at every count, rounds interleaved."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "sets"
            make_set(root, count)
            found: dict[str, list[dict[str, float]]]
            large = count >= 1_000_000  # once and without the others: memory is the question there
            found = {name: [] for name in (["ingest to JSON lines"] if large else RUNS)}
            for round_number in range(1 if large else rounds):
                for name in found:
                    out = Path(scratch) / f"{round_number}-{len(name)}" / "records"
                    out.parent.mkdir(exist_ok=True)
                    command = [sys.executable, __file__, "--one", name, str(root), str(out)]
                    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                    found[name].append(json.loads(shown))
        for name, runs in found.items():
            median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            rows.append({
                "records": count,
                "run": name,
                "records_per_cpu_second": round(count / median["cpu_s"]),
                "cpu_s": round(median["cpu_s"], 3),
                "wall_s": round(median["wall_s"], 3),
                "peak_mib": round(median["peak_mib"], 1),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def cpu_name() -> str:
    """Of the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def main() -> None:
    """Measure and write the results."""
    if sys.argv[1:2] == ["--one"]:
        one_run(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = {
        "machine": {
            "cpu": cpu_name(),
            "python": sys.version.split()[0],
            "msgspec": version("msgspec"),
            "pyarrow": version("pyarrow"),
            "date": date.today().isoformat(),
            "command": " ".join(["python", *sys.argv]),
        },
        "rows": measure(arguments.counts, arguments.rounds),
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
