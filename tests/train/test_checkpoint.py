"""Checkpoints: exact, whole or absent, and still there after a kill and on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from saving import STAGE, fresh, save, updates

from bimedix2.errors import AssetError, ModelError
from bimedix2.model import attach_adapter
from bimedix2.train.checkpoint import (
    complete_checkpoints,
    latest_checkpoint,
    load_state,
    restore,
    restore_parameters,
    trained_parameters,
)
from bimedix2.train.recipe import StageRecipe
from tiny import tiny_bundle


def script(*arguments: object, prefix: tuple[str, ...] = ()) -> Any:
    """Run ``saving.py`` in a process of its own; its last line is JSON."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"}
    command = [*prefix, sys.executable, str(here / "saving.py"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def state_of(model: Any, optimizer: Any) -> dict[str, torch.Tensor]:
    tensors = {name: parameter.detach().clone() for name, parameter in trained_parameters(model).items()}
    for name, parameter in trained_parameters(model).items():
        tensors |= {f"{name}|{kind}": value.clone() for kind, value in optimizer.state.get(parameter, {}).items()}
    return tensors


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name, tensor in one.items() if not torch.equal(tensor, other[name])] == []


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_a_round_trip_is_exact_and_so_are_the_steps_after_it(kind: str, tmp_path: Path) -> None:
    model, optimizer = fresh(0, kind)
    updates(model, optimizer, 3)
    path = save(tmp_path, 3, model, optimizer)
    other, its = fresh(1, kind)
    updates(other, its, 1, seed=9)
    for group in its.param_groups:
        group["lr"] = 0.5
    restore(path, other, its)
    assert_same(state_of(model, optimizer), state_of(other, its))
    assert {group["lr"] for group in its.param_groups} == {0.5}  # the schedule's business
    for group, theirs in zip(optimizer.param_groups, its.param_groups, strict=True):
        theirs["lr"] = group["lr"]
    updates(model, optimizer, 2, seed=5)
    updates(other, its, 2, seed=5)
    assert_same(state_of(model, optimizer), state_of(other, its))


def test_files_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    model, optimizer = fresh()
    updates(model, optimizer, 3)
    path = save(tmp_path, 3, model, optimizer, stage=1)
    assert path == tmp_path / "checkpoints" / "01-000003"
    files = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert {Path(file).suffix for file in files} == {".safetensors", ".json", ""}  # no pickle
    parts = ("adapter_model", "projector", "encoder")
    stored = {name: load_file(path / "adapter" / f"{name}.safetensors") for name in parts}
    assert {tensor.dtype for part in stored.values() for tensor in part.values()} == {torch.float32}
    (file,) = (path / "optimizer").iterdir()
    tensors = load_file(file)
    for name, parameter in trained_parameters(model).items():
        for kind in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(tensors[f"{name}.{kind}"], optimizer.state[parameter][kind])
        assert tensors[f"{name}.step"].tolist() == [3.0]
    state = json.loads((path / "state.json").read_text())
    assert (state["stage"], state["step"], state["world"], state["recipe"]) == (1, 3, 1, "r1")
    assert state["versions"]["torch"] == version("torch")


def test_the_adapter_folder_is_one_that_users_can_load(tmp_path: Path) -> None:
    model, optimizer = fresh()
    updates(model, optimizer, 2)
    path = save(tmp_path, 2, model, optimizer)
    plain = attach_adapter(tiny_bundle("llava").model, path / "adapter")
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.equal(plain.eval()(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


def test_a_parameter_that_never_had_a_gradient_has_no_state(tmp_path: Path) -> None:
    model, optimizer = fresh()
    updates(model, optimizer, 2, skip="projector")
    path = save(tmp_path, 2, model, optimizer)
    other, its = fresh(1)
    restore(path, other, its)
    assert_same(state_of(model, optimizer), state_of(other, its))
    assert not any("projector" in name and "|" in name for name in state_of(other, its))


def test_a_checkpoint_before_the_first_step(tmp_path: Path) -> None:
    model, optimizer = fresh()
    other, its = fresh(1)
    restore(save(tmp_path, 0, model, optimizer), other, its)
    assert_same(state_of(model, optimizer), state_of(other, its))


def test_encoder_blocks_of_an_earlier_stage_stay_in_float32(tmp_path: Path) -> None:
    later = StageRecipe("instruct", lr=1e-2)
    model, _ = fresh()
    optimizer = fresh_optimizer(model, later)
    path = save(tmp_path, 1, model, optimizer, stage=1)
    other, its = fresh(1, stage=later)
    tower = other.model.vision_tower.to(torch.bfloat16)
    restore(path, other, its)
    ours = dict(model.model.vision_tower.named_parameters())
    same = [name for name, value in tower.named_parameters() if value.dtype == torch.float32]
    assert same
    assert all(torch.equal(tower.get_parameter(name), ours[name]) for name in same)
    assert all("layers.0." in name for name in same)  # layer -2 of two blocks is the output of the first


def fresh_optimizer(model: Any, stage: StageRecipe) -> Any:
    from bimedix2.train.optim import make_optimizer, select_trained

    return make_optimizer(select_trained(model, stage), stage)


def test_torn_and_damaged_checkpoints_are_passed_over(tmp_path: Path) -> None:
    model, optimizer = fresh()
    updates(model, optimizer, 1)
    assert latest_checkpoint(tmp_path) is None
    paths = [save(tmp_path, step, model, optimizer, keep=9) for step in (1, 2, 3, 4)]
    (paths[3] / "COMPLETE").unlink()
    file = paths[2] / "adapter" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    shutil.copytree(paths[1], tmp_path / "checkpoints" / ".00-000009.partial")
    assert latest_checkpoint(tmp_path) == paths[1]
    assert complete_checkpoints(tmp_path) == paths[:2]
    assert save(tmp_path, 3, model, optimizer, keep=9) == paths[2]  # written anew
    assert latest_checkpoint(tmp_path) == paths[2]
    assert paths[3].is_dir()  # not ours to delete
    assert not (tmp_path / "checkpoints" / ".00-000009.partial").exists()


def test_old_ones_go_by_stage_and_step_not_by_letters(tmp_path: Path) -> None:
    model, optimizer = fresh()
    for stage, step in ((0, 5), (0, 999_999), (0, 1_000_000), (1, 2)):
        save(tmp_path, step, model, optimizer, stage=stage, keep=2)
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["00-1000000", "01-000002"]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["00-1000000", "01-000002"]


def test_one_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    model, optimizer = fresh()
    path = save(tmp_path, 1, model, optimizer)
    before = (path / "state.json").stat()
    assert save(tmp_path, 1, model, optimizer) == path
    assert (path / "state.json").stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("recipe", "manifest", "english", "arabic"), [("r2", "m1", "recipe", "الوصفة"), ("r1", "m2", "data", "البيانات")]
)
def test_another_recipe_or_other_data_is_named(
    recipe: str, manifest: str, english: str, arabic: str, tmp_path: Path
) -> None:
    path = save(tmp_path, 7, *fresh())
    assert load_state(path, "r1", "m1")["step"] == 7
    with pytest.raises(ModelError, match=f"another {english} ") as caught:
        load_state(path, recipe, manifest)
    assert caught.value.code == "resume_mismatch"
    assert arabic in caught.value.message_ar
    (path / "state.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_state(path, "r1", "m1")
    assert caught.value.code == "bad_checkpoint"


def test_another_stage_is_refused_before_anything_changes(tmp_path: Path) -> None:
    model, optimizer = fresh()
    updates(model, optimizer, 1)
    path = save(tmp_path, 1, model, optimizer)
    align = StageRecipe("align", "projector")
    other, its = fresh(1, stage=align, lora=False)
    before = state_of(other, its)
    with pytest.raises(ModelError, match="lora_A") as caught:
        restore(path, other, its)
    assert caught.value.code == "resume_mismatch"
    assert_same(before, state_of(other, its))
    path = save(tmp_path, 9, *fresh(stage=align, lora=False))
    with pytest.raises(ModelError, match="lora_A") as caught:
        restore(path, *fresh(2, stage=STAGE))
    assert caught.value.code == "resume_mismatch"


def test_the_next_stage_starts_from_what_the_one_before_trained(tmp_path: Path) -> None:
    align = StageRecipe("align", "projector", unfreeze_blocks=1)
    model, optimizer = fresh(stage=align, lora=False)
    path = save(tmp_path, 9, model, optimizer)
    other, its = fresh(1)
    before = state_of(other, its)
    restore_parameters(path, other)
    after, theirs = state_of(other, its), state_of(model, optimizer)
    assert {name for name in after if torch.equal(after[name], before[name])} == {n for n in after if "lora_" in n}
    assert_same(theirs, {name: value for name, value in after.items() if "lora_" not in name})
    assert not its.state


def test_kill_9_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    seen = script("kill", tmp_path, 12)
    assert len(seen) == 12
    for one in seen:
        assert one["values"] == [one["step"]]  # all of one checkpoint, nothing of another
    assert seen[-1]["step"] > seen[0]["step"]
    assert any(name.startswith(".") for one in seen for name in one["left"])  # some died half-way
    # What a kill leaves is cleared by the next save, so it never adds up.
    assert max(len(one["left"]) for one in seen) <= 4


def test_too_little_space_is_seen_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer = fresh()
    path = save(tmp_path, 1, model, optimizer)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(AssetError) as caught:
        save(tmp_path, 2, model, optimizer)
    assert caught.value.code == "no_disk_space"
    assert "--out" in caught.value.message
    assert "--out" in caught.value.message_ar
    assert list((tmp_path / "checkpoints").iterdir()) == [path]


def test_a_write_that_fails_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    for done in script("limits", tmp_path, 0):
        assert (done["code"], done["left"], done["step"]) == ("no_disk_space", ["00-000001"], 2)
        assert "00-000002" in done["en"]
        assert "00-000002" in done["ar"]
        assert "File too large" in done["en"]
        assert "BIMEDIX2_CACHE" not in done["en"]


def test_a_really_full_disk(tmp_path: Path) -> None:
    inside = 'mount -t tmpfs -o size=600k none "$0" && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside, str(tmp_path))
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a small file system")
    done = script("full", tmp_path, 0, prefix=prefix)
    assert done["code"] == "no_disk_space"
    assert "No space left on device" in done["en"]
    assert done["left"] == [f"00-{step:06d}" for step in range(1, done["step"])]
