"""``benchmarks/gpu_8b.py`` on a toy; the 8B's shape itself without its weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bimedix2.model import add_adapter, lora_config
from bimedix2.model.sizes import config_8b
from bimedix2.train.flops import ModelFlops
from bimedix2.train.optim import select_trained
from bimedix2.train.recipe import StageRecipe

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_8b.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path: Path) -> None:
    done = run("--out", str(tmp_path / "result.json"))
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])
    assert done.stdout.startswith("no CUDA device: nothing was measured")


def test_the_same_code_on_a_toy(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    done = run("--tiny", "--steps", "2", "--warmup", "1", "--packs", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(out.read_text())
    assert result["parity"]["ok"]
    assert result["parity"]["losses"]["cpu_fp32"] == result["parity"]["losses"]["device_fp32"]
    plain, recomputed = result["plain"], result["gradient_checkpointing"]
    assert plain["losses"] == pytest.approx(recomputed["losses"], rel=1e-5)
    assert len(plain["losses"]) == 3
    assert plain["mfu"] is None
    assert plain["tokens_per_second"] > 0
    assert result["target"] == {"mfu": 0.45, "reached": None}


def test_operations_of_the_8b_from_its_shape() -> None:
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config_8b())
    add_adapter(model, lora_config(8, 16, 0.0))
    select_trained(model, StageRecipe("instruct"))
    bundle = SimpleNamespace(model=model, image_policy=SimpleNamespace(size=336), tokens_per_image=576)
    flops = ModelFlops.of(bundle)  # type: ignore[arg-type]
    # 32 layers of 218,103,808 frozen weights, and the 20,971,520 of the adapter.
    assert flops.token == 4 * 6_979_321_856 + 6 * 20_971_520
    assert flops.attention == ((12 * 32 * 128, None),) * 32
    assert flops.supervised == 4 * 128_256 * 4096
    # CLIP ViT-L/14 at 336 pixels: 576 patches of 3 x 14 x 14 to 1024; 23 of 24 blocks of 12 x 1024^2 weights on 577
    # tokens, each of which looks at all. The projector sees 576.
    encoder = 2 * 588 * 1024 * 576 + 23 * (577 * 2 * 12 * 1024**2 + 4 * 1024 * 577**2)
    assert flops.image == encoder + 576 * (4 * 1024 * 4096 + 6 * 4096 * 4096)
