"""What several processes do in ``test_engine.py``; torchrun starts this file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from processes import Training

from bimedix2.train.engine import Engine
from bimedix2.train.forward.vlm import PackModel


class Checkpointed(Training):
    """Layers are recomputed in the backward pass."""

    def __init__(self, engine: Engine, seed: int) -> None:
        super().__init__(engine, seed)
        for module in self.forward.modules() if isinstance(self.forward, torch.nn.Module) else ():
            if isinstance(module, PackModel):
                module.checkpointing = True
        self.model.model.language_model.gradient_checkpointing_enable({"use_reentrant": False})
        self.model.train()


def losses(engine: Engine) -> list[float]:
    """Of steps with recomputed layers; an evaluation lies between them."""
    training = Checkpointed(engine, seed=0)
    found = [training.step(), training.step()]
    training.look()
    return [*found, training.step()]


def recompute(folder: Path) -> None:
    """Under each engine."""
    for name in ("ddp", "fsdp2"):
        engine = Engine(name)  # type: ignore[arg-type]
        found = losses(engine)
        if engine.rank == 0:
            (folder / f"{name}.json").write_text(json.dumps(found))


def root(folder: Path) -> None:
    """Which units FSDP2 made, and whether one root gathers them all after a step."""
    from torch.distributed.fsdp import FSDPModule

    training = Training(Engine("fsdp2"), seed=0)
    training.step()
    units = {
        name: module._get_fsdp_state()
        for name, module in training.forward.named_modules()  # type: ignore[attr-defined]
        if isinstance(module, FSDPModule)
    }
    found = {
        "roots": [name for name, state in units.items() if state._is_root],
        "units": len(units),
        "streams": len({id(state._comm_ctx) for state in units.values()}),
    }
    if dist.get_rank() == 0:
        (folder / "root.json").write_text(json.dumps(found))


def wait(folder: Path) -> None:
    """The first process takes longer than others wait for a collective."""
    engine = Engine("ddp", timeout=timedelta(seconds=2) / timedelta(minutes=1))
    if engine.rank == 0:
        time.sleep(5)
        (folder / "prepared").write_text("")
    engine.wait_for_first()
    (folder / f"{engine.rank}").write_text(str((folder / "prepared").exists()))


if __name__ == "__main__":
    WORK: dict[str, Callable[[Path], None]] = {"recompute": recompute, "root": root, "wait": wait}
    WORK[sys.argv[1]](Path(sys.argv[2]))
    Engine("ddp").close()
