"""Whole runs on tiny models: against themselves after an interruption, and what happens when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from bimedix2.errors import DataError, ModelError, RecordError
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.run import dry_run, train_records
from bimedix2.train.watch.log import read_events, read_log
from tiny import tiny_bundle


def record(name: str, question: str, answer: str, images: tuple[str, ...] = (), language: str = "en") -> Record:
    return Record(
        id=name,
        turns=(
            Turn(role="user", text=question, language=language, images=tuple(range(len(images)))),  # type: ignore[arg-type]
            Turn(role="assistant", text=answer, language=language),  # type: ignore[arg-type]
        ),
        images=tuple(ImageRef(path=path) for path in images),
        task="vqa",
        modality="ct" if images else "text",
        source="test",
        licence="CC0-1.0",
    )


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 255, (30, 50, 3), dtype=np.uint8)).save(tmp_path / name)
    return [
        record("1", "What is shown?", "The left lung", ("a.png",)),
        record("2", "ماذا يظهر؟", "الرئة اليسرى سليمة", ("a.png",), "ar"),
        record("3", "Is it CT?", "Yes", ("a.png",)),
        record("4", "Is it chest?", "No", ("b.png",)),
        record("5", "What is clear?", "12 mm"),
        record("6", "Which is clear?", "The left lung", ("b.png", "a.png")),
    ]


STAGES = (
    StageRecipe("align", "projector", lr=1e-2, packs_per_step=1),
    StageRecipe("instruct", "projector+lora", epochs=3, lr=1e-2, projector_lr=1e-3, packs_per_step=1),
)


def recipe(**settings: Any) -> Recipe:
    defaults = {
        "stages": STAGES,
        "lora": LoraRecipe(4, 8, 0.1),
        "checkpoint_steps": 2,
        "pack_tokens": 300,
        "workers": 1,
    }
    return Recipe(model="tiny", records=(), **(defaults | settings))


def after(count: int) -> Callable[[], bool]:
    left = iter(range(count))
    return lambda: next(left, None) is None


def train(run: Path, records: list[Record], kind: str = "nano", stop: Any = lambda: False, **settings: Any) -> bool:
    return train_records(recipe(**settings), records, tiny_bundle(kind), run.parent, run, lambda *_: None, stop)


def final(run: Path) -> dict[str, torch.Tensor]:
    return {
        key: value for path in sorted((run / "final").glob("*.safetensors")) for key, value in load_file(path).items()
    }


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_both_stages_train_what_they_should(kind: str, records: list[Record], tmp_path: Path) -> None:
    bundle = tiny_bundle(kind)
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    assert train_records(recipe(), records, bundle, tmp_path, tmp_path / "run", lambda *_: None)
    # The model that was given stays as it was.
    assert all(torch.equal(value, before[name]) for name, value in bundle.model.state_dict().items())
    trained = final(tmp_path / "run")
    assert all(value.dtype == torch.float32 for value in trained.values())
    assert all(value.any() for name, value in trained.items() if "lora_B" in name)
    assert not any("vision_tower" in name for name in trained)
    projector = load_file(tmp_path / "run/final/projector.safetensors")
    for name, value in projector.items():
        own = before[next(key for key in before if key.endswith(name.split("multi_modal_projector.")[-1]))]
        assert value.shape == own.shape
    rows = read_log(tmp_path / "run").steps
    assert {row["stage"] for row in rows} == {"align", "instruct"}
    assert {key for row in rows for key in row["lr"]} == {"lora", "projector"}
    first = next(row for row in rows if row["stage"] == "instruct")
    counts = {cell: count for cell, (_, count) in first["cells"].items()}
    assert sum(counts.values()) == first["supervised"]
    weighted = sum(loss * count for loss, count in first["cells"].values()) / first["supervised"]
    assert weighted == pytest.approx(first["loss"], abs=1e-4)


def test_training_lowers_the_loss(records: list[Record], tmp_path: Path) -> None:
    stages = (StageRecipe("instruct", epochs=25, lr=2e-2, projector_lr=1e-2, packs_per_step=4),)
    train(tmp_path / "run", records, stages=stages, augment=False)
    rows = read_log(tmp_path / "run").steps
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]


def test_resume_after_interruptions_equals_an_unbroken_run(records: list[Record], tmp_path: Path) -> None:
    settings = {"holdout": 0.0, "eval_steps": 0}
    assert train(tmp_path / "whole", records, **settings)
    for steps in (0, 2, 1, 99):  # stopped in stage one, in stage two, and again
        finished = train(tmp_path / "part", records, stop=after(steps), **settings)
    assert finished
    whole, part = final(tmp_path / "whole"), final(tmp_path / "part")
    assert whole.keys() == part.keys()
    for name, value in part.items():
        assert torch.equal(value, whole[name]), name
    logs = [
        [(row["stage"], row["step"], row["loss"]) for row in read_log(tmp_path / name).steps]
        for name in ("whole", "part")
    ]
    assert logs[0] == logs[1]


def test_the_step_does_not_depend_on_how_it_is_packed(records: list[Record], tmp_path: Path) -> None:
    # One step over all samples, in one long pack or in many short ones, without randomness: the same weights after it.
    stages = (StageRecipe("instruct", lr=1e-2, projector_lr=1e-2, packs_per_step=100),)
    for name, budget in (("long", 2000), ("short", 300)):
        train(
            tmp_path / name,
            records,
            "llava",
            stages=stages,
            augment=False,
            pack_tokens=budget,
            lora=LoraRecipe(4, 8, 0.0),
        )
    packs = [read_log(tmp_path / name).steps[0]["packs"] for name in ("long", "short")]
    assert packs[0] < packs[1]
    rows = [read_log(tmp_path / name).steps[0] for name in ("long", "short")]
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=1e-5)
    assert rows[0]["grad_norm"] == pytest.approx(rows[1]["grad_norm"], rel=1e-4)
    assert rows[0]["cells"].keys() == rows[1]["cells"].keys()


def test_a_step_of_texts_alone_leaves_the_projector_where_it_is(records: list[Record], tmp_path: Path) -> None:
    texts = [record(f"t{i}", "Which?", f"The left lung {i}") for i in range(6)]
    settings = {"pack_tokens": 230, "checkpoint_steps": 1, "keep_checkpoints": 99, "stages": STAGES[1:]}
    train(tmp_path / "run", [records[0], *texts], **settings)
    rows = read_log(tmp_path / "run").steps
    folders = sorted((tmp_path / "run/checkpoints").iterdir())
    states = [load_file(folder / "adapter/projector.safetensors") for folder in folders]
    moved = [any(not torch.equal(a[name], b[name]) for name in a) for a, b in pairwise(states)]
    shown = ["en/ct/vqa" in row["cells"] for row in rows[1:]]
    assert moved == shown
    assert {True, False} <= set(shown)


def test_unfrozen_encoder_blocks_train_and_are_saved(records: list[Record], tmp_path: Path) -> None:
    stages = (replace(STAGES[1], unfreeze_blocks=1, encoder_lr=1e-2, epochs=1),)
    train(tmp_path / "run", records, "nano", stages=stages)
    blocks = load_file(tmp_path / "run/final/encoder.safetensors")
    original = tiny_bundle("nano").model.state_dict()
    changed = [key for key, value in blocks.items() if not torch.equal(value, _like(original, key))]
    assert changed
    assert "encoder" in read_log(tmp_path / "run").steps[0]["lr"]


def _like(state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    return next(value for key, value in state.items() if key.endswith(name.split("vision_tower.")[-1]))


def test_validation_by_cell_on_samples_that_are_held_out(records: list[Record], tmp_path: Path) -> None:
    more = [record(f"t{i}", "Which?", f"answer {i}", language="ar" if i % 2 else "en") for i in range(40)]
    train(tmp_path / "run", [*records, *more], holdout=0.3, eval_steps=3)
    log = read_log(tmp_path / "run")
    assert log.validations
    for row in log.validations:
        cells = row["validation"]["cells"]
        assert sum(count for _, count in cells.values()) == row["validation"]["supervised"]
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    assert plan["stages"][1]["samples"] < 3 * 46


def test_resume_refuses_another_recipe_and_other_data(records: list[Record], tmp_path: Path) -> None:
    train(tmp_path / "run", records)
    with pytest.raises(ModelError, match="another recipe"):
        train(tmp_path / "run", records, seed=5)
    with pytest.raises(ModelError, match="another data"):
        train(tmp_path / "run", records[:-1])


def test_settings_that_change_no_number_do_not_hinder_a_resume(records: list[Record], tmp_path: Path) -> None:
    assert not train(tmp_path / "run", records, stop=after(2))
    assert train(tmp_path / "run", records, workers=3, checkpoint_steps=7, keep_checkpoints=1)


def test_bad_samples_are_named_counted_and_left_out(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    bad = [
        record("gone", "Which?", "None", ("missing.png",)),
        record("torn", "Which?", "None", ("broken.png",)),
        record("long", "Which?", "lung " * 300),
        replace_turns(record("silent", "Which?", "x"), 1),
    ]
    said: list[tuple[str, ...]] = []
    hear = lambda *line: said.append(line)  # noqa: E731
    assert train_records(recipe(), [*records, *bad], tiny_bundle("nano"), tmp_path, tmp_path / "run", hear)
    skipped = [json.loads(line) for line in (tmp_path / "run/skipped.jsonl").read_text().splitlines()]
    assert {row["record_id"] for row in skipped} == {"gone", "torn", "long", "silent"}
    assert all(row["reason"] and row["reason_ar"] and row["file_or_row"] for row in skipped)
    assert any("4 samples left out" in english and "عينات متروكة 4" in arabic for english, arabic in said)
    with pytest.raises(RecordError, match="row 7"):
        train(tmp_path / "strict", [*records, *bad], bad_samples="stop")


def replace_turns(given: Record, count: int) -> Record:
    import msgspec

    return msgspec.structs.replace(given, turns=given.turns[:count])


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(tmp_path / "run", [record("gone", "Which?", "None", ("missing.png",))])


class _Poisoned:
    """A bundle whose head turns the loss into NaN after some calls."""

    def __init__(self, good: int) -> None:
        self.good = good

    def __call__(self) -> Any:
        bundle = tiny_bundle("nano")
        norm = bundle.model.model.language_model.norm
        calls = [0]

        def poison(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
            calls[0] += 1
            return output * float("nan") if calls[0] == self.good else output

        norm.register_forward_hook(poison)
        return bundle


def test_a_step_that_is_not_finite_is_left_out_named_and_counted(records: list[Record], tmp_path: Path) -> None:
    stages = (replace(STAGES[1], epochs=2),)
    run = tmp_path / "run"
    assert train_records(recipe(stages=stages), records, _Poisoned(3), tmp_path, run, lambda *_: None)
    (event,) = [row for row in read_events(run) if row["event"] == "nonfinite"]
    assert event["step"] == 3
    assert event["samples"]
    assert read_log(run).steps[2]["loss"] is None
    assert all(value.isfinite().all() for value in final(run).values())


def test_a_step_that_is_not_finite_can_stop_the_run(records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="loss is nan") as caught:
        train_records(
            recipe(stages=(STAGES[1],), nonfinite="stop"),
            records,
            _Poisoned(1),
            tmp_path,
            tmp_path / "run",
            lambda *_: None,
        )
    assert caught.value.code == "nonfinite"
    assert "معدل التعلم" in caught.value.message_ar


def test_a_dry_run_prints_the_plan_and_trains_nothing(records: list[Record], tmp_path: Path) -> None:
    said: list[tuple[str, ...]] = []
    hear = lambda *line: said.append(line)  # noqa: E731
    figures = dry_run(recipe(), records, tiny_bundle("nano"), tmp_path, tmp_path / "run", hear)
    stage = figures["stages"][1]
    assert stage["samples"] == 3 * 6
    assert stage["supervised"] == sum(cell["realised"] for cell in stage["cells"].values())
    assert any("ar/ct/vqa" in english for english, _ in said)
    assert any("المخطط" in arabic and "planned" in english for english, arabic in said)
    assert not (tmp_path / "run/checkpoints").exists()
    assert not (tmp_path / "run/log.jsonl").exists()
