"""Engines on several processes: one root under FSDP2, recomputed layers, patience, and memory between stages."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from engine_processes import losses
from training_run import recipe, records

from bimedix2.train.engine import Engine
from bimedix2.train.run import train_records
from tiny import tiny_bundle


def torchrun(work: str, folder: Path) -> None:
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(here / "engine_processes.py"), work, str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_recomputed_layers_change_nothing_on_several_processes(tmp_path: Path) -> None:
    torchrun("recompute", tmp_path)
    alone = losses(Engine("none"))
    assert alone[-1] < alone[0]
    for name in ("ddp", "fsdp2"):
        assert json.loads((tmp_path / f"{name}.json").read_text()) == pytest.approx(alone, rel=1e-5)


def test_one_root_gathers_every_unit(tmp_path: Path) -> None:
    torchrun("root", tmp_path)
    # Two decoder layers, the projector and the root; the same streams for all, or no gathering overlaps with computing.
    assert json.loads((tmp_path / "root.json").read_text()) == {"roots": [""], "units": 4, "streams": 1}


def test_the_others_wait_longer_for_the_first_than_for_a_collective(tmp_path: Path) -> None:
    torchrun("wait", tmp_path)
    assert [(tmp_path / name).read_text() for name in "01"] == ["True", "True"]


def test_a_stage_lets_go_of_its_model_before_the_next_loads(tmp_path: Path) -> None:
    loaded: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def load() -> Any:
        alive.append(sum(reference() is not None for reference in loaded))
        bundle = tiny_bundle("llava")
        loaded.append(weakref.ref(bundle.model))
        return bundle

    gc.disable()  # what is in a circle is let go of on purpose, not by chance
    try:
        assert train_records(recipe("none"), records(tmp_path), load, tmp_path, tmp_path / "run", lambda *_: None)
    finally:
        gc.enable()
    assert alive == [0, 0, 0]  # for preparing the records, and for either stage
