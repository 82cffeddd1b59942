"""The runner keeps predictions, takes a run up again, and never mixes models or controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bimedix2.data.splits import VqaRow
from bimedix2.errors import ConfigError
from bimedix2.evaluate.run_vqa_rad import (
    Item,
    RunOptions,
    append_predictions,
    items_of,
    predict,
    read_predictions,
    shuffled,
)


def row(qid: int, image: str, answer: str = "Yes") -> VqaRow:
    return VqaRow(
        qid=qid, image=image, organ="CHEST", question=f"Q{qid}?", answer=answer, question_ar=f"س{qid}؟",
        answer_ar="نعم", question_ar_second=None, closed=answer.lower() in ("yes", "no"),
    )  # fmt: skip


def test_items_pair_each_language_with_its_own_reference() -> None:
    items = items_of([row(1, "a.jpg"), row(2, "b.jpg", "left lung")], RunOptions(model="m", limit=None))
    assert [(item.key, item.question, item.reference, item.closed) for item in items] == [
        ("1:en", "Q1?", "Yes", True), ("2:en", "Q2?", "left lung", False),
        ("1:ar", "س1؟", "نعم", True), ("2:ar", "س2؟", "نعم", False),
    ]  # fmt: skip
    assert len(items_of([row(1, "a.jpg"), row(2, "b.jpg")], RunOptions(model="m", languages=("ar",), limit=1))) == 1


def test_shuffling_moves_every_image_and_is_the_same_every_time() -> None:
    images = ["a", "a", "b", "c", "b", "a"]
    moved = shuffled(images)
    assert moved == shuffled(images)
    assert all(new != old for new, old in zip(moved, images, strict=True))
    assert set(moved) == set(images)
    assert shuffled(["a", "a"]) == ["a", "a"]  # nothing to swap with


class Fake:
    """Stands for the model: what is tested is which questions reach it."""

    def __init__(self, fail_after: int = 10**6) -> None:
        self.asked: list[str] = []
        self.fail_after = fail_after

    def ask_batch(self, questions: Any, config: Any) -> Any:
        from bimedix2.inference import Answer

        if len(self.asked) + len(questions) > self.fail_after:
            raise KeyboardInterrupt
        self.asked += [question.text for question in questions]
        return [Answer(f"answer to {question.text}", "en", 1, 1) for question in questions]


def make_items(count: int) -> list[Item]:
    return items_of([row(number, f"{number % 3}.jpg") for number in range(count)], RunOptions(model="m"))


def test_an_interrupted_run_asks_only_what_is_missing(tmp_path: Path) -> None:
    path, options, items = (
        tmp_path / "out" / "predictions.jsonl",
        RunOptions(model="m", batch=2),
        make_items(5),
    )
    first, second = Fake(fail_after=6), Fake()
    with pytest.raises(KeyboardInterrupt):
        predict(lambda: first, items, tmp_path, options, path, lambda _: None)  # type: ignore[arg-type,return-value]
    # A kill in the middle of a line must not cost more than that line.
    path.write_bytes(path.read_bytes() + b'{"model": "m", "ke')
    found = predict(lambda: second, items, tmp_path, options, path, lambda _: None)  # type: ignore[arg-type,return-value]
    assert first.asked + second.asked == [item.question for item in items]
    assert [prediction.answer for prediction in found] == [f"answer to {item.question}" for item in items]

    def never() -> Any:
        raise AssertionError("a complete run must not load the model")

    assert predict(never, items, tmp_path, options, path, lambda _: None) == found


def test_predictions_of_another_model_or_image_are_refused(tmp_path: Path) -> None:
    path, items = tmp_path / "predictions.jsonl", make_items(3)
    predict(Fake, items, tmp_path, RunOptions(model="m"), path, lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="another model"):
        predict(Fake, items, tmp_path, RunOptions(model="n"), path, lambda _: None)  # type: ignore[arg-type]
    other = items_of([row(number, "z.jpg") for number in range(3)], RunOptions(model="m"))
    with pytest.raises(ConfigError, match="another model, question or image"):
        predict(Fake, other, tmp_path, RunOptions(model="m"), path, lambda _: None)  # type: ignore[arg-type]


def test_a_file_that_holds_no_predictions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    assert read_predictions(path) == {}
    append_predictions(path, [])
    assert read_predictions(path) == {}
    path.write_text('{"id": 1}\n')
    with pytest.raises(ConfigError, match="not a predictions file"):
        read_predictions(path)
