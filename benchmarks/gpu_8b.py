"""The 8B's training step on one GPU: tokens a second, model FLOPs utilisation, memory, and parity with the CPU.

    python benchmarks/gpu_8b.py [--tokens 4096] [--packs 4] [--steps 10] [--out benchmarks/results/gpu_8b.json]
    python benchmarks/gpu_8b.py --tiny       (the same code on a toy, on whatever is there; its figures mean nothing)

Weights and samples are random, shapes are those of BiMediX2-8B (`bimedix2.model.sizes.config_8b`): bf16, LoRA r=8 on
the language model, the projector whole. Half of the samples are about an image of 576 tokens, and two questions share
one; 27 % of the text is supervised. Timed are whole optimiser steps with loader, clipping and AdamW, after warm-up
steps, with and without gradient checkpointing. Operations are those of `bimedix2.train.flops`: recomputed layers do
not count.

Parity: a tiny model takes five optimiser steps in fp32 on the CPU and on the GPU (a loop of exact attention calls on
both), and in bf16 on the GPU (one variable-length kernel), from the same weights on the same samples.

Without a CUDA device nothing is measured or written, and the exit status is 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from bimedix2.images import ImagePolicy
from bimedix2.model import add_adapter, lora_config
from bimedix2.model.bundle import Bundle
from bimedix2.model.sizes import config_8b, tiny_config
from bimedix2.train.engine import Engine
from bimedix2.train.flops import Meter, ModelFlops, peak_flops, step_flops
from bimedix2.train.forward.vlm import PackModel
from bimedix2.train.memory import memory_gb, release
from bimedix2.train.objective import NextToken
from bimedix2.train.optim import make_optimizer, select_trained, set_rates
from bimedix2.train.plan.steps import plan_stage
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.samples.loader import Loader
from bimedix2.train.samples.table import SampleTable, stable_hash, table_from

TARGET_MFU = 0.45
PARITY_FP32, PARITY_BF16 = 1e-4, 2e-2
PARITY_STEPS = 5


@dataclass
class RandomSamples:
    """A token store and an image store of made-up conversations."""

    table: SampleTable
    rows: list[np.ndarray]
    side: int

    def ids(self, row: int) -> Any:
        """(length,) token ids."""
        return self.rows[row]

    def supervised(self, row: int) -> Any:
        """(length,) true for the tokens at the end, which are predicted."""
        length = len(self.rows[row])
        return np.arange(length) >= length - self.table.supervised[row]

    def record_id(self, row: int) -> str:
        """Name for messages."""
        return f"sample {row}"

    def get_uint8(self, index: int, _key: str | None) -> Any:
        """(S, S, 3) noise."""
        return np.random.default_rng(index).integers(0, 255, (self.side, self.side, 3), dtype=np.uint8)


def samples(bundle: Bundle, total: int, longest: int) -> RandomSamples:
    """Conversations of ``total`` tokens or a little more, none longer than ``longest``."""
    draw = np.random.default_rng(0)
    columns: list[dict[str, object]] = []
    images: list[tuple[int, ...]] = []
    rows: list[np.ndarray] = []
    image = [bundle.image_token_id] * bundle.tokens_per_image
    scale = min(1, longest / 1024)  # several samples in a pack of any size
    while sum(map(len, rows)) < total:
        number = len(rows)
        shown = (number // 4,) if number % 2 else ()  # 1 and 3 share image 0, 5 and 7 image 1, ...
        head = [10, 11, *image] if shown else []
        words = int(np.clip(draw.lognormal(np.log((90 if shown else 310) * scale), 0.6), 8, longest - len(head)))
        ids = np.concatenate([head, draw.integers(20, bundle.model.config.text_config.vocab_size, words)])
        key = stable_hash(number)
        rows.append(ids.astype(np.int32))
        images.append(shown)
        columns.append(
            {"key": key, "group": key, "pair": key, "source": 0, "cell": 0, "length": len(ids), "prefix": len(head),
             "prefix_key": stable_hash(*shown) if head else 0, "supervised": max(1, round(0.27 * words))}
        )  # fmt: skip
    table = table_from(columns, ["random"], ["en/xray/vqa"], images)
    return RandomSamples(table, rows, bundle.image_policy.size)


def random_bundle(tiny: bool, device: torch.device, dtype: torch.dtype) -> Bundle:
    """Random weights made on the device in their final type, so that no second copy is ever needed."""
    from transformers import LlavaForConditionalGeneration

    config = tiny_config(hidden=64, image_size=56) if tiny else config_8b()
    torch.manual_seed(0)
    with torch.device(device):
        model = LlavaForConditionalGeneration._from_config(config, dtype=dtype)
    if tiny:  # at the usual 0.02 a toy's loss hardly depends on its input, and parity would say nothing
        with torch.no_grad():
            for parameter in (parameter for parameter in model.parameters() if parameter.dim() > 1):
                parameter.normal_(0, 2 * parameter[0].numel() ** -0.5)
    return Bundle(
        model=model, tokenizer=None, template=None, image_policy=ImagePolicy.clip(config.vision_config.image_size),
        image_token_id=config.image_token_index, tokens_per_image=config.image_seq_length, name="random",
    )  # fmt: skip


def make_recipe(tokens: int, packs: int, *, checkpointing: bool, dropout: float) -> Recipe:
    """One stage, as the shipped recipes train it."""
    return Recipe(
        model="random", records=(), stages=(StageRecipe("instruct", packs_per_step=packs),), pack_tokens=tokens,
        lora=LoraRecipe(dropout=dropout), gradient_checkpointing=checkpointing, augment=False, workers=4,
    )  # fmt: skip


class Run:
    """Optimiser steps of the trainer's own parts, without its files.

    Args:
        bundle: changed in place; on the device already.
        recipe: of one stage.
        data: the samples.
        device: where to compute.
    """

    def __init__(self, bundle: Bundle, recipe: Recipe, data: RandomSamples, device: torch.device) -> None:
        stage, lora = recipe.stages[0], recipe.lora
        torch.manual_seed(0)
        add_adapter(bundle.model, lora_config(lora.r, lora.alpha, lora.dropout))
        trained = select_trained(bundle.model, stage)
        self.engine, self.data, self.recipe, self.bundle = Engine("none"), data, recipe, bundle
        self.engine.device = device
        module = PackModel(
            bundle.model, bundle.image_token_id, bundle.image_policy, checkpointing=recipe.gradient_checkpointing
        ).to(device)
        self.optimizer = make_optimizer(trained, stage)
        set_rates(self.optimizer, 1.0)
        self.parameters = [parameter for part in trained.values() for parameter in part]
        self.plan = plan_stage(data.table, np.arange(len(data.table)), recipe, 0)
        prepared: Any = SimpleNamespace(store=data, images=data)
        loader = Loader(data, data, bundle.image_policy.size, recipe.workers)
        self.work = NextToken(self.plan, module, self.engine, loader, prepared, recipe, 0, 0)
        bundle.model.train()

    def step(self, number: int) -> float:
        """One optimiser step; its mean loss in nats."""
        totals = self.work.backward(number)
        self.engine.clip(self.parameters, self.recipe.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return totals.loss / totals.supervised


def measure(tiny: bool, device: torch.device, recipe: Recipe, warmup: int, steps: int) -> dict[str, Any]:
    """Speed and memory of one setting; ``{"out_of_memory": True}`` where it does not fit."""
    release()
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    bundle = random_bundle(tiny, device, dtype)
    needed = (warmup + steps + 1) * recipe.stages[0].packs_per_step * recipe.pack_tokens
    data = samples(bundle, needed, recipe.pack_tokens)
    try:
        run = Run(bundle, recipe, data, device)
        seconds, losses = [], []
        for number in range(warmup + steps):
            _wait(device)
            started = time.perf_counter()
            losses.append(run.step(number))
            _wait(device)
            seconds.append(time.perf_counter() - started)
    except torch.OutOfMemoryError:
        return {"out_of_memory": True}
    return {**_figures(run, device, seconds[warmup:], warmup), "losses": [round(loss, 4) for loss in losses]}


def _figures(run: Run, device: torch.device, seconds: list[float], first: int) -> dict[str, Any]:
    steps = run.plan.steps[first : first + len(seconds)]
    flops = ModelFlops.of(run.bundle)
    meter = Meter(run.bundle, run.data.table, device, 1)
    rates = [sum(pack.tokens for pack in step) / time for step, time in zip(steps, seconds, strict=True)]
    work = [step_flops(flops, step, run.data.table) / time for step, time in zip(steps, seconds, strict=True)]
    shares = [meter.row(step, time).get("mfu") for step, time in zip(steps, seconds, strict=True)]
    return {
        "tokens_per_second": round(statistics.median(rates)),
        "model_tflops_per_second": round(statistics.median(work) / 1e12, 3),
        "mfu": None if meter.peak is None else statistics.median(shares),
        "seconds_per_step": round(statistics.median(seconds), 4),
        "slowest_and_fastest": [round(max(seconds), 4), round(min(seconds), 4)],
        "tokens_per_step": round(statistics.mean(sum(pack.tokens for pack in step) for step in steps)),
        "peak_memory_gb": round(memory_gb(device), 2),
    }


def parity(device: torch.device) -> dict[str, Any]:
    """Losses of the tiny model on the CPU in fp32, and on the device in fp32 and bf16."""
    found: dict[str, list[float]] = {}
    recipe = make_recipe(256, 2, checkpointing=False, dropout=0.0)
    recipe = replace(recipe, stages=(replace(recipe.stages[0], lr=1e-2, projector_lr=1e-2),))
    start = random_bundle(True, torch.device("cpu"), torch.float32)
    data = samples(start, 4000, 256)
    settings = [
        ("cpu_fp32", torch.device("cpu"), torch.float32),
        ("device_fp32", device, torch.float32),
        ("device_bf16", device, torch.bfloat16),
    ]
    for name, place, dtype in settings:
        bundle = replace(start, model=deepcopy(start.model).to(place, dtype))
        run = Run(bundle, recipe, data, place)
        found[name] = [run.step(number) for number in range(PARITY_STEPS)]
    worst = {
        name: max(abs(own / other - 1) for own, other in zip(losses, found["cpu_fp32"], strict=True))
        for name, losses in found.items()
        if name != "cpu_fp32"
    }
    allowed = {"device_fp32": PARITY_FP32, "device_bf16": PARITY_BF16}
    return {
        "losses": {name: [round(loss, 6) for loss in losses] for name, losses in found.items()},
        "largest_relative_difference": {name: float(f"{value:.3g}") for name, value in worst.items()},
        "ok": all(value <= allowed[name] for name, value in worst.items()),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def about(device: torch.device) -> dict[str, Any]:
    """Machine, versions, command and date."""
    from importlib.metadata import version

    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.processor() or platform.machine()
    return {
        "device": name,
        "peak_tflops": (peak_flops(name) or 0) / 1e12 or None,
        "memory_gb": round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1) if cuda else None,
        "cuda": torch.version.cuda,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "command": " ".join(["python", "benchmarks/gpu_8b.py", *sys.argv[1:]]),
        "date": date.today().isoformat(),
    }


def main() -> int:
    """Measure, print, write; 1 if the losses differ from the CPU's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, help="of a pack (4096; with --tiny 256)")
    parser.add_argument("--packs", type=int, default=4, help="of an optimiser step")
    parser.add_argument("--steps", type=int, default=10, help="that are timed")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a toy, on the CPU where there is no GPU")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    if not torch.cuda.is_available() and not given.tiny:
        print("no CUDA device: nothing was measured and nothing written (--tiny tries the code out on the CPU)")
        return 0
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    tokens = given.tokens or (256 if given.tiny else 4096)
    result: dict[str, Any] = {"about": about(device), "model": "tiny" if given.tiny else "8B", "pack_tokens": tokens}
    result["parity"] = parity(device)
    for name, checkpointing in (("plain", False), ("gradient_checkpointing", True)):
        recipe = make_recipe(tokens, given.packs, checkpointing=checkpointing, dropout=0.05)
        result[name] = measure(given.tiny, device, recipe, given.warmup, given.steps)
    best = max((result[name].get("mfu") or 0 for name in ("plain", "gradient_checkpointing")), default=0)
    result["target"] = {"mfu": TARGET_MFU, "reached": best >= TARGET_MFU if best else None}
    print(json.dumps(result, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["parity"]["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
