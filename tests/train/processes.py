"""A tiny model on several processes, for tests of engines and checkpoints; torchrun starts this file."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from samples_in_memory import MemoryTokens, make_tokens
from saving import STATE

from bimedix2.errors import BiMediX2Error
from bimedix2.model import add_adapter, lora_config
from bimedix2.train.checkpoint import restore, save_checkpoint, trained_parameters
from bimedix2.train.engine import Engine
from bimedix2.train.forward.batch import build_batch
from bimedix2.train.forward.vlm import PackModel
from bimedix2.train.loop import select_after_wrap
from bimedix2.train.optim import make_optimizer, select_trained
from bimedix2.train.plan.packs import Pack, pack_epoch
from bimedix2.train.recipe import StageRecipe
from tiny import IMAGE, tiny_bundle

STAGE = StageRecipe("instruct", lr=1e-2, projector_lr=1e-3, encoder_lr=1e-3, unfreeze_blocks=1)
SAVED_AT, STEPS = 2, 4


def picture(index: int) -> NDArray[np.uint8]:
    return np.random.default_rng(index).integers(0, 255, (IMAGE, IMAGE, 3), dtype=np.uint8)


def image_and_text(bundle: Any) -> tuple[MemoryTokens, list[Pack]]:
    """Two packs: one about an image, and one of text, which leaves its process without any image."""
    draw = np.random.default_rng(1)
    shown = [12, 13, *[bundle.image_token_id] * bundle.tokens_per_image]
    answer, text = draw.integers(10, 60, 9).tolist(), draw.integers(10, 60, 40).tolist()
    tokens = make_tokens(
        [
            {
                "ids": shown + answer,
                "supervised": [False] * (len(shown) + 2) + [True] * 7,
                "images": (0,),
                "prefix": len(shown),
            },
            {"ids": text, "supervised": [False] * 4 + [True] * 36},
        ]
    )
    one = np.ones(1, dtype=np.int64)
    rows = (np.array([row]) for row in range(2))
    packs = [pack_epoch(tokens.table, row, one, budget=500, images=0, seed=0, epoch=0)[0] for row in rows]
    return tokens, packs


class Training:
    """The tiny model under an engine; ``seed`` gives the adapters' first values."""

    def __init__(self, engine: Engine, seed: int) -> None:
        bundle = tiny_bundle("llava")
        self.engine, self.model = engine, bundle.model
        torch.manual_seed(seed)
        # Rank 1: a factor of one row, so that one of two processes holds nothing of it.
        add_adapter(self.model, lora_config(1, 2, 0.0))
        trained = select_trained(self.model, STAGE)
        with torch.no_grad():
            for parameter in trained_parameters(self.model).values():
                parameter += 0.05 * torch.randn_like(parameter)
        self.forward = engine.wrap(PackModel(self.model, bundle.image_token_id, bundle.image_policy))
        self.optimizer = make_optimizer(select_after_wrap(self.model, trained), STAGE)
        self.tokens, self.packs = image_and_text(bundle)

    def step(self) -> float:
        """One optimiser step on both packs, shared out over the processes; the mean loss before it."""
        rank, world, total = self.engine.rank, self.engine.world, torch.zeros(1, dtype=torch.float64)
        supervised = int(self.tokens.table.supervised.sum())
        numbers = range(rank, -(-len(self.packs) // world) * world, world)
        for number in numbers:
            real = float(number < len(self.packs))  # one without work does another's, with weight 0
            with self.engine.accumulate(self.forward, last=number == numbers[-1]):
                pack = self.packs[number if real else 0]
                loss, _ = self.forward(build_batch(pack, self.tokens, picture, IMAGE))
                (real * loss * world / supervised).backward()
            total += real * float(loss.detach())
        self.engine.finish_gradients()
        self.engine.clip(trained_parameters(self.model).values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(self.engine.total(total)) / supervised

    def look(self) -> None:
        """A forward pass alone, as in a validation: FSDP2 may leave whole weights in place after it."""
        with torch.no_grad():
            self.forward(build_batch(self.packs[self.engine.rank % 2], self.tokens, picture, IMAGE))

    def save(self, run: Path, step: int) -> Path:
        self.look()
        rank, world = self.engine.rank, self.engine.world
        return save_checkpoint(run, 0, step, self.model, self.optimizer, dict(STATE), keep=9, rank=rank, world=world)

    def state(self) -> dict[str, torch.Tensor]:
        """Whole parameters and moments, by the library's own gathering."""
        found = {}
        for name, parameter in trained_parameters(self.model).items():
            found[name] = parameter.detach()
            found |= {f"{name}|{kind}": value for kind, value in self.optimizer.state[parameter].items()}
        whole = {name: getattr(tensor, "full_tensor", lambda tensor=tensor: tensor)() for name, tensor in found.items()}
        return {name: tensor.clone() for name, tensor in whole.items()}


def train_and_save(engine: Engine, run: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of all steps, and the state at the checkpoint between them."""
    training, losses, state = Training(engine, seed=0), [], {}
    for step in range(STEPS):
        losses.append(training.step())
        if step + 1 == SAVED_AT:
            training.save(run, SAVED_AT)
            state = training.state()
    return losses, state


def load_and_train(engine: Engine, run: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses of the steps after the checkpoint, and the state right after loading."""
    training = Training(engine, seed=7)
    training.step()  # something to overwrite
    restore(run / "checkpoints" / f"00-{SAVED_AT:06d}", training.model, training.optimizer)
    state = training.state()
    return [training.step() for _ in range(SAVED_AT, STEPS)], state


def disk_of_one_process(engine: Engine, run: Path) -> dict[str, Any]:
    """Process 1 cannot write; all must hear of it, and the next save must work."""
    training = Training(engine, seed=0)
    training.step()
    if engine.rank == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    code = ""
    try:
        training.save(run, 1)
    except BiMediX2Error as error:
        code = error.code
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    engine.barrier()
    left = [path.name for path in (run / "checkpoints").iterdir()]
    training.save(run, 2)
    codes: list[Any] = [None] * engine.world
    torch.distributed.all_gather_object(codes, code)
    return {"codes": codes, "left": left, "after": [path.name for path in (run / "checkpoints").iterdir()]}


def save_under(folder: Path, names: tuple[str, ...]) -> None:
    """Train and save under each engine."""
    for name in names:
        _write(folder, f"save-{name}", *train_and_save(Engine(name), folder / name))  # type: ignore[arg-type]


def load_under(folder: Path, names: tuple[str, ...], sources: tuple[str, ...]) -> None:
    """Load what each engine of ``sources`` saved under each of ``names``, and go on."""
    for name in names:
        for source in sources:
            done = load_and_train(Engine(name), folder / source)  # type: ignore[arg-type]
            _write(folder, f"load-{source}-{name}", *done)


def _write(folder: Path, name: str, losses: list[float], state: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    if Engine("auto").rank == 0:
        save_file({key: value.contiguous() for key, value in state.items()}, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(json.dumps(losses))


def _engines(folder: Path) -> None:
    save_under(folder, ("fsdp2", "ddp"))
    load_under(folder, ("fsdp2", "ddp"), ("none", "fsdp2", "ddp"))


def _disk(folder: Path) -> None:
    for name in ("fsdp2", "ddp"):
        done = disk_of_one_process(Engine(name), folder / name)  # type: ignore[arg-type]
        (folder / f"{name}.json").write_text(json.dumps(done))


if __name__ == "__main__":
    WORK: dict[str, Callable[[Path], None]] = {"engines": _engines, "disk": _disk}
    WORK[sys.argv[1]](Path(sys.argv[2]))
    Engine("ddp").close()
