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
from training_run import losses, recipe, train

from bimedix2.train.checkpoint import complete_checkpoints
from bimedix2.train.plan.steps import plan_stage, split_holdout
from bimedix2.train.samples.prepare import open_prepared
from bimedix2.train.watch.log import read_events, read_log


def torchrun(script: str, *arguments: object, count: int = 2, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a file of this folder on ``count`` processes."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
        str(here / script), *map(str, arguments),
    ]  # fmt: skip
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


def assert_done(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_checkpoint_moves_between_engines_and_numbers_of_processes(count: int, tmp_path: Path) -> None:
    sources = ("none", "fsdp2", "ddp")
    save_under(tmp_path, ("none",))
    assert_done(torchrun("processes.py", "engines", tmp_path, count=count))
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
    assert_done(torchrun("processes.py", "disk", tmp_path))
    for name in ("fsdp2", "ddp"):
        done = json.loads((tmp_path / f"{name}.json").read_text())
        assert done == {"codes": ["no_disk_space"] * 2, "left": [], "after": ["00-000002"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and an unbroken run on one process in ``none``."""
    folder = tmp_path_factory.mktemp("runs")
    assert train(folder, "none", "none")
    return folder


def assert_same_losses(run: Path, expected: Path) -> None:
    found, wanted = losses(run), losses(expected)
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in wanted], rel=1e-5)


def test_the_runs_here_have_steps_in_which_processes_differ(root: Path) -> None:
    """What the tests below are about: of two processes one has images, or none has; one has more packs."""
    store = json.loads((root / "none/prepared.json").read_text())["store"]
    table = open_prepared(root / "none/prepared", store, ()).store.table
    plan, seen = recipe("none"), set()
    rows, _ = split_holdout(table, plan.holdout, plan.seed)
    for index in range(len(plan.stages)):
        for packs in plan_stage(table, rows, plan, index).steps:
            images = [any(block.images for block in pack.blocks) for pack in packs]
            seen.add((len(packs) % 2, any(images[0::2]), any(images[1::2])))
    assert {odd for odd, _, _ in seen} == {0, 1}
    assert {(False, False), (True, False), (True, True)} <= {(one, other) for _, one, other in seen}


@pytest.mark.parametrize("engine", ["ddp", "fsdp2"])
def test_two_processes_train_as_one(engine: str, root: Path) -> None:
    assert_done(torchrun("training_run.py", "whole", root, engine, engine))
    assert_same_losses(root / engine, root / "none")
    validations = [[row["validation"] for row in read_log(root / name).validations] for name in (engine, "none")]
    assert validations[0]
    for found, wanted in zip(*validations, strict=True):
        assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)


def test_sigterm_to_one_process_saves_in_all_and_one_goes_on(root: Path) -> None:
    run = root / "term"
    assert_done(torchrun("training_run.py", "term", root, "term", "fsdp2", 5))
    assert [path.name for path in complete_checkpoints(run)][-1] == "01-000002"  # three steps of stage 0, two of 1
    assert read_events(run)[-1]["event"] == "stop"
    assert train(root, "term", "none")
    assert_same_losses(run, root / "none")


@pytest.mark.parametrize("engine", [pytest.param("ddp", marks=pytest.mark.slow), "fsdp2"])
def test_kill_9_of_one_process_ends_the_run_and_one_goes_on(engine: str, root: Path) -> None:
    run = root / f"kill-{engine}"
    done = torchrun("training_run.py", "kill", root, run.name, engine, 6)
    assert done.returncode != 0
    assert "process_lost" in done.stderr or "is gone or does not answer" in done.stderr
    assert [path.name for path in complete_checkpoints(run)][-1] == "01-000002"  # it died in the third step
    assert train(root, run.name, "none")
    assert_same_losses(run, root / "none")


def test_an_error_in_one_process_ends_the_run_at_once(root: Path) -> None:
    done = torchrun("training_run.py", "error", root, "error", "fsdp2", 2)
    assert done.returncode != 0
    assert "only in process 1" in done.stderr
    assert "Timed out" not in done.stderr  # nobody waited for the process that was gone
    assert [path.name for path in complete_checkpoints(root / "error")] == []
