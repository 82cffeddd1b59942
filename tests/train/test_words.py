"""The word-alignment objective against hand-worked targets, and its effect on a tiny model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bimedix2.errors import ConfigError
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.train.dataset import build_dataset
from bimedix2.train.loop import Trainer
from bimedix2.train.packs import Sample
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.words import WordAlignment, word_targets
from tiny import tiny_bundle

STAGE = StageRecipe("align", "projector", "words", epochs=25, lr=1e-2, packs_per_step=4)


class Words:
    """A tokenizer of three words and a full stop."""

    all_special_ids = (0,)

    def decode(self, ids: list[int]) -> str:
        return ["<eos>", "CT", "صدر", "."][ids[0]]


def sample(image: int, *answer: int) -> Sample:
    return Sample(str(image), str(image), "test", image, (9, *answer), (-100, *answer), 1)


def test_targets_by_hand() -> None:
    # Six images: "CT" (1) about four of them, "صدر" (2) about five, twice about image 0; "." and <eos> do not count.
    samples = [sample(0, 1, 2, 3, 0), sample(0, 2)] + [sample(i, 1, 2) for i in (1, 2, 3)] + [sample(4, 2, 3)]
    vocabulary, targets = word_targets(samples, 6, Words())
    assert vocabulary.tolist() == [1, 2]
    first, second = math.log(2) * math.log(6 / 4), math.log(3) * math.log(6 / 5)
    assert targets[0].tolist() == pytest.approx([first / (first + second), second / (first + second)], rel=1e-5)
    assert targets[4].tolist() == [0, 1]
    assert targets[5].tolist() == [0, 0]


def records(root: Path) -> list[Record]:
    """Dark figures are called one thing, bright ones another."""
    made = []
    for number in range(12):
        value = 20 if number % 2 else 230
        pixels = np.random.default_rng(number).integers(0, 25, (40, 40, 3)) + value
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number}.png")
        made.append(
            Record(
                id=str(number),
                turns=(
                    Turn(role="user", text="What is it?", language="en", images=(0,)),
                    Turn(role="assistant", text="lung" if number % 2 else "الرئة", language="en"),
                ),
                images=(ImageRef(path=f"{number}.png"),),
                task="vqa",
                modality="ct",
                source="test",
                licence="CC0-1.0",
            )
        )
    return made


def trainer(root: Path, run: str, stages: tuple[StageRecipe, ...] = (STAGE,)) -> Trainer:
    bundle = tiny_bundle("nano")
    dataset = build_dataset(records(root), root, bundle, 512)
    recipe = Recipe("tiny", (), stages, lora=LoraRecipe(2, 4, 0.0), checkpoint_steps=5)
    (root / run).mkdir(exist_ok=True)
    return Trainer(bundle, dataset, recipe, root / run)


def alignment(subject: Trainer) -> WordAlignment:
    assert subject.store is not None
    return WordAlignment(subject.bundle, subject.dataset, subject.store, subject.run_folder, {})


def test_embeddings_come_to_point_at_their_words(tmp_path: Path) -> None:
    subject = trainer(tmp_path, "run")
    words = alignment(subject)
    best = words.targets.amax(1)

    def right() -> int:
        """Images whose first word is one of their own (a name of several tokens has several first ones)."""
        with torch.no_grad():
            first = words.logits(words.images).argmax(1, keepdim=True)
        return int((words.targets.gather(1, first)[:, 0] == best).sum())

    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    subject.train()
    assert right() == 12
    after: dict[str, Any] = subject.model.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all("multi_modal_projector" in name for name in changed)


def test_a_sources_weight_of_zero_leaves_it_out(tmp_path: Path) -> None:
    subject = trainer(tmp_path, "run")
    assert subject.store is not None
    with_none = WordAlignment(subject.bundle, subject.dataset, subject.store, tmp_path / "run", {"test": 0.5})
    assert with_none.images == list(range(12))
    assert word_targets([], 12, subject.bundle.tokenizer)[1].shape == (12, 0)


def test_resume_equals_an_unbroken_run(tmp_path: Path) -> None:
    whole = trainer(tmp_path, "whole")
    whole.train()
    for steps in (3, 7, 99):
        part = trainer(tmp_path, "part")
        left = iter(range(steps))
        part.stop = lambda left=left: next(left, None) is None
        part.train()
    expected = dict(whole.model.named_parameters())
    for name, value in part.model.named_parameters():
        assert torch.equal(value, expected[name]), name


def test_without_images_it_says_so(tmp_path: Path) -> None:
    bundle = tiny_bundle("nano")
    turns = (Turn(role="user", text="a", language="en"), Turn(role="assistant", text="b", language="en"))
    text = Record(id="1", turns=turns, task="vqa", modality="other", source="test", licence="CC0-1.0")  # no image
    dataset = build_dataset([text], tmp_path, bundle, 512)
    with pytest.raises(ConfigError, match="needs records with images"):
        Trainer(bundle, dataset, Recipe("tiny", (), (STAGE,)), tmp_path).train()
