"""Text out of a stream of tokens, and stop strings in it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from bimedix2.text.chat import ChatError, StopFilter, StreamDecoder

FIXTURES = ["llama3_tokenizer", "gpt2_tokenizer", "gemma_tokenizer", "phi3_tokenizer"]
TEXT = st.lists(
    st.one_of(
        st.sampled_from(["الرِّئَةُ اليُسْرَى ", "lung ", " ", "\n", "🙂", "👩‍⚕️", "漢字", "é", "e\u0301", "شدّة"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=5),
    ),
    max_size=8,
).map("".join)
QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def pushes(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoder = StreamDecoder(tokenizer)
    return [*(decoder.push(index) for index in ids), decoder.flush()]


@pytest.mark.parametrize("fixture", FIXTURES)
@QUICK
@given(text=TEXT)
def test_stream_equals_decoding_at_once(fixture: str, text: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(fixture)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert "".join(pushes(tokenizer, ids)) == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("fixture", ["llama3_tokenizer", "gpt2_tokenizer"])
@QUICK
@given(data=st.data())
def test_any_ids_give_what_the_tokenizer_gives(
    fixture: str, data: st.DataObject, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    ids = data.draw(st.lists(st.integers(0, tokenizer.get_vocab_size() - 1), max_size=30))
    assert "".join(pushes(tokenizer, ids)) == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("fixture", FIXTURES)
@QUICK
@given(text=TEXT)
def test_no_piece_holds_half_a_character_or_half_an_arabic_cluster(
    fixture: str, text: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(fixture)
    text = text.replace("\ufffd", "")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    seen = ""
    for piece in pushes(tokenizer, ids):
        assert "\ufffd" not in piece
        if piece and unicodedata.combining(piece[0]):
            assert not seen or unicodedata.bidirectional(seen[-1]) not in {"AL"}
        seen += piece


def test_arabic_letter_waits_for_its_mark_and_english_does_not_wait(llama3_tokenizer: Tokenizer) -> None:
    decoder = StreamDecoder(llama3_tokenizer)
    marks = llama3_tokenizer.encode("\u0651\u064e", add_special_tokens=False).ids
    letter = llama3_tokenizer.encode("غ", add_special_tokens=False).ids
    assert [decoder.push(index) for index in letter + marks] == [""] * len(letter + marks)
    space = llama3_tokenizer.encode(" ", add_special_tokens=False).ids
    assert "".join(decoder.push(index) for index in space) == "غ\u0651\u064e "
    latin = llama3_tokenizer.encode("q", add_special_tokens=False).ids
    assert [decoder.push(index) for index in latin] == ["q"]


def test_unfinished_bytes_come_out_only_at_the_end(gemma_tokenizer: Tokenizer) -> None:
    decoder = StreamDecoder(gemma_tokenizer)
    half = [gemma_tokenizer.token_to_id(name) for name in ("<0xE6>", "<0xBC>")]
    assert [decoder.push(index) for index in half] == ["", ""]
    assert decoder.flush() == "\ufffd"
    assert decoder.push(gemma_tokenizer.token_to_id("<0x41>")) == "A"


def test_sentencepiece_space_is_dropped_once_per_answer(phi3_tokenizer: Tokenizer) -> None:
    ids = phi3_tokenizer.encode("lung lung", add_special_tokens=False).ids
    decoder = StreamDecoder(phi3_tokenizer)
    for _ in range(2):
        assert "".join(map(decoder.push, ids)) + decoder.flush() == "lung lung"


def test_control_tokens_are_left_out_unless_asked_for(llama3_tokenizer: Tokenizer) -> None:
    end = llama3_tokenizer.token_to_id("<|eot_id|>")
    assert StreamDecoder(llama3_tokenizer).push(end) == ""
    assert StreamDecoder(llama3_tokenizer, skip_control=False).push(end) == "<|eot_id|>"


def test_held_text_stays_short_whatever_comes(llama3_tokenizer: Tokenizer) -> None:
    decoder = StreamDecoder(llama3_tokenizer)
    ids = llama3_tokenizer.encode("غ" + "\u064e" * 5000, add_special_tokens=False).ids
    shown = 0
    for number, index in enumerate(ids):
        shown += len(decoder.push(index))
        assert number // 2 - shown <= 40
    assert shown + len(decoder.flush()) == 5001


def test_a_tokenizer_of_another_kind_is_refused() -> None:
    with pytest.raises(ChatError) as caught:
        StreamDecoder(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    assert caught.value.code == "bad_tokenizer"


def first_completed(text: str, stops: list[str]) -> str | None:
    """Reference: the text before the stop string that is the first to be complete."""
    for end in range(1, len(text) + 1):
        done = [stop for stop in stops if text[:end].endswith(stop)]
        if done:
            return text[: end - max(map(len, done))]
    return None


@QUICK
@given(
    parts=st.lists(st.text("abنعم", max_size=4), max_size=8),
    stops=st.lists(st.text("abنعم", min_size=1, max_size=4), max_size=3),
)
def test_stop_filter_equals_reading_letter_by_letter(parts: list[str], stops: list[str]) -> None:
    stream = StopFilter(stops)
    emitted, stopped = "", False
    for part in parts:
        text, stopped = stream.push(part)
        emitted += text
        expected = first_completed("".join(parts), stops)
        assert (expected if expected is not None else "".join(parts)).startswith(emitted)
    emitted += stream.flush()
    expected = first_completed("".join(parts), stops)
    assert stopped == (expected is not None)
    assert emitted == (expected if expected is not None else "".join(parts))


def test_stop_filter_holds_back_the_beginning_of_an_arabic_stop() -> None:
    stream = StopFilter(["المستخدم:", ""])
    assert stream.push("الجواب نعم\nالمست") == ("الجواب نعم\n", False)
    assert stream.push("خدم: ماذا") == ("", True)
    assert stream.stopped
    assert stream.push("more") == ("", True)
    assert stream.flush() == ""
