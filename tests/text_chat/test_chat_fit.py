"""Fitting a conversation into a limit."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from bimedix2.records.schema import Turn
from bimedix2.text.chat import ChatError, Fitted, encode_conversation, fit_to_length, get_template

IMAGE, PER_IMAGE = 9999, 7
SYSTEM = Turn(role="system", text="Be brief.", language="en")


def exchange(number: int, images: tuple[int, ...] = ()) -> list[Turn]:
    return [
        Turn(role="user", text=f"سؤال {number}", language="ar", images=images),
        Turn(role="assistant", text=f"answer {number} " * number, language="en"),
    ]


def fit(turns: list[Turn], tokenizer: Tokenizer, limit: int, name: str = "llama3", **more: object) -> Fitted:
    return fit_to_length(
        turns,
        tokenizer,
        get_template(name),
        image_token_id=IMAGE,
        tokens_per_image=PER_IMAGE,
        max_length=limit,
        **more,  # type: ignore[arg-type]
    )


def length(turns: list[Turn], tokenizer: Tokenizer, name: str = "llama3") -> int:
    template = get_template(name)
    return len(
        encode_conversation(turns, tokenizer, template, image_token_id=IMAGE, tokens_per_image=PER_IMAGE).input_ids
    )


def test_nothing_is_dropped_when_it_fits(llama3_tokenizer: Tokenizer) -> None:
    turns = [SYSTEM, *exchange(1, (0,)), *exchange(2)]
    fitted = fit(turns, llama3_tokenizer, length(turns, llama3_tokenizer))
    assert fitted.turns == tuple(turns)
    assert (fitted.dropped, fitted.dropped_images, fitted.report("ar")) == ((), (), "")


@pytest.mark.parametrize(("name", "fixture"), [("llama3", "llama3_tokenizer"), ("gemma", "gemma_tokenizer")])
def test_oldest_exchanges_go_whole_and_the_system_turn_stays(
    name: str, fixture: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    turns = [SYSTEM, *exchange(1, (0,)), *exchange(2, (1,)), *exchange(3)]
    rest = [SYSTEM, *exchange(3)]
    fitted = fit(turns, tokenizer, length(rest, tokenizer, name), name)
    assert fitted.turns == tuple(rest)
    assert fitted.dropped == (1, 2, 3, 4)
    assert fitted.dropped_images == (0, 1)
    assert fitted.encoded.images == ()
    assert "4" in fitted.report("en")
    assert "حُذفت" in fitted.report("ar")


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(count=st.integers(1, 5), images=st.lists(st.booleans(), min_size=5, max_size=5), limit=st.integers(1, 400))
def test_as_few_exchanges_go_as_possible_and_images_stay_whole(
    count: int, images: list[bool], limit: int, llama3_tokenizer: Tokenizer
) -> None:
    groups = [exchange(n, (n,) if images[n] else ()) for n in range(count)]
    candidates = [list(chain.from_iterable(groups[first:])) for first in range(count)]
    lengths = [length(turns, llama3_tokenizer) for turns in candidates]
    best = next((first for first in range(count) if lengths[first] <= limit), None)
    if best is None:
        with pytest.raises(ChatError) as caught:
            fit(candidates[0], llama3_tokenizer, limit)
        assert caught.value.code == "prompt_too_long"
        return
    fitted = fit(candidates[0], llama3_tokenizer, limit)
    assert fitted.turns == tuple(candidates[best])
    assert len(fitted.encoded.input_ids) == lengths[best] <= limit
    assert fitted.encoded.input_ids.count(IMAGE) == PER_IMAGE * len(fitted.encoded.images)


def test_the_last_question_is_never_dropped(llama3_tokenizer: Tokenizer) -> None:
    turns = [*exchange(3), Turn(role="user", text="وهذه؟", language="ar", images=(0,))]
    fitted = fit(turns, llama3_tokenizer, 90, add_generation_prompt=True, default_system="")
    assert fitted.turns[-1] == turns[-1]
    with pytest.raises(ChatError) as caught:
        fit(turns[-1:], llama3_tokenizer, 5, add_generation_prompt=True)
    assert caught.value.code == "prompt_too_long"
    assert "5" in caught.value.message_ar
