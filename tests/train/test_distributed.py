"""Several real processes (torchrun, gloo): the same results as one, and checkpoints that move between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import SAVED_AT, STEPS, load_under, save_under
from safetensors.torch import load_file


def torchrun(work: str, folder: Path, count: int = 2, timeout: float = 120) -> None:
    """Run ``processes.py`` on ``count`` processes."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
        str(here / "processes.py"), work, str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_checkpoint_moves_between_engines_and_numbers_of_processes(count: int, tmp_path: Path) -> None:
    sources = ("none", "fsdp2", "ddp")
    save_under(tmp_path, ("none",))
    torchrun("engines", tmp_path, count)
    load_under(tmp_path, ("none",), sources)
    losses = {name: json.loads((tmp_path / f"save-{name}.json").read_text()) for name in sources}
    assert len(losses["none"]) == STEPS
    assert losses["none"][-1] < losses["none"][0]
    for source in sources:
        # rtol: the order of summation differs between numbers of processes
        assert losses[source] == pytest.approx(losses["none"], rel=1e-5)
        saved = load_file(tmp_path / f"save-{source}.safetensors")
        for name in sources:
            loaded = load_file(tmp_path / f"load-{source}-{name}.safetensors")
            assert loaded.keys() == saved.keys()
            assert [key for key in saved if not torch.equal(saved[key], loaded[key])] == []
            after = json.loads((tmp_path / f"load-{source}-{name}.json").read_text())
            assert after == pytest.approx(losses[source][SAVED_AT:], rel=1e-5)


def test_a_full_disk_of_one_process_stops_all_together(tmp_path: Path) -> None:
    torchrun("disk", tmp_path)
    for name in ("fsdp2", "ddp"):
        done = json.loads((tmp_path / f"{name}.json").read_text())
        assert done == {"codes": ["no_disk_space"] * 2, "left": [], "after": ["00-000002"]}
