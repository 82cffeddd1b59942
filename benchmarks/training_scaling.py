"""Two processes against one (equal losses), and the time to resume at step 10 and at step 10,000.

    python benchmarks/training_scaling.py [--out benchmarks/results/training_scaling.json]

A toy of the 8B's structure on made-up bilingual texts. On two shared cores the processes have a core each; the toy is
too small for a speed-up to mean anything, so only losses are compared. For the resume, a checkpoint of the untrained
weights is stored as if so many steps were done, and the run is started until its first step is made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nano_speed import machine

COUNT = 12_000
WORDS = {"en": "the left lung is clear and no acute finding is seen", "ar": "الرئة اليسرى سليمة ولا توجد علامات حادة"}


def records(count: int) -> list[Any]:
    """Texts in both languages; each fills a pack of its own."""
    from bimedix2.records import Record, Turn

    made = []
    for number in range(count):
        language: Any = ("en", "ar")[number % 2]
        turns = (
            Turn(role="user", text=f"{number}?", language=language),
            Turn(role="assistant", text=f"{WORDS[language]} {number}", language=language),
        )
        made.append(
            Record(id=str(number), turns=turns, task="qa", modality="text", source="made up", licence="CC0-1.0")
        )
    return made


def bundle() -> Any:
    """The toy."""
    from bimedix2.model.toy import toy_bundle

    return toy_bundle("llama", [*WORDS.values(), "0123456789?"] * 3)


def recipe(engine: str, packs: int) -> Any:
    """One stage of LoRA over all texts."""
    from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe

    stage = StageRecipe("instruct", lr=1e-3, projector_lr=1e-3, packs_per_step=packs)
    settings: Any = {"engine": engine, "pack_tokens": 320, "checkpoint_steps": 100_000, "workers": 1}
    return Recipe("toy", (), (stage,), lora=LoraRecipe(4, 8, 0.0), **settings)


def train(run: Path, engine: str, count: int, packs: int, stop: Callable[[], bool] = lambda: False) -> None:
    """Train on ``count`` texts, from the last checkpoint on."""
    from bimedix2.train.run import train_records

    train_records(recipe(engine, packs), records(count), bundle, run, run, lambda *_: None, stop)


def losses(run: Path) -> list[float]:
    """Loss of every step."""
    from bimedix2.train.watch.log import read_log

    return [row["loss"] for row in read_log(run).steps]


def gap(work: Path, engine: str) -> float:
    """Largest relative difference between the losses of two processes and of one."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = work / engine
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, "--worker", engine]
    subprocess.run([sys.executable, *command, str(run)], check=True, env=environment)
    pairs = zip(losses(work / "none"), losses(run), strict=True)
    return max(abs(one - two) / one for one, two in pairs)


def place_checkpoint(run: Path, step: int) -> None:
    """Store the untrained weights as the state after ``step`` steps."""
    import torch

    from bimedix2.model import add_adapter, lora_config
    from bimedix2.train.checkpoint import latest_checkpoint, load_state, save_checkpoint
    from bimedix2.train.optim import make_optimizer, select_trained

    last = latest_checkpoint(run)
    assert last is not None
    made = json.loads((last / "state.json").read_text(encoding="utf-8"))
    state = load_state(last, made["recipe"], made["manifest"])
    settings = recipe("none", 1)
    model = bundle().model
    torch.manual_seed(settings.seed)
    add_adapter(model, lora_config(4, 8, 0.0))
    optimizer = make_optimizer(select_trained(model, settings.stages[0]), settings.stages[0])
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    kept = {key: state[key] for key in ("recipe", "manifest")}
    save_checkpoint(run, 0, step, model, optimizer, kept, keep=1, rank=0, world=1)


def resume_seconds(run: Path, step: int) -> float:
    """Wall clock from the call to the end of the first step after ``step``."""
    place_checkpoint(run, step)
    started = time.monotonic()
    train(run, "none", COUNT, 1, lambda: True)
    return time.monotonic() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        train(Path(arguments.worker[1]), arguments.worker[0], 60, 4)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train(work / "none", "none", 60, 4)
        gaps = {engine: gap(work, engine) for engine in ("ddp", "fsdp2")}
        run = work / "long"
        train(run, "none", COUNT, 1, lambda: True)  # prepares the data once
        rounds = [{step: resume_seconds(run, step) for step in (10, 10_000)} for _ in range(arguments.rounds)]
    result = {
        "question": "do two processes give the losses of one; does a late resume cost more than an early one",
        "loss_difference_of_two_processes": gaps,
        "steps_of_the_run": COUNT,
        "resume_seconds": {str(step): round(statistics.median(row[step] for row in rounds), 2) for step in rounds[0]},
        "rounds": arguments.rounds,
        "machine": machine(),
        "command": "python benchmarks/training_scaling.py --out benchmarks/results/training_scaling.json",
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
