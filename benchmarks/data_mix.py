"""Peak memory and speed of `data mix` on synthetic records: python benchmarks/data_mix.py FOLDER [10000 100000 ...].

Each size runs in a process of its own. The records are about 1 kB, half of them pairs in both languages, and the mix
takes half of its supervised words in Arabic. The comparison with test sets is not part of it: the report that `mix`
asks for is written by this script.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bimedix2.cache import sha256_file
from bimedix2.data.mix import MixSettings, run_mix
from bimedix2.records import ImageRef, Record, Turn, write_records

CELLS = [(m, t) for m in ("ct", "xray", "mri", "text") for t in ("vqa", "caption", "qa")]


def synthetic(count: int) -> Iterator[Record]:
    """Records of 12 cells in two languages."""
    for number in range(count):
        modality, task = CELLS[(number // 2) % len(CELLS)]
        language = "ar" if number % 2 and number % 3 else "en"
        word = "انصباب" if language == "ar" else "effusion"
        asked = f"{word} " * 30 + str(number)
        images = () if modality == "text" else (ImageRef(path=f"images/{number // 4}.png"),)
        yield Record(
            id=f"s:{number}",
            turns=(
                Turn(role="user", text=asked, language=language, images=tuple(range(len(images)))),
                Turn(role="assistant", text=f"{word} " * (20 + number % 40), language=language),
            ),
            images=images, task=task, modality=modality, source="synthetic", licence="CC0-1.0",
            pair_id=f"p:{number // 2}" if number % 4 < 2 else None,
        )  # fmt: skip


def prepare(folder: Path, count: int) -> Path:
    """The file of records with its report."""
    path = folder / f"{count}.jsonl"
    if not path.is_file():
        write_records(path, synthetic(count))
    about = {"mix": {"sha256": sha256_file(path)}, "offending_records": 0, "unreadable_images": 0, "date": ""}
    about |= {"test_sets": [], "settings": {"images": False}}
    path.with_name(f"{count}.decontamination.json").write_text(json.dumps(about), encoding="utf-8")
    return path


def one(path: Path) -> None:
    """Mix, and print what it took."""
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.monotonic()
    report = run_mix(
        MixSettings(
            (path,), path.with_name("mix.jsonl"), {"ar/*/*": 0.5}, unit="tokens", tokens="words", pairs_together=True,
            force=True,
        )
    )  # fmt: skip
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    read = report.content["read"]
    print(
        f"{read:9,d} read  {report.records:9,d} mixed  {seconds:7.1f} s  {read / seconds:7,.0f} records/s  "
        f"peak {peak:6.0f} MB ({start:.0f} MB before)  {report.content_sha256[:12]}",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(Path(sys.argv[2]))
    else:
        root = Path(sys.argv[1])
        root.mkdir(parents=True, exist_ok=True)
        for size in map(int, sys.argv[2:] or ("10000", "100000", "1000000")):
            subprocess.run([sys.executable, __file__, "--one", str(prepare(root, size))], check=True)
