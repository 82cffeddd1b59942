"""Host memory of a process that loads and shards a model: what is its own, and what it shares through mapped files.

    python benchmarks/training_memory.py [--out benchmarks/results/training_memory.json]

A random model of the 8B's structure with 379 million parameters, on a CPU with gloo, 1, 2 and 4 processes. Weights
that have the type they are loaded in are mapped from their files: the pages are one copy for all processes of a
machine, and the system may drop them. The baseline is a load that has to convert (to float32), which every process
holds a copy of its own of. ``own`` is RssAnon, ``mapped`` RssFile of /proc/self/status, both less what
the libraries took before; so this needs Linux.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from nano_speed import machine

MIB = 2**20


def write_model(folder: Path) -> float:
    """Random bfloat16 weights, and a toy beside them; returns their size in MiB."""
    import torch
    from transformers import LlavaForConditionalGeneration

    from bimedix2.model.export import export_hf
    from bimedix2.model.toy import toy_bundle

    toy = toy_bundle("llama", ["the left lung is clear"] * 3)
    export_hf(replace(toy, model=toy.model.to(torch.bfloat16)), Path(f"{folder}-toy"))
    text = toy.model.config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 1024, 4096, 24
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 16, 8, 64
    model = LlavaForConditionalGeneration(toy.model.config).to(torch.bfloat16)
    export_hf(replace(toy, model=model), folder)
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) / MIB


def memory() -> dict[str, float]:
    """Own and mapped memory of this process in MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[key].split()[0]) / 1024 for name, key in (("own", "RssAnon"), ("mapped", "RssFile"))}


class Peak:
    """Largest memory since it was made, looked at every 2 ms."""

    def __init__(self) -> None:
        self.start, self.peak, self._done = memory(), memory(), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.002):
            now = memory()
            self.peak = {name: max(value, now[name]) for name, value in self.peak.items()}

    def stop(self) -> dict[str, float]:
        """Peaks over the start."""
        self._done.set()
        self._thread.join()
        return {name: round(value - self.start[name], 1) for name, value in self.peak.items()}


def worker(folder: str, engine: str, dtype: str, out: str) -> None:
    """Load, add adapters, wrap; as a stage of a training run does."""
    from bimedix2.model import add_adapter, lora_config
    from bimedix2.train.engine import Engine
    from bimedix2.train.forward.vlm import PackModel
    from bimedix2.train.optim import select_trained
    from bimedix2.train.recipe import Recipe, StageRecipe
    from bimedix2.train.start import load_start

    group = Engine(engine)  # type: ignore[arg-type]
    recipe = Recipe(folder, (), (StageRecipe("instruct"),), engine=engine, dtype=dtype)  # type: ignore[arg-type]
    # Libraries are counted before the start: a toy of the same classes has them all imported.
    add_adapter(load_start(replace(recipe, model=f"{folder}-toy")).model, lora_config(8, 16, 0.0))
    gc.collect()
    watch = Peak()
    bundle = load_start(recipe)
    loaded = {name: round(value - watch.start[name], 1) for name, value in memory().items()}
    model: Any = group.place(bundle.model)
    add_adapter(model, lora_config(8, 16, 0.0))
    select_trained(model, recipe.stages[0])
    wrapped = group.wrap(PackModel(model, bundle.image_token_id, bundle.image_policy))
    gc.collect()
    time.sleep(0.05)
    held = {name: round(value - watch.start[name], 1) for name, value in memory().items()}
    result = {"after_loading": loaded, "after_sharding": held, "peak": watch.stop()}
    Path(f"{out}-{group.rank}.json").write_text(json.dumps(result), encoding="utf-8")
    del wrapped
    group.close()


def measure(folder: Path, work: Path, engine: str, dtype: str, count: int) -> dict[str, Any]:
    """One way of loading on so many processes; the process with the largest own peak."""
    out = work / f"{engine}-{dtype}-{count}"
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), __file__, "--worker"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *command, str(folder), engine, dtype, str(out)], check=True, env=environment)
    found = [json.loads(Path(f"{out}-{rank}.json").read_text(encoding="utf-8")) for rank in range(count)]
    worst = max(found, key=lambda one: one["peak"]["own"])
    return {"engine": engine, "loaded_as": dtype, "processes": count, **worst}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        size = write_model(work / "model")
        cases = [("ddp", "bfloat16", 2), ("fsdp2", "float32", 2)]
        cases += [("fsdp2", "bfloat16", count) for count in (1, 2, 4)]
        rows = [measure(work / "model", work, *case) for case in cases]
    result = {
        "question": "how much host memory does a process take to load and shard a model, in MiB over its libraries",
        "model_mib": round(size, 1),
        "rows": rows,
        "machine": machine(),
        "command": "python benchmarks/training_memory.py --out benchmarks/results/training_memory.json",
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
