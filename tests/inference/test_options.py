"""Option scores with a shared prefix against one whole forward pass for each option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bimedix2.inference import user_turn
from bimedix2.inference.assistant import Assistant
from bimedix2.inference.memory import PromptMemory
from bimedix2.inference.options import OptionQuestion, option_logprobs, option_tokens, score_options
from bimedix2.inference.prompt import embed_prompt
from bimedix2.records import Turn
from bimedix2.text.chat import encode_conversation
from tiny import tiny_bundle

OPTIONS = ["A", "B", "left upper lobe", "الرئة اليسرى", "لا", "C. pneumonia (bacterial)"]


@pytest.fixture(scope="module", params=["nano", "llava"])
def assistant(request: Any) -> Assistant:
    return Assistant(tiny_bundle(request.param))


@torch.inference_mode()
def whole_forward(assistant: Assistant, turn: Turn, images: list[Any], option: str) -> float:
    """Sum of the log-probabilities of the supervised tokens but the last, from the labels of the whole text."""
    bundle = assistant.bundle
    encoded = encode_conversation(
        [turn, Turn(role="assistant", text=option, language="en")], bundle.tokenizer, bundle.template,
        image_token_id=bundle.image_token_id, tokens_per_image=bundle.tokens_per_image,
    )  # fmt: skip
    embeds = embed_prompt(assistant.encoder, encoded.input_ids, images)
    hidden = bundle.model.model.language_model(inputs_embeds=embeds).last_hidden_state
    logprobs = bundle.model.lm_head(hidden).float().log_softmax(-1)[0]
    places = [place for place, label in enumerate(encoded.labels) if label != -100][:-1]
    return sum(float(logprobs[place - 1, encoded.labels[place]]) for place in places)


@pytest.mark.parametrize("pictures", [0, 1])
@pytest.mark.parametrize("question", ["Which one?", "ما الجواب؟"])
def test_equal_to_separate_forwards(assistant: Assistant, tmp_path: Path, pictures: int, question: str) -> None:
    paths = []
    for number in range(pictures):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        paths.append(str(tmp_path / f"{number}.png"))
    turn, _ = user_turn(question, pictures, "auto")
    found = option_logprobs(assistant, [turn], paths, OPTIONS)
    images = assistant.decode_images(paths)
    expected = [whole_forward(assistant, turn, images, option) for option in OPTIONS]
    assert found == pytest.approx(expected, abs=1e-4)
    # The kept prefix must not have been changed by the continuations.
    assert option_logprobs(assistant, [turn], paths, OPTIONS[::-1]) == pytest.approx(expected[::-1], abs=1e-4)


def test_probabilities_of_all_first_tokens_sum_to_one(assistant: Assistant) -> None:
    turn, _ = user_turn("Which one?", 0, "auto")
    letters = [letter for letter in "ABCDEFGHIJ" if len(option_tokens(assistant.bundle, letter)) == 1]
    scores = option_logprobs(assistant, [turn], [], letters)
    assert 0 < sum(np.exp(scores)) < 1


def test_an_option_without_text_is_refused(assistant: Assistant) -> None:
    turn, _ = user_turn("Which one?", 0, "auto")
    with pytest.raises(ValueError, match="has no tokens"):
        option_logprobs(assistant, [turn], [], ["A", " "])


def test_questions_together_score_as_alone(assistant: Assistant, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    texts = ["Which one?", "ما الجواب؟", "What is shown?", "Is it normal?"]
    questions = [
        OptionQuestion(
            [user_turn(text, number % 2, "auto")[0]], [str(tmp_path / "0.png")] * (number % 2), OPTIONS[number:]
        )
        for number, text in enumerate(texts)
    ]
    assistant.memory = PromptMemory(assistant.encoder)
    together = score_options(assistant, questions)
    assert [len(scores) for scores in together] == [6, 5, 4, 3]
    # Prompts are read in the same order, and the head runs in blocks of one shape: not even the last bit differs.
    assistant.memory = PromptMemory(assistant.encoder)
    assert [option_logprobs(assistant, *question) for question in questions] == together
