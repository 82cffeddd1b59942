"""The trainer against plain transformers, and against itself after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bimedix2.errors import ModelError, RecordError
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.train.dataset import build_dataset
from bimedix2.train.images import augmented
from bimedix2.train.loop import Trainer
from bimedix2.train.packs import Pack, plan_epoch
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from tiny import tiny_bundle


def record(name: str, question: str, answer: str, image: str | None, language: str = "en") -> Record:
    return Record(
        id=name,
        turns=(
            Turn(role="user", text=question, language=language, images=(0,) if image else ()),  # type: ignore[arg-type]
            Turn(role="assistant", text=answer, language=language),  # type: ignore[arg-type]
        ),
        images=(ImageRef(path=image),) if image else (),
        task="vqa",
        modality="ct",
        source="test",
        licence="CC0-1.0",
    )


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 255, (30, 50, 3), dtype=np.uint8)).save(tmp_path / name)
    return [
        record("1", "What is shown?", "The left lung", "a.png"),
        record("2", "ماذا يظهر؟", "الرئة اليسرى سليمة", "a.png", "ar"),
        record("3", "Is it CT?", "Yes", "a.png"),
        record("4", "Is it chest?", "No", "b.png"),
        record("5", "What is clear?", "12 mm", None),
    ]


def trainer(kind: str, records: list[Record], root: Path, run: Path, **recipe: Any) -> Trainer:
    bundle = tiny_bundle(kind)
    stages = (
        StageRecipe("align", "projector", lr=1e-2, packs_per_step=2),
        StageRecipe("instruct", "projector+lora", epochs=3, lr=1e-2, projector_lr=1e-3, packs_per_step=1),
    )
    settings = {
        "stages": stages,
        "lora": LoraRecipe(4, 8, 0.1),
        "checkpoint_steps": 2,
        "pack_tokens": 200,
    } | recipe
    run.mkdir(exist_ok=True)
    dataset = build_dataset(records, root, bundle, 512)
    return Trainer(bundle, dataset, Recipe(model="tiny", records=(), **settings), run)


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_packed_loss_is_the_sum_of_single_losses_by_transformers(
    kind: str, records: list[Record], tmp_path: Path
) -> None:
    subject = trainer(kind, records, tmp_path, tmp_path / "run")
    packs = plan_epoch(subject.dataset.samples, seed=0, epoch=0, budget=400, weights={})
    assert max(len(pack.samples) for pack in packs) == 3  # the three about a.png in one row
    assert subject.store is not None
    for pack in packs:
        loss, count = subject.pack_loss(pack, None)
        expected, tokens = 0.0, 0
        for sample in pack.samples:
            labels = torch.tensor([sample.labels])
            pixels = None
            if sample.image is not None:
                pixels = torch.from_numpy(subject.store.get(sample.image, None))[None]
            ids = torch.tensor([sample.input_ids])
            with torch.no_grad():
                mean = subject.model(input_ids=ids, pixel_values=pixels, labels=labels).loss
            supervised = int((labels != -100).sum())
            expected += float(mean) * supervised
            tokens += supervised
        assert count == tokens
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_only_projector_trains_first_then_adapter_too(records: list[Record], tmp_path: Path) -> None:
    subject = trainer("nano", records, tmp_path, tmp_path / "run")
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    assert subject.train()
    after = subject.model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, _find(after, name))}
    assert changed
    assert all("multi_modal_projector" in name for name in changed)  # base weights of the LM stay frozen
    lora_b = [value for name, value in after.items() if "lora_B" in name]
    assert lora_b
    assert all(value.abs().sum() > 0 for value in lora_b)


def _find(state: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    candidates = [key for key in state if key.replace("base_model.model.", "").replace(".base_layer", "") == name]
    return state[candidates[0]]


def test_training_lowers_the_loss(records: list[Record], tmp_path: Path) -> None:
    stages = (StageRecipe("instruct", epochs=25, lr=2e-2, projector_lr=1e-2, packs_per_step=4),)
    subject = trainer("nano", records, tmp_path, tmp_path / "run", stages=stages, augment=False)
    packs = plan_epoch(subject.dataset.samples, seed=0, epoch=0, budget=400, weights={})

    def mean() -> float:
        with torch.no_grad():
            pairs = [subject.pack_loss(pack, None) for pack in packs]
        return sum(float(loss) for loss, _ in pairs) / sum(count for _, count in pairs)

    before = mean()
    subject.train()
    assert mean() < 0.9 * before


def test_resume_after_an_interruption_equals_an_unbroken_run(records: list[Record], tmp_path: Path) -> None:
    whole = trainer("nano", records, tmp_path, tmp_path / "whole")
    whole.train()
    for steps in (1, 3, 2, 99):  # stopped in stage one, in stage two, and again
        part = trainer("nano", records, tmp_path, tmp_path / "part")
        left = iter(range(steps))
        part.stop = lambda left=left: next(left, None) is None
        part.train()
    expected = dict(whole.model.named_parameters())
    for name, value in part.model.named_parameters():
        assert torch.equal(value, expected[name]), name
    assert (tmp_path / "whole/log.jsonl").read_text().count("\n") == (tmp_path / "part/log.jsonl").read_text().count(
        "\n"
    )


def test_resume_refuses_another_recipe(records: list[Record], tmp_path: Path) -> None:
    trainer("nano", records, tmp_path, tmp_path / "run").train()
    with pytest.raises(ModelError, match="recipe"):
        trainer("nano", records, tmp_path, tmp_path / "run", seed=5).train()


def test_missing_image_names_row_and_field(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "b.png").unlink()
    with pytest.raises(RecordError, match=r"row 4, field images\[0\].path"):
        build_dataset(records, tmp_path, tiny_bundle(), 512)


def test_too_long_record_is_an_error_not_a_cut(records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="more than 20"):
        build_dataset(records, tmp_path, tiny_bundle(), 20)


def test_manifest_hash_follows_text_and_pixels(records: list[Record], tmp_path: Path) -> None:
    bundle = tiny_bundle()
    first = build_dataset(records, tmp_path, bundle, 512).manifest_hash
    assert build_dataset(records[::-1], tmp_path, bundle, 512).manifest_hash == first
    Image.new("RGB", (5, 5)).save(tmp_path / "b.png")
    assert build_dataset(records, tmp_path, bundle, 512).manifest_hash != first


def test_augmentation_never_mirrors(tmp_path: Path) -> None:
    bundle = tiny_bundle()
    pixels = np.zeros((56, 56, 3), np.uint8)
    pixels[:, :20] = 255  # bright on the left
    for key in range(30):
        copy = augmented(pixels, str(key), bundle.image_policy).astype(float).mean((0, 2))
        assert copy[:15].mean() > copy[-15:].mean()
    assert np.array_equal(augmented(pixels, "1", bundle.image_policy), augmented(pixels, "1", bundle.image_policy))


def test_pack_prefix_is_the_images_part(records: list[Record], tmp_path: Path) -> None:
    bundle = tiny_bundle("nano")
    samples = build_dataset(records, tmp_path, bundle, 512).samples
    with_image = [sample for sample in samples if sample.image is not None]
    for sample in with_image:
        assert sample.input_ids[sample.prefix - 1] == bundle.image_token_id
        assert bundle.image_token_id not in sample.input_ids[sample.prefix :]
    assert Pack(0, tuple(with_image[:2])).tokens < sum(len(sample.input_ids) for sample in with_image[:2])
