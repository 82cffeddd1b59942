"""Each lever of our trainer alone, on and off: same model, same samples, same loss.

    python benchmarks/trainers_levers.py [--samples 24] [--rounds 5] [--threads 2] [--out benchmarks/results]

A measurement is a forward and backward pass over all samples (for pictures and tokens: reading them all). On and off
take turns in one process (on, off, on, off, …) after a first round that is not counted; medians of CPU seconds and
wall clock, and the peak of memory above what the process held before. About seven minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainers import HERE, machine
from trainers_lever_sides import LEVERS, Bench, Measured
from trainers_model import Setting, write_work
from trainers_peer import Clock


@contextmanager
def peak() -> Iterator[list[float]]:
    """Gives a list that receives the peak of resident memory above its start in MB."""
    # Memory that an earlier side freed but the allocator kept would hide what this one needs.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, found = _status("VmRSS"), list[float]()
    yield found
    found.append(_status("VmHWM") - before)


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def measure(sides: dict[str, Measured], rounds: int) -> dict[str, Any]:
    """Interleaved rounds of all sides; their values must be equal."""
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    values: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, work in sides.items():
            with peak() as memory:
                clock = Clock()
                values[name] = work()
                taken = clock.read()
            if number:
                times[name].append((taken["cpu"], taken["wall"], memory[0]))
    for name, value in values.items():
        assert abs(value - values["on"]) <= 2e-5 * abs(values["on"]) + 1e-9, (name, values)
    columns = {
        name: [statistics.median(column) for column in zip(*found, strict=True)] for name, found in times.items()
    }
    return {
        name: {
            "cpu": float(f"{cpu:.4g}"),
            "wall": float(f"{wall:.4g}"),
            "peak_mb": round(memory),
            "ratio_cpu": float(f"{cpu / columns['on'][0]:.3g}"),
        }
        for name, (cpu, wall, memory) in columns.items()
    }


def markdown(report: dict[str, Any]) -> str:
    """The results file."""
    where, data = report["machine"], report["data"]
    lines = [
        "# Each lever of the trainer alone", "",
        f"{where['cpu']}, {report['threads']} pinned threads of {where['cores']} cores, load before: "
        f"{where['load_average_before']}; {where['date']}. `{where['command']}`", "",
        f"The model of `trainers.md`, {data['samples']} conversations, half of them with an image, "
        f"{data['per_image']} about each image; forward and backward pass in float32, or reading. Values of all rows "
        f"of a lever are equal to 2e-5. Medians of {report['rounds']} interleaved rounds; memory is the peak above "
        "what was held before.", "",
        "| lever | | CPU s | wall s | off / on | MB |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, rows in report["levers"].items():
        titles = {"on": LEVERS[name][1], "off": LEVERS[name][2]}
        for place, (side, row) in enumerate(rows.items()):
            shown = "" if side == "on" else f"{row['ratio_cpu']:g} ×"
            first = name.replace("_", " ") if place == 0 else ""
            title = titles.get(side, side)
            lines.append(f"| {first} | {title} | {row['cpu']:g} | {row['wall']:g} | {shown} | {row['peak_mb']} |")
    remarks = [
        "", "On a GPU the rows `head` and `large head` are no advantage over TRL, which there projects supervised "
        "positions only. `pictures` and `tokenising` matter where the processors cannot keep up with the GPU.", "",
    ]  # fmt: skip
    return "\n".join([*lines, *remarks])


def main() -> None:
    """Measure and write trainers_levers.json and .md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--per-image", type=int, default=3)
    parser.add_argument("--levers", default=",".join(LEVERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    where = machine(HERE / "trainers_levers.py", sys.argv[1:])
    import torch

    torch.set_num_threads(options.threads)
    report: dict[str, Any] = {"machine": where, "threads": options.threads, "rounds": options.rounds, "levers": {}}
    report["data"] = {"samples": options.samples, "per_image": options.per_image}
    report["versions"] = {"torch": torch.__version__, "python": sys.version.split()[0]}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        write_work(work, Setting(samples=options.samples, per_image=options.per_image))
        bench = Bench(work, Path(folder) / "store")
        for name in options.levers.split(","):
            started = time.perf_counter()
            report["levers"][name] = measure(LEVERS[name][0](bench), options.rounds)
            print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "trainers_levers.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (options.out / "trainers_levers.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report))


if __name__ == "__main__":
    main()
