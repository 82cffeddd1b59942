"""The word-alignment objective against hand-worked targets, and its effect on a tiny model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from bimedix2.errors import ConfigError
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.train.recipe import LoraRecipe, Recipe, StageRecipe
from bimedix2.train.run import train_records
from bimedix2.train.samples.prepare import prepare
from bimedix2.train.watch.log import read_log
from bimedix2.train.words import WordAlignment, word_targets
from tiny import tiny_bundle

STAGE = StageRecipe("align", "projector", "words", epochs=25, lr=1e-2, packs_per_step=4)


class Words:
    """A tokenizer of three words and a full stop."""

    all_special_ids = (0,)

    def decode(self, ids: list[int]) -> str:
        return ["<eos>", "CT", "صدر", "."][ids[0]]


def answer(image: int, *tokens: int) -> tuple[int, NDArray[np.int32]]:
    return image, np.array(tokens, dtype=np.int32)


def test_targets_by_hand() -> None:
    # Six images: "CT" (1) about four of them, "صدر" (2) about five, twice about image 0; "." and <eos> do not count.
    answers = [answer(0, 1, 2, 3, 0), answer(0, 2)] + [answer(i, 1, 2) for i in (1, 2, 3)] + [answer(4, 2, 3)]
    vocabulary, targets = word_targets(answers, 6, Words())
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


def train(root: Path, run: str, stop: Any = lambda: False) -> bool:
    recipe = Recipe("tiny", (), (STAGE,), lora=LoraRecipe(2, 4, 0.0), checkpoint_steps=5)
    return train_records(recipe, records(root), tiny_bundle("nano"), root, root / run, lambda *_: None, stop)


def alignment(root: Path, bundle: Any, weights: dict[str, float]) -> WordAlignment:
    return WordAlignment(bundle, prepare(records(root), root, bundle, root / "prepared", max_tokens=512), root, weights)


def test_embeddings_come_to_point_at_their_words(tmp_path: Path) -> None:
    assert train(tmp_path, "run")
    trained = load_file(tmp_path / "run/final/projector.safetensors")
    bundle = tiny_bundle("nano")
    stored = {name.split("multi_modal_projector.")[-1]: value for name, value in trained.items()}
    bundle.model.model.multi_modal_projector.load_state_dict(stored)
    words = alignment(tmp_path, bundle, {})
    with torch.no_grad():
        first = words.logits(words.images).argmax(1, keepdim=True)
    # The first word of every image is one of its own (a name of several tokens has several first ones).
    assert torch.equal(words.targets.gather(1, first)[:, 0], words.targets.amax(1))
    losses = [row["loss"] for row in read_log(tmp_path / "run").steps]
    assert losses[-1] < losses[0]


def test_a_sources_weight_of_zero_leaves_it_out(tmp_path: Path) -> None:
    bundle = tiny_bundle("nano")
    assert alignment(tmp_path, bundle, {"test": 0.5}).images == list(range(12))
    assert word_targets([], 12, bundle.tokenizer)[1].shape == (12, 0)


def test_resume_equals_an_unbroken_run(tmp_path: Path) -> None:
    assert train(tmp_path, "whole")
    for steps in (3, 7, 99):
        left = iter(range(steps))
        finished = train(tmp_path, "part", lambda left=left: next(left, None) is None)
    assert finished
    whole, part = (load_file(tmp_path / run / "final/projector.safetensors") for run in ("whole", "part"))
    assert all(torch.equal(value, whole[name]) for name, value in part.items())


def test_without_images_it_says_so(tmp_path: Path) -> None:
    turns = (Turn(role="user", text="a", language="en"), Turn(role="assistant", text="b", language="en"))
    text = Record(id="1", turns=turns, task="vqa", modality="other", source="test", licence="CC0-1.0")  # no image
    with pytest.raises(ConfigError, match="needs records with images"):
        train_records(Recipe("tiny", (), (STAGE,)), [text], tiny_bundle("nano"), tmp_path, tmp_path / "run", print)
