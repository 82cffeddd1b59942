"""A tiny model in training, for tests of checkpoints; also run as a script by them, where a process must die."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from bimedix2.errors import BiMediX2Error
from bimedix2.model import add_adapter, lora_config
from bimedix2.train.checkpoint import latest_checkpoint, restore, save_checkpoint, trained_parameters
from bimedix2.train.optim import make_optimizer, select_trained
from bimedix2.train.recipe import StageRecipe
from tiny import tiny_bundle

STATE = {"recipe": "r1", "manifest": "m1"}
STAGE = StageRecipe("instruct", lr=1e-2, projector_lr=1e-3, encoder_lr=1e-3, unfreeze_blocks=1)


def fresh(seed: int = 0, kind: str = "llava", stage: StageRecipe = STAGE, lora: bool = True) -> tuple[Any, Any]:
    """A model whose adapters depend on the seed, and its optimiser."""
    torch.manual_seed(seed)
    model = tiny_bundle(kind).model
    torch.manual_seed(seed)
    if lora:
        add_adapter(model, lora_config(4, 8, 0.0))
    trained = select_trained(model, stage)
    with torch.no_grad():
        for parameter in trained_parameters(model).values():
            parameter += 0.1 * torch.randn_like(parameter)
    return model, make_optimizer(trained, stage)


def updates(model: Any, optimizer: Any, count: int, seed: int = 0, skip: str = "nothing") -> None:
    """Optimiser steps with random gradients; parameters with ``skip`` in their name get none."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for name, parameter in trained_parameters(model).items():
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = None if skip in name else gradient
        optimizer.step()


def save(run: Path, step: int, model: Any, optimizer: Any, stage: int = 0, keep: int = 2) -> Path:
    return save_checkpoint(run, stage, step, model, optimizer, dict(STATE), keep=keep, rank=0, world=1)


def constant(model: Any, optimizer: Any, value: int) -> None:
    """Every number of the training state becomes ``value``, so that a mixture of two checkpoints would show."""
    with torch.no_grad():
        for parameter in trained_parameters(model).values():
            parameter.fill_(value)
            for tensor in optimizer.state[parameter].values():
                tensor.fill_(value)


def values(model: Any, optimizer: Any) -> set[float]:
    """Every distinct number of the training state."""
    tensors = list(trained_parameters(model).values())
    tensors += [tensor for parameter in tensors for tensor in optimizer.state[parameter].values()]
    return {float(number) for tensor in tensors for number in tensor.detach().unique()}


def kill_while_saving(run: Path, kills: int) -> list[dict[str, Any]]:
    """Kill -9 a child at a random moment of its saving, again and again; what could be loaded after each."""
    model, optimizer = fresh()
    updates(model, optimizer, 1)
    constant(model, optimizer, 1)
    save(run, 1, model, optimizer)  # the code is warm, and there is something to lose
    started = time.monotonic()
    save(run, 2, model, optimizer)
    length, seen, draw = time.monotonic() - started, [], random.Random(0)
    for _ in range(kills):
        # keep=1: when the new one is there, the old one goes
        child = os.fork()
        if child == 0:
            for step in range(3, 10**6):
                if latest_step(run) < step:
                    constant(model, optimizer, step)
                    save(run, step, model, optimizer, keep=1)
        time.sleep(draw.uniform(1, 3) * length)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        restore(latest_checkpoint(run) or Path("none"), model, optimizer)
        left = [path.name for path in (run / "checkpoints").iterdir()]
        seen.append({"step": latest_step(run), "values": sorted(values(model, optimizer)), "left": left})
    return seen


def latest_step(run: Path) -> int:
    found = latest_checkpoint(run)
    return int(found.name.split("-")[1]) if found else 0


def save_until_it_fails(run: Path, limit: int) -> dict[str, Any]:
    """Save with a limit on the size of a file, or (0) until the disk is full."""
    model, optimizer = fresh()
    updates(model, optimizer, 1)
    save(run, 1, model, optimizer)
    step = 1
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        for step in range(2, 1000):
            save(run, step, model, optimizer, keep=1000)
    except BiMediX2Error as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        names = sorted(path.name for path in (run / "checkpoints").iterdir())
        restore(latest_checkpoint(run) or Path("none"), model, optimizer)
        return {"code": error.code, "en": error.message, "ar": error.message_ar, "step": step, "left": names}
    return {"code": "none"}


def save_on_a_full_disk(run: Path, _: int) -> dict[str, Any]:
    """As if the disk filled up after the free space was looked at, so that the writing itself fails."""
    shutil.disk_usage = lambda _: SimpleNamespace(free=10**12)  # type: ignore[assignment]
    return save_until_it_fails(run, 0)


def save_above_limits(run: Path, _: int) -> list[dict[str, Any]]:
    """The projector has 7 kB, the encoder block 10, the adapter 19, the optimiser 94: each limit stops another."""
    return [save_until_it_fails(run / str(limit), limit) for limit in (1_000, 8_000, 15_000, 60_000)]


WORK = {"kill": kill_while_saving, "full": save_on_a_full_disk, "limits": save_above_limits}

if __name__ == "__main__":
    work, folder, number = sys.argv[1:]
    print(json.dumps(WORK[work](Path(folder), int(number))))
