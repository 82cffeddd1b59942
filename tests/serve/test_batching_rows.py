"""Choosing tokens and writing text for one row."""

from __future__ import annotations

import asyncio

import pytest
import torch
from engine_tools import answer, engine, job, run

from bimedix2.inference import GenerationConfig
from bimedix2.inference.assistant import Assistant
from bimedix2.serve.engines.batching.row import Chooser, Writer, is_plain
from tiny import tiny_bundle, tiny_tokenizer

ENGLISH = "The left lung is clear. No nodule."
ARABIC = "الرئة اليسرى سليمة. لا يظهر انصباب."
SAMPLED = {"temperature": 1.1, "top_p": 0.8, "repetition_penalty": 1.3, "max_new_tokens": 20}


def write(text: str, *, stop: tuple[str, ...] = (), limit: int = 500, end: bool = True) -> tuple[list[str], Writer]:
    tokenizer = tiny_tokenizer()
    finish = tokenizer.convert_tokens_to_ids("<|eot_id|>")
    writer = Writer(tokenizer, GenerationConfig(stop=stop), (finish,), limit)
    pieces: list[str] = []
    for token in tokenizer.encode(text, add_special_tokens=False) + ([finish] if end else []):
        pieces.append(writer.push(token))
        if writer.reason is not None:
            break
    return pieces, writer


@pytest.mark.parametrize("text", [ENGLISH, ARABIC, "الرِّئَةُ سَلِيمَةٌ", "🩻 نعم"])
def test_text_comes_in_whole_characters(text: str) -> None:
    pieces, writer = write(text)
    assert "".join(pieces) == text
    assert writer.reason == "stop"
    # A combining mark belongs to the letter before it.
    assert not any(piece and piece[0] in "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652" for piece in pieces)


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [(ENGLISH, "clear", "The left lung is "), (ARABIC, "سليمة", "الرئة اليسرى "), (ARABIC, "؟", ARABIC)],
)
def test_stop_strings_in_both_languages(text: str, stop: str, expected: str) -> None:
    pieces, writer = write(text, stop=(stop,))
    assert "".join(pieces) == expected
    assert writer.reason == "stop"


@pytest.mark.parametrize("text", [ENGLISH, ARABIC])
def test_length_counts_tokens(text: str) -> None:
    pieces, writer = write(text, limit=7)
    assert (writer.tokens, writer.reason) == (7, "length")
    assert text.startswith("".join(pieces).rstrip("\ufffd"))


def test_scores_that_are_no_numbers_are_a_fault() -> None:
    chooser = Chooser(GenerationConfig(), [], "cpu")
    with pytest.raises(FloatingPointError):
        chooser.choose(torch.full((5,), float("nan")))
    assert Chooser(GenerationConfig(), [2], "cpu").choose(torch.tensor([0.0, 1.0, 9.0])) == 1


def test_what_counts_as_greedy() -> None:
    assert is_plain(GenerationConfig())
    assert not is_plain(GenerationConfig(temperature=0.5))
    assert not is_plain(GenerationConfig(repetition_penalty=1.1))


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_a_seed_gives_the_same_words_in_any_company(kind: str) -> None:
    asked = [job(text, seed=seed, **SAMPLED) for seed, text in enumerate((ENGLISH, ARABIC, ENGLISH))]
    greedy = [job(text, max_new_tokens=30) for text in (ARABIC, ENGLISH)]

    async def test() -> None:
        async with engine(kind, places=5) as made:
            together = await asyncio.gather(*(answer(made, own) for own in (*greedy, *asked)))
            again = await answer(made, asked[1])
        assistant = Assistant(tiny_bundle(kind))
        own = ["".join(assistant.stream_turns(one.turns, (), one.language, one.config)) for one in (*greedy, *asked)]
        assert [text for text, _ in together] == own
        assert again[0] == own[3]
        assert own[2] != own[4]  # another seed, other words

    run(test)
