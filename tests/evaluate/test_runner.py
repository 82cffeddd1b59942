"""The runner on a real (tiny) model: resume, bad samples, controls, results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from bimedix2.errors import ConfigError, ImageError
from bimedix2.evaluate.controls import CONDITIONS, lookup_replies, majority_replies, under
from bimedix2.evaluate.engines.local import LocalEngine
from bimedix2.evaluate.runner import RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample, Task
from bimedix2.evaluate.scoring import results_of
from bimedix2.evaluate.store import StoredReply, read_lines, read_results
from bimedix2.inference.assistant import Assistant
from bimedix2.records.schema import Language
from tiny import tiny_bundle

ANSWERS = {"en": ("Yes", "left lung"), "ar": ("نعم", "الرئة اليسرى")}
QUESTIONS = {"en": ("Is it normal {}?", "What is it {}?"), "ar": ("هل هذا طبيعي {}؟", "ما هذا {}؟")}


def sample(number: int, language: Language, split: str) -> Sample:
    kind = number % 2
    return Sample(
        id=f"{split}{number}",
        task="toy",
        language=language,
        prompt=QUESTIONS[language][kind].format(number),
        question=QUESTIONS[language][kind].format(number),
        reference=ANSWERS[language][kind],
        images=(f"{number % 3}.png",),
        cluster=str(number % 3),
        group={"answer_type": ("closed", "open")[kind]},
    )


def read(root: Path, language: Language, split: str) -> Iterator[Sample]:
    for number in range(6 if split == "test" else 10):
        yield sample(number, language, split)


TASK = Task("toy", "vqa", read, splits=("test", "train"), train_split="train", max_new_tokens=4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def assistant() -> Assistant:
    return Assistant(tiny_bundle("nano"))


class Counting(LocalEngine):
    """The real engine, with a list of what was asked and a way to break."""

    def __init__(self, assistant: Assistant, identity: str = "1") -> None:
        super().__init__("tiny", identity, lambda: assistant)
        self.asked: list[str] = []
        self.stop_after = 10**6
        self.broken: set[str] = set()

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        if len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        if any(sample.prompt in self.broken for sample in samples):
            raise ImageError("broken on purpose", code="image_unreadable")
        self.asked += [f"{sample.prompt} {sample.images}" for sample in samples]
        return super().generate(samples, root, max_new_tokens)


def run(engine: Any, root: Path, out: Path, task: Task = TASK, **options: Any) -> tuple[Any, bool]:
    chosen = RunOptions(batch=2, **options)
    jobs = list(plan([task], engine, root, out, chosen))
    complete = ask_all(jobs, engine, root, chosen, lambda _: None)
    return results_of(jobs, engine.name, chosen, out, ()), complete


def test_every_condition_language_and_mode_has_a_row(assistant: Assistant, root: Path) -> None:
    results, complete = run(Counting(assistant), root, root / "out", conditions=CONDITIONS)
    assert complete
    assert not results["partial"]
    rows = {(row["language"], row["condition"], row["mode"]): row for row in results["rows"]}
    assert len(rows) == 2 * 5 * 2
    # Half of the answers is "Yes": the constant answer gets the closed half right and nothing else.
    majority = rows["en", "majority", "corrected"]["metrics"]
    assert (majority["closed_accuracy"]["value"], majority["open_recall"]["value"]) == (1.0, 0.0)
    assert rows["ar", "majority", "corrected"]["metrics"]["closed_accuracy"]["value"] == 1.0
    assert rows["en", "model", "corrected"]["clusters"] == 3
    assert set(rows["en", "model", "corrected"]["by_group"]) == set()  # three a group are too few
    kinds = {(row["kind"], row["a"], row["b"]) for row in results["comparisons"]}
    assert kinds == {("control", c, "model") for c in CONDITIONS[1:]} | {("language", "en", "ar")}
    assert read_results(root / "out") == json.loads(json.dumps(results))


def test_a_killed_run_asks_only_what_is_missing(assistant: Assistant, root: Path) -> None:
    out, first = root / "out", Counting(assistant)
    first.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        run(first, root, out)
    # A kill in the middle of a line must not cost more than that line.
    file = out / "toy" / "en" / "replies.jsonl"
    file.write_bytes(file.read_bytes() + b'{"key": "x", "te')
    second = Counting(assistant)
    results, _ = run(second, root, out)
    whole, third = Counting(assistant), Counting(assistant)
    fresh, _ = run(whole, root, root / "fresh")
    assert first.asked + second.asked == whole.asked
    assert [row["metrics"] for row in results["rows"]] == [row["metrics"] for row in fresh["rows"]]
    run(third, root, out)
    assert third.asked == []


def test_one_bad_sample_is_counted_and_tried_again(assistant: Assistant, root: Path) -> None:
    engine, out = Counting(assistant), root / "out"
    engine.broken = {sample(1, "en", "test").prompt}
    results, complete = run(engine, root, out, languages=("en",))
    assert complete
    row = results["rows"][0]
    assert (row["n"], row["errors"]) == (6, 1)
    stored = read_lines(out / "toy" / "en" / "replies.jsonl", StoredReply)
    assert [reply.error for reply in stored if reply.error] == ["image_unreadable: broken on purpose"]
    engine.broken, engine.asked = set(), []
    results, _ = run(engine, root, out, languages=("en",))
    assert len(engine.asked) == 1
    assert results["rows"][0]["errors"] == 0


def test_a_missing_image_is_an_error_of_its_sample(assistant: Assistant, root: Path) -> None:
    (root / "2.png").unlink()
    results, _ = run(Counting(assistant), root, root / "out", languages=("ar",))
    assert results["rows"][0]["errors"] == 2


def test_an_engine_that_has_gone_away_ends_the_run_as_partial(assistant: Assistant, root: Path) -> None:
    engine = Counting(assistant)
    engine.broken = {sample(number, "en", "test").prompt for number in range(6)}
    results, complete = run(engine, root, root / "out")
    assert not complete
    assert results["partial"]


def test_replies_of_other_weights_or_images_are_not_reused(assistant: Assistant, root: Path) -> None:
    out = root / "out"
    run(Counting(assistant), root, out, languages=("en",))
    other = Counting(assistant, identity="2")
    run(other, root, out, languages=("en",))
    assert len(other.asked) == 6
    Image.new("RGB", (40, 40)).save(root / "0.png")
    changed = Counting(assistant)
    run(changed, root, out, languages=("en",))
    assert len(changed.asked) == 2


def test_limit_draws_first_what_every_language_has(assistant: Assistant, root: Path) -> None:
    def partly(root: Path, language: Language, split: str) -> Iterator[Sample]:
        return (row for row in read(root, language, split) if language == "en" or row.id in ("test1", "test4"))

    task = Task("toy", "vqa", partly)
    for limit, shared in ((1, 1), (2, 2), (4, 2)):
        english, arabic = plan(
            [task], LocalEngine("tiny", "w1", lambda: assistant), root, root, RunOptions(limit=limit)
        )
        asked = [{row.id for row in job.samples} for job in (english, arabic)]
        assert len(asked[0]) == limit
        assert len(asked[0] & asked[1]) == shared
        assert asked[1] <= {"test1", "test4"}


def test_limit_draws_the_same_items_in_both_languages(assistant: Assistant, root: Path) -> None:
    options = RunOptions(limit=3, seed=5)
    jobs = list(plan([TASK], Counting(assistant), root, root / "out", options))
    english, arabic = ([sample.id for sample in job.samples] for job in jobs)
    assert english == arabic
    assert len(english) == 3


def test_shuffling_leaves_no_image_in_its_place() -> None:
    samples = [sample(number, "en", "test") for number in range(6)]
    moved = under("shuffled", samples)
    assert all(new.images != old.images for new, old in zip(moved, samples, strict=True))
    assert {new.images for new in moved} == {old.images for old in samples}
    assert moved == under("shuffled", samples)
    assert [item.reference for item in moved] == [item.reference for item in samples]


def test_answers_without_a_model() -> None:
    def known(question: str, answer: str) -> Sample:
        return Sample(id=question, task="t", language="en", prompt=question, question=question, reference=answer)

    train = [known("Is there a fracture?", "no"), known("Which organ is this?", "liver"), known("Is it big?", "no")]
    asked = [known("Is there a fracture here?", ""), known("Which organ?", "")]
    assert [reply.text for reply in lookup_replies(train, asked)] == ["no", "liver"]
    assert [reply.text for reply in majority_replies(train, asked)] == ["no", "no"]
    choice = msgspec.structs.replace(asked[0], options=("a", "b"), letters=("no", "yes"))
    (reply,) = majority_replies(train, [choice])
    assert reply.option_logprobs[0] > reply.option_logprobs[1]


def test_errors_name_what_is_wrong(assistant: Assistant, root: Path) -> None:
    engine = Counting(assistant)
    with pytest.raises(ConfigError, match="toy has no split 'dev'"):
        list(plan([TASK], engine, root, root / "out", RunOptions(split="dev")))
    twice = msgspec.structs.replace(sample(0, "en", "test"))
    doubled = Task("toy", "vqa", lambda *_: iter([twice, twice]))
    with pytest.raises(ConfigError, match="samples 1 and 2 have the id 'test0'"):
        list(plan([doubled], engine, root, root / "out", RunOptions()))
    empty = Task("toy", "vqa", lambda *_: iter([]))
    with pytest.raises(ConfigError, match="is empty"):
        list(plan([empty], engine, root, root / "out", RunOptions()))
