"""Several images in one conversation: each stands where its turn shows it, alone, in batches and after a cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bimedix2.inference import GenerationConfig, Question
from bimedix2.inference.assistant import Assistant
from bimedix2.inference.prompt import ImageEncoder, embed_prompt
from bimedix2.model.encoder import unfreeze_blocks
from bimedix2.records.schema import Turn
from bimedix2.text.chat import encode_conversation, fit_to_length
from tiny import tiny_bundle

CONFIG = GenerationConfig(max_new_tokens=8)
TURNS = (
    Turn(role="user", text="Compare the two.", language="en", images=(0, 1)),
    Turn(role="assistant", text="No change.", language="en"),
    Turn(role="user", text="وهذه الصورة؟", language="ar", images=(2,)),
)


@pytest.fixture(scope="module", params=["llava", "nano"])
def assistant(request: pytest.FixtureRequest) -> Assistant:
    return Assistant(tiny_bundle(request.param))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.fromarray(generator.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


def encode(bundle: Any, turns: Sequence[Turn]) -> Any:
    return encode_conversation(
        turns, bundle.tokenizer, bundle.template, image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image, add_generation_prompt=True,
    )  # fmt: skip


def generate(assistant: Assistant, turns: Sequence[Turn], images: Sequence[str]) -> str:
    """Transformers' own answer to the same ids, with the pictures in the order in which they are shown."""
    bundle = assistant.bundle
    encoded = encode(bundle, turns)
    shown = assistant.decode_images([images[index] for index in encoded.images])
    pixels = torch.from_numpy(np.stack([bundle.image_policy.preprocess(image.pixels) for image in shown]))
    ids = torch.tensor([encoded.input_ids])
    output = bundle.model.generate(
        input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), do_sample=False,
        max_new_tokens=CONFIG.max_new_tokens, eos_token_id=list(assistant.end_ids), pad_token_id=0,
        suppress_tokens=[bundle.image_token_id],
    )  # fmt: skip
    tokens = [token for token in output[0, ids.shape[1] :].tolist() if token not in assistant.end_ids]
    return bundle.tokenizer.decode(tokens, skip_special_tokens=True).strip()


def answer(assistant: Assistant, turns: Sequence[Turn], images: Sequence[str]) -> str:
    stream = Assistant(assistant.bundle).stream_turns(turns, images, "en", CONFIG)
    assert "".join(stream).strip() == stream.answer.text
    return stream.answer.text


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 0, 0)])
def test_a_dialogue_equals_transformers_generate(
    assistant: Assistant, pictures: list[str], order: tuple[int, ...]
) -> None:
    images = [pictures[index] for index in order]
    assert answer(assistant, TURNS, images) == generate(assistant, TURNS, images)


def test_indices_and_not_the_list_give_the_order(assistant: Assistant, pictures: list[str]) -> None:
    turned = (Turn(role="user", text="Compare the two.", language="en", images=(1, 0)), *TURNS[1:])
    assert encode(assistant.bundle, turned).images == (1, 0, 2)
    swapped = [pictures[1], pictures[0], pictures[2]]
    assert answer(assistant, turned, pictures) == answer(assistant, TURNS, swapped)


def test_embeddings_lie_where_the_images_are_shown(assistant: Assistant, pictures: list[str]) -> None:
    encoder, encoded = ImageEncoder(assistant.bundle), encode(assistant.bundle, TURNS)
    images = assistant.decode_images(pictures)
    embeds = embed_prompt(encoder, encoded.input_ids, images)[0]
    places = [span for span in encoded.spans if span.kind == "image"]
    assert [span.image for span in places] == [0, 1, 2]
    for span, image in zip(places, images, strict=True):
        assert torch.equal(embeds[span.start : span.end], encoder.encode(image))
    with pytest.raises(ValueError, match="image tokens"):
        embed_prompt(encoder, encoded.input_ids, images[:2])


def test_a_cut_conversation_keeps_its_own_images(assistant: Assistant, pictures: list[str]) -> None:
    bundle = assistant.bundle
    last = len(encode(bundle, TURNS[2:]).input_ids)
    fitted = fit_to_length(
        TURNS, bundle.tokenizer, bundle.template, image_token_id=bundle.image_token_id,
        tokens_per_image=bundle.tokens_per_image, max_length=last, add_generation_prompt=True,
    )  # fmt: skip
    assert (fitted.encoded.images, fitted.dropped_images) == ((2,), (0, 1))
    assert answer(assistant, fitted.turns, pictures) == generate(assistant, fitted.turns, pictures)


def test_batches_of_one_two_and_no_images(assistant: Assistant, pictures: list[str]) -> None:
    questions = [
        Question("Compare the two.", (pictures[0], pictures[1])),
        Question("What is shown?", (pictures[1],)),
        Question("ما معنى ذلك؟"),
    ]
    batch = Assistant(assistant.bundle).ask_batch(questions, CONFIG)
    alone = [Assistant(assistant.bundle).ask(q.text, q.images, config=CONFIG) for q in questions]
    assert [found.text for found in batch] == [found.text for found in alone]


def test_answers_while_parts_train_in_float32(assistant: Assistant, pictures: list[str], tmp_path: Path) -> None:
    """A bfloat16 model whose projector and last encoder blocks a trainer holds in float32."""
    bundle = tiny_bundle("llava" if assistant.bundle.pixel_shuffle == 1 else "nano")
    bundle.model.to(torch.bfloat16)
    before = ImageEncoder(bundle).encode(assistant.decode_images(pictures[:1])[0])
    unfreeze_blocks(bundle.model, 1)
    bundle.model.model.multi_modal_projector.float()
    after = ImageEncoder(bundle).encode(assistant.decode_images(pictures[:1])[0])
    assert after.dtype == torch.bfloat16
    assert (after - before).norm() / before.norm() < 0.05
    assert Assistant(bundle).ask("What is shown?", pictures[:2], config=CONFIG).tokens > 0
