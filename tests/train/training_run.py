"""Whole runs of the trainer on several processes, for tests; torchrun starts this file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.errors import ModelError
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.run import train_records
from bimedix2.train.signals import stop_on_signals
from bimedix2.train.watch.log import read_log
from tiny import tiny_bundle

STAGES = (
    StageRecipe("align", "projector", lr=1e-2, packs_per_step=2),
    StageRecipe("instruct", epochs=2, lr=1e-2, projector_lr=1e-3, encoder_lr=1e-3, unfreeze_blocks=1, packs_per_step=3),
)


def recipe(engine: str) -> Recipe:
    """Steps of two packs (one has none left in the last round) and of three (one process has two, the other one)."""
    settings: dict[str, Any] = {"stages": STAGES, "lora": LoraRecipe(4, 8, 0.1), "holdout": 0.1, "eval_steps": 3}
    return Recipe(
        model="tiny", records=(), engine=engine, checkpoint_steps=2, pack_tokens=300, workers=1,  # type: ignore[arg-type]
        timeout_minutes=1, **settings,
    )  # fmt: skip


def records(root: Path) -> list[Record]:
    """Six pictures with a question in English or Arabic, and as many texts."""
    draw, found = np.random.default_rng(0), []
    for number in range(6):
        name = f"{number}.png"
        if not (root / name).exists():
            Image.fromarray(draw.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(root / name)
        found.append(_record(f"i{number}", "Is it CT?" if number % 2 else "ماذا يظهر؟", f"lung {number}", name))
        found.append(_record(f"t{number}", "What is clear?", "the left lung " * 3 + str(number)))
    return found


def _record(name: str, question: str, answer: str, image: str = "") -> Record:
    language: Any = "ar" if "؟" in question else "en"
    return Record(
        id=name,
        turns=(
            Turn(role="user", text=question, language=language, images=(0,) if image else ()),
            Turn(role="assistant", text=answer, language=language),
        ),
        images=(ImageRef(path=image),) if image else (),
        task="vqa",
        modality="ct" if image else "text",
        source="test",
        licence="CC0-1.0",
    )


def train(root: Path, name: str, engine: str, stop: Callable[[], bool] = lambda: False) -> bool:
    """Train, or go on, in ``root / name``."""
    load = lambda: tiny_bundle("llava")  # noqa: E731
    return train_records(recipe(engine), records(root), load, root, root / name, lambda *_: None, stop)


def losses(run: Path) -> list[tuple[str, int, float]]:
    """Stage, step and loss of every step of a run."""
    return [(row["stage"], row["step"], row["loss"]) for row in read_log(run).steps]


def signal_in_process_1(number: int, after: int) -> None:
    """Send a real signal to process 1 (0: an error in it) after some steps, while the others go on."""
    count = 0

    def asked() -> bool:
        nonlocal count
        count += 1
        if count == after and os.environ["RANK"] == "1":
            if number == 0:
                raise ModelError("only in process 1", code="out_of_memory")
            os.kill(os.getpid(), number)
        return stop()

    root, name, engine = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    with stop_on_signals() as stop:
        finished = train(root, name, engine, asked)
    if finished:
        raise SystemExit("the signal did not stop the run")


if __name__ == "__main__":
    work = sys.argv[1]
    if work == "whole":
        assert train(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        signal_in_process_1({"term": signal.SIGTERM, "kill": signal.SIGKILL, "error": 0}[work], after=int(sys.argv[5]))
