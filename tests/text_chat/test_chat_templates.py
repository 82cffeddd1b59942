"""Layouts against strings written out by hand, and labels against what the answers say."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from tokenizers import Tokenizer

from bimedix2.records.schema import Turn
from bimedix2.text.chat import (
    IGNORED,
    ChatError,
    Encoded,
    encode_conversation,
    get_template,
    stop_token_ids,
    template_names,
)

IMAGE = 9999
USER = Turn(role="user", text="What is this?", language="en", images=(0,))
ANSWER = Turn(role="assistant", text="الرئة اليسرى سليمة.", language="ar")
MORE = Turn(role="user", text="ماذا تظهر؟", language="ar")
LAST = Turn(role="assistant", text="normal", language="en")
SENTENCE = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions."
)
LLAMA3 = (
    f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SENTENCE}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n[I]\nWhat is this?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nالرئة اليسرى سليمة.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nماذا تظهر؟<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nnormal<|eot_id|>"
)
PHI3 = (
    "<s><|user|>\n[I]\nWhat is this?<|end|>\n<|assistant|>\nالرئة اليسرى سليمة.<|end|>\n"
    "<|user|>\nماذا تظهر؟<|end|>\n<|assistant|>\nnormal<|end|>\n"
)
GEMMA = (
    "<bos><start_of_turn>user\n[I]\nWhat is this?<end_of_turn>\n"
    "<start_of_turn>model\nالرئة اليسرى سليمة.<end_of_turn>\n"
    "<start_of_turn>user\nماذا تظهر؟<end_of_turn>\n<start_of_turn>model\nnormal<end_of_turn>\n"
)
CASES = [
    ("llama3", "llama3_tokenizer", LLAMA3, "<|eot_id|>"),
    ("llama3", "gpt2_tokenizer", LLAMA3, "<|eot_id|>"),
    ("phi3", "phi3_tokenizer", PHI3, "<|end|>"),
    ("gemma", "clean_gemma_tokenizer", GEMMA, "<end_of_turn>"),
]


def encode(turns: list[Turn], tokenizer: Tokenizer, name: str, **more: object) -> Encoded:
    return encode_conversation(
        turns,
        tokenizer,
        get_template(name),
        image_token_id=IMAGE,
        tokens_per_image=3,
        **more,  # type: ignore[arg-type]
    )


def ids_of_string(string: str, tokenizer: Tokenizer) -> list[int]:
    """Ids of a written-out conversation by the tokenizer itself, images between ``[I]`` marks."""
    runs = [tokenizer.encode(run, add_special_tokens=False).ids for run in string.split("[I]")]
    ids = runs[0]
    for run in runs[1:]:
        ids = ids + [IMAGE] * 3 + run
    return ids


@pytest.mark.parametrize(("name", "fixture", "string", "close"), CASES)
def test_ids_are_those_of_the_string_written_out_by_hand(
    name: str, fixture: str, string: str, close: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    encoded = encode([USER, ANSWER, MORE, LAST], tokenizer, name)
    assert encoded.input_ids == ids_of_string(string, tokenizer)
    assert encoded.images == (0,)


@pytest.mark.parametrize(("name", "fixture", "string", "close"), CASES)
def test_only_answers_and_their_closing_token_are_supervised(
    name: str, fixture: str, string: str, close: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    encoded = encode([USER, ANSWER, MORE, LAST], tokenizer, name)
    close_id = tokenizer.token_to_id(close)
    answers: list[list[int]] = [[]]
    for index, label in enumerate(encoded.labels):
        if label != IGNORED:
            assert label == encoded.input_ids[index]
            answers[-1].append(label)
        elif answers[-1]:
            answers.append([])
    answers = [answer for answer in answers if answer]
    assert [answer[-1] for answer in answers] == [close_id, close_id]
    assert [tokenizer.decode(answer[:-1]) for answer in answers] == [ANSWER.text, LAST.text]


@pytest.mark.parametrize(("name", "fixture", "string", "close"), CASES)
def test_prompt_is_the_beginning_of_the_training_sequence(
    name: str, fixture: str, string: str, close: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    prompt = encode([USER, ANSWER, MORE], tokenizer, name, add_generation_prompt=True)
    whole = encode([USER, ANSWER, MORE, LAST], tokenizer, name)
    first = max(span.start for span in whole.spans if span.kind == "content" and span.supervised)
    assert prompt.input_ids == whole.input_ids[:first]
    assert all(label == IGNORED for label in prompt.labels[-3:])


@pytest.mark.parametrize(("name", "fixture", "string", "close"), CASES)
def test_spans_cover_the_sequence_and_keep_its_text(
    name: str, fixture: str, string: str, close: str, request: pytest.FixtureRequest
) -> None:
    encoded = encode([USER, ANSWER, MORE, LAST], request.getfixturevalue(fixture), name)
    assert [span.start for span in encoded.spans] == [0, *(span.end for span in encoded.spans[:-1])]
    assert encoded.spans[-1].end == len(encoded.input_ids) == len(encoded.labels)
    assert "".join("[I]" if span.kind == "image" else span.text for span in encoded.spans) == string
    for span in encoded.spans:
        masked = {label == IGNORED for label in encoded.labels[span.start : span.end]}
        assert masked <= {not span.supervised}


@pytest.mark.parametrize(("name", "fixture", "string", "close"), CASES)
def test_exactly_one_bos_also_when_the_tokenizer_would_add_its_own(
    name: str, fixture: str, string: str, close: str, request: pytest.FixtureRequest
) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer.from_str(request.getfixturevalue(fixture).to_str())
    bos = get_template(name).bos[0]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    encoded = encode([USER, ANSWER], tokenizer, name)
    assert encoded.input_ids.count(tokenizer.token_to_id(bos)) == 1
    assert encoded.input_ids[0] == tokenizer.token_to_id(bos)


def test_system_text_replaces_the_default_and_empty_means_none(llama3_tokenizer: Tokenizer) -> None:
    system = Turn(role="system", text="Be brief.", language="en")
    given = encode([system, USER], llama3_tokenizer, "llama3")
    by_argument = encode([USER], llama3_tokenizer, "llama3", default_system="Be brief.")
    assert given.input_ids == by_argument.input_ids
    without = encode([USER], llama3_tokenizer, "llama3", default_system="")
    assert [span.text for span in without.spans][:3] == ["<|begin_of_text|>", "<|start_header_id|>", "user"]


def test_gemma_folds_system_text_into_the_first_user_turn(clean_gemma_tokenizer: Tokenizer) -> None:
    system = Turn(role="system", text="أجب بإيجاز.", language="ar")
    encoded = encode([system, USER, ANSWER], clean_gemma_tokenizer, "gemma")
    start = "<bos><start_of_turn>user\nأجب بإيجاز.\n\n[I]\nWhat is this?<end_of_turn>\n"
    text = "".join("[I]" if span.kind == "image" else span.text for span in encoded.spans)
    assert text.startswith(start)
    assert encoded.input_ids[: len(ids_of_string(start, clean_gemma_tokenizer))] == ids_of_string(
        start, clean_gemma_tokenizer
    )


@pytest.mark.parametrize("fixture", ["llama3_tokenizer", "clean_gemma_tokenizer", "gpt2_tokenizer"])
def test_plain_is_image_then_caption_without_the_question(fixture: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(fixture)
    caption = Turn(role="assistant", text="Chest X-ray.", language="en")
    encoded = encode([USER, caption], tokenizer, "plain")
    tail = tokenizer.encode("Chest X-ray.\n", add_special_tokens=False).ids
    assert encoded.input_ids[1:] == [IMAGE] * 3 + tail
    assert encoded.labels == [IGNORED] * 4 + tail
    prompt = encode([USER], tokenizer, "plain", add_generation_prompt=True)
    assert prompt.input_ids == encoded.input_ids[:4]


def test_several_images_keep_their_order_and_their_blocks(llama3_tokenizer: Tokenizer) -> None:
    first = Turn(role="user", text="قارن", language="ar", images=(2, 0))
    again = Turn(role="user", text="and this?", language="en", images=(1,))
    encoded = encode([first, ANSWER, again], llama3_tokenizer, "llama3", image_count=3)
    assert encoded.images == (2, 0, 1)
    blocks = [span for span in encoded.spans if span.kind == "image"]
    assert [encoded.input_ids[span.start : span.end] for span in blocks] == [[IMAGE] * 3] * 3
    assert encoded.input_ids.count(IMAGE) == 9


def test_stop_tokens_are_those_the_tokenizer_has(llama3_tokenizer: Tokenizer) -> None:
    ids = stop_token_ids(llama3_tokenizer, get_template("llama3"))
    assert [llama3_tokenizer.id_to_token(i) for i in ids] == ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]


def test_templates_are_frozen_data() -> None:
    assert template_names() == ("llama3", "phi3", "gemma", "plain")
    with pytest.raises(FrozenInstanceError):
        get_template("gemma").close = "x"  # type: ignore[misc]


def _turn(role: str, text: str = "hello", images: tuple[int, ...] = ()) -> Turn:
    return Turn(role=role, text=text, language="en", images=images)  # type: ignore[arg-type]


BAD: list[tuple[str, list[Turn], dict[str, object]]] = [
    ("empty_conversation", [], {}),
    ("no_user_turn", [_turn("system"), _turn("assistant")], {}),
    ("bad_turn_order", [_turn("user"), _turn("system")], {}),
    ("bad_turn_order", [_turn("user"), _turn("assistant")], {"add_generation_prompt": True}),
    ("image_out_of_range", [_turn("user", images=(1,))], {"image_count": 1}),
    ("image_out_of_range", [_turn("user", images=(-1,))], {}),
    ("image_outside_user_turn", [_turn("user"), _turn("assistant", images=(0,))], {}),
    ("bad_text", [_turn("user", text="a\ud800b")], {}),
]


@pytest.mark.parametrize(("code", "turns", "more"), BAD)
def test_bad_conversations_are_refused_in_both_languages(
    code: str, turns: list[Turn], more: dict[str, object], llama3_tokenizer: Tokenizer
) -> None:
    with pytest.raises(ChatError) as caught:
        encode(turns, llama3_tokenizer, "llama3", **more)
    assert caught.value.code == code
    assert any("\u0600" <= char <= "\u06ff" for char in caught.value.in_language("ar"))
    assert "{" not in caught.value.message + caught.value.message_ar


def test_unknown_template_and_foreign_tokenizer_are_named(llama3_tokenizer: Tokenizer) -> None:
    with pytest.raises(ChatError, match=r"llama3, phi3, gemma, plain"):
        get_template("vicuna")
    with pytest.raises(ChatError) as caught:
        encode([USER], llama3_tokenizer, "gemma")
    assert caught.value.code == "template_mismatch"
    with pytest.raises(ChatError) as caught:
        encode([USER], object(), "gemma")  # type: ignore[arg-type]
    assert caught.value.code == "bad_tokenizer"
