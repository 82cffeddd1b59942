"""Answers of tiny random models: caching, batching and stopping must not change a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bimedix2.errors import BiMediX2Error, ConfigError
from bimedix2.inference import GenerationConfig, Question, user_turn
from bimedix2.inference.assistant import Assistant
from bimedix2.inference.decode import pick
from bimedix2.text.answer_language import ASK_FOR
from tiny import tiny_bundle

CONFIG = GenerationConfig(max_new_tokens=10)


@pytest.fixture(scope="module", params=["llava", "nano"])
def assistant(request: pytest.FixtureRequest) -> Assistant:
    return Assistant(tiny_bundle(request.param))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    paths = []
    for number in range(3):
        path = folder / f"{number}.png"
        Image.fromarray(generator.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


def fresh(assistant: Assistant) -> Assistant:
    return Assistant(assistant.bundle)


def test_greedy_answer_equals_transformers_generate(assistant: Assistant, pictures: list[str]) -> None:
    answer = fresh(assistant).ask("What is shown?", [pictures[0]], config=CONFIG)
    turns_ids = assistant._encode(_turn(assistant), CONFIG)[0]
    (image,) = assistant.decode_images([pictures[0]])
    pixels = torch.from_numpy(assistant.bundle.image_policy.preprocess(image.pixels))[None]
    ids = torch.tensor([turns_ids])
    output = assistant.bundle.model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), do_sample=False,
        max_new_tokens=CONFIG.max_new_tokens, eos_token_id=list(assistant.end_ids), pad_token_id=0,
        suppress_tokens=[assistant.bundle.image_token_id],
    )  # fmt: skip
    expected = [token for token in output[0, ids.shape[1] :].tolist() if token not in assistant.end_ids]
    assert answer.tokens == len(expected)
    assert answer.text == assistant.bundle.tokenizer.decode(expected, skip_special_tokens=True).strip()


def _turn(assistant: Assistant) -> list[Any]:
    return [user_turn("What is shown?", 1, "auto")[0]]


def test_second_turn_reuses_the_cache_and_changes_nothing(assistant: Assistant, pictures: list[str]) -> None:
    warm = fresh(assistant).chat()
    first = warm.send("What is shown?", [pictures[0]], config=CONFIG)
    second = warm.send("ماذا يظهر؟", config=CONFIG)
    assert second.reused_tokens >= first.prompt_tokens
    assert warm.assistant.encoder.encoded == 1
    cold = fresh(assistant)
    again = cold.stream_turns(warm.turns[:3], [pictures[0]], "ar", CONFIG)
    text = "".join(again).strip()
    assert cold.memory.reused == 0
    assert text == second.text


def test_another_image_is_never_answered_from_the_cache(assistant: Assistant, pictures: list[str]) -> None:
    busy = fresh(assistant)
    busy.ask("What is shown?", [pictures[0]], config=CONFIG)
    answer = busy.ask("What is shown?", [pictures[1]], config=CONFIG)
    assert answer.text == fresh(assistant).ask("What is shown?", [pictures[1]], config=CONFIG).text
    assert busy.memory.reused < answer.prompt_tokens - assistant.bundle.tokens_per_image


def test_images_may_come_in_a_later_turn(assistant: Assistant, pictures: list[str]) -> None:
    chat = fresh(assistant).chat()
    chat.send("What is shown?", [pictures[0]], config=CONFIG)
    chat.send("And here?", [pictures[1], pictures[2]], config=CONFIG)
    assert [turn.images for turn in chat.turns] == [(0,), (), (1, 2), ()]
    assert chat.assistant.encoder.encoded == 3


def test_batch_equals_one_by_one(assistant: Assistant, pictures: list[str]) -> None:
    questions = [
        Question("What is shown?", (pictures[0],)),
        Question("هل الرئة اليسرى سليمة؟ نعم أو لا، في هذه الصورة أو في غيرها", (pictures[1],)),
        Question("Yes?"),
    ]
    together = fresh(assistant).ask_batch(questions, CONFIG)
    for question, answer in zip(questions, together, strict=True):
        assert answer.text == fresh(assistant).ask(question.text, question.images, config=CONFIG).text
    assert [answer.language for answer in together] == ["en", "ar", "en"]


def test_stream_pieces_join_to_the_answer(assistant: Assistant, pictures: list[str]) -> None:
    stream = fresh(assistant).stream("ماذا يظهر؟", [pictures[0]], config=CONFIG)
    text = "".join(stream)
    assert stream.answer is not None
    assert text.strip() == stream.answer.text
    assert stream.answer.notice.startswith("للاستخدام البحثي")


def test_stop_string_ends_the_answer_before_it(assistant: Assistant, pictures: list[str]) -> None:
    whole = fresh(assistant).ask("What is shown?", [pictures[0]], config=CONFIG).text
    stop = whole[len(whole) // 2 :][:2]
    cut = fresh(assistant).ask(
        "What is shown?", [pictures[0]], config=GenerationConfig(max_new_tokens=10, stop=(stop,))
    )
    assert cut.finish_reason == "stop_string"
    assert cut.text == whole[: whole.index(stop)].strip()


def test_closing_a_stream_leaves_the_chat_as_it_was(assistant: Assistant, pictures: list[str]) -> None:
    chat = fresh(assistant).chat()
    stream = chat.stream("What is shown?", [pictures[0]], config=CONFIG)
    next(iter(stream))
    stream.close()
    assert chat.turns == []
    expected = fresh(assistant).ask("Yes?", config=CONFIG).text
    assert chat.send("Yes?", config=CONFIG).text == expected


def test_length_is_obeyed_and_named(assistant: Assistant) -> None:
    answer = fresh(assistant).ask("What is shown?", config=GenerationConfig(max_new_tokens=3))
    assert answer.tokens <= 3
    assert answer.finish_reason == ("length" if answer.tokens == 3 else "stop")


def test_answer_language_is_the_questions_unless_told_otherwise(assistant: Assistant) -> None:
    helper = fresh(assistant)
    assert helper.ask("نعم؟", config=CONFIG).language == "ar"
    assert helper.ask("Yes?", config=CONFIG).language == "en"
    told = helper.ask("Yes?", lang="ar", config=CONFIG)
    assert told.language == "ar"
    same = helper.ask(f"Yes?\n{ASK_FOR['ar']}", config=CONFIG)
    assert told.text == same.text


def test_saved_chat_is_taken_up_again(assistant: Assistant, pictures: list[str], tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    chat = fresh(assistant).chat(path)
    chat.send("What is shown?", [pictures[0]], config=CONFIG)
    resumed = fresh(assistant).chat(path)
    assert resumed.turns == chat.turns
    assert resumed.send("نعم؟", config=CONFIG).text == chat.send("نعم؟", config=CONFIG).text


def test_empty_question_is_refused(assistant: Assistant) -> None:
    with pytest.raises(BiMediX2Error, match="empty"):
        fresh(assistant).ask("  ")


@pytest.mark.parametrize("fault", [{"temperature": 3.0}, {"top_p": 0.0}, {"max_new_tokens": 0}, {"stop": ("",)}])
def test_settings_out_of_range(fault: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        GenerationConfig(**fault)


def test_top_p_keeps_the_smallest_sufficient_set() -> None:
    # Probabilities 0.5, 0.3, 0.2: 0.7 needs the first two, never the third.
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    drawn = pick(scores, GenerationConfig(temperature=1.0, top_p=0.7), generator, [], ())
    counts = torch.bincount(drawn, minlength=3) / 4000
    assert counts[2] == 0
    assert counts[0].item() == pytest.approx(0.625, abs=0.03)


def test_temperature_sharpens() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.4]])).repeat(4000, 1)
    drawn = pick(scores, GenerationConfig(temperature=0.5), torch.Generator().manual_seed(0), [], ())
    # p^2 normalised: 0.36 / 0.52
    assert (drawn == 0).float().mean().item() == pytest.approx(0.692, abs=0.03)


def test_repetition_penalty_and_forbidden_tokens() -> None:
    scores = torch.tensor([[2.0, 1.9, 5.0]])
    config = GenerationConfig(repetition_penalty=1.2)
    assert pick(scores.clone(), config, torch.Generator(), [[0]], (2,)).item() == 1
