"""What one would write without this package, for ``data_scale.py``: python data_scale_peer.py TOOL WHAT SOURCE OUT.

``python`` reads whole files with ``json``; ``polars`` needs polars alone. Neither checks a record, keeps its
provenance, says why one was left out, or finds near duplicates.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

TARGET = 0.4  # Arabic share


def ingest_python(source: Path, out: Path) -> None:
    """LLaVA's rows to records."""
    with source.open(encoding="utf-8") as file:
        rows = json.load(file)
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_record(row), ensure_ascii=False) + "\n" for row in rows)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    turns = [
        {"role": "user" if turn["from"] == "human" else "assistant", "text": turn["value"].replace("<image>\n", "")}
        for turn in row["conversations"]
    ]
    return {"id": row["id"], "turns": turns, "images": [{"path": row["image"]}], "source": "scale"}


def dedup_python(source: Path, out: Path) -> None:
    """The first record of those with equal texts and images."""
    seen: set[int] = set()
    with source.open(encoding="utf-8") as file, out.open("w", encoding="utf-8") as made:
        for line in file:
            row = json.loads(line)
            key = hash((tuple(turn["text"] for turn in row["turns"]), row["images"][0]["path"]))
            if key not in seen:
                seen.add(key)
                made.write(line)


def mix_python(source: Path, out: Path) -> None:
    """Lines by language in memory, a sample of each, shuffled."""
    groups: dict[str, list[str]] = defaultdict(list)
    with source.open(encoding="utf-8") as file:
        for line in file:
            groups[json.loads(line)["turns"][-1]["language"]].append(line)
    rng, total = random.Random(0), min(len(groups["ar"]) / TARGET, len(groups["en"]) / (1 - TARGET))
    lines = rng.sample(groups["ar"], int(total * TARGET)) + rng.sample(groups["en"], int(total * (1 - TARGET)))
    rng.shuffle(lines)
    with out.open("w", encoding="utf-8") as made:
        made.writelines(lines)


def ingest_polars(source: Path, out: Path) -> None:
    """LLaVA's rows to records."""
    import polars as pl

    frame = pl.read_json(source)
    turn = pl.element().struct
    turns = pl.col("conversations").list.eval(
        pl.struct(
            pl.when(turn.field("from") == "human").then(pl.lit("user")).otherwise(pl.lit("assistant")).alias("role"),
            turn.field("value").str.replace("<image>\n", "", literal=True).alias("text"),
        )
    )
    frame.select("id", turns.alias("turns"), pl.col("image").alias("images")).write_ndjson(out)


def dedup_polars(source: Path, out: Path) -> None:
    """The first record of those with equal turns and images."""
    import polars as pl

    frame = pl.read_ndjson(source)
    key = pl.struct("turns", "images").hash().alias("key")
    frame.with_columns(key).unique("key", keep="first", maintain_order=True).drop("key").write_ndjson(out)


def mix_polars(source: Path, out: Path) -> None:
    """Samples of both languages, shuffled."""
    import polars as pl

    frame = pl.read_ndjson(source)
    arabic = pl.col("turns").list.last().struct.field("language") == "ar"
    parts = frame.filter(arabic), frame.filter(~arabic)
    total = min(len(parts[0]) / TARGET, len(parts[1]) / (1 - TARGET))
    chosen = parts[0].sample(int(total * TARGET), seed=0), parts[1].sample(int(total * (1 - TARGET)), seed=0)
    pl.concat(chosen).sample(fraction=1.0, shuffle=True, seed=0).write_ndjson(out)


def main(tool: str, what: str, source: Path, out: Path) -> None:
    """Run one and print CPU seconds, wall clock and peak memory."""
    work = globals()[f"{what}_{tool}"]
    if tool == "polars":
        import polars  # noqa: F401 - its import is no part of the work
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text(encoding="utf-8")
            peak[0] = max(peak[0], int(status.partition("RssAnon:")[2].split()[0]))

    threading.Thread(target=watch, daemon=True).start()
    cpu, wall = time.process_time(), time.perf_counter()
    work(source, out)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done.set()
    print(json.dumps({"cpu_s": round(cpu, 2), "wall_s": round(wall, 2), "peak_mb": round(peak[0] / 1e3)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
