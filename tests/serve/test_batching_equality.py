"""An answer is the same alone and in a batch, whoever joins and leaves meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest
import torch
from engine_tools import answer, engine, job, picture, run

from bimedix2.inference.answer import Answer
from bimedix2.inference.assistant import Assistant
from bimedix2.inference.decode import new_cache
from bimedix2.serve.engines.batching.lora import RowAdapters
from bimedix2.serve.engines.batching.model import BatchModel
from bimedix2.serve.engines.batching.pool import KVPool, layers_of
from bimedix2.serve.engines.protocol import Job
from tiny import tiny_bundle

KINDS = ("llava", "nano")
QUESTIONS = (
    "What is shown? The left lung is clear.",
    "ماذا يظهر؟",
    "Is there a nodule of 12 mm in the chest CT? " * 3,
    "الرئة اليسرى سليمة. ماذا يظهر في الصدر؟ " * 2,
    "Yes or no?",
    "نعم أم لا؟",
)


def jobs(count: int) -> list[Job]:
    """Questions of mixed lengths, every other one with an image, and answers of mixed lengths."""
    return [
        job(
            QUESTIONS[number % len(QUESTIONS)],
            *([picture(number % 3)] if number % 2 else []),
            max_new_tokens=5 + 7 * (number % 4),
        )
        for number in range(count)
    ]


def alone(assistant: Assistant, asked: Job) -> tuple[str, Answer]:
    stream = assistant.stream_turns(asked.turns, asked.images, asked.language, asked.config)
    text = "".join(stream)
    assert stream.answer is not None
    return text, stream.answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [256, 17])
def test_mixed_jobs_get_the_answers_they_get_alone(kind: str, chunk: int) -> None:
    asked = jobs(10)

    async def test() -> None:
        async with engine(kind, places=4, queue=10, chunk=chunk) as made:
            answers = await asyncio.gather(*(answer(made, own) for own in asked))
        assistant = Assistant(tiny_bundle(kind))
        for own, (text, last) in zip(asked, answers, strict=True):
            expected, whole = alone(assistant, own)
            assert text == expected
            assert last.usage is not None
            assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (whole.prompt_tokens, whole.tokens)
            assert last.finish_reason == ("length" if whole.finish_reason == "length" else "stop")

    run(test)


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_neighbours_change_nothing(kind: str) -> None:
    """Some jobs are given up at random moments; those that stay are answered as if alone."""
    asked = jobs(12)
    dice = random.Random(3)

    async def test() -> None:
        async def give_up(own: Job) -> None:
            pieces = dice.randint(1, 3)
            stream = made.generate(own)
            async for _ in stream:
                if (pieces := pieces - 1) == 0:
                    break
            await stream.aclose()

        async with engine(kind, places=5, queue=12) as made:
            runs = [answer(made, own) if number % 3 else give_up(own) for number, own in enumerate(asked)]
            answers = await asyncio.gather(*runs)
        assistant = Assistant(tiny_bundle(kind))
        for number, own in enumerate(asked):
            if number % 3:
                found = answers[number]
                assert found is not None
                assert found[0] == alone(assistant, own)[0]

    run(test)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_scores_are_those_of_plain_transformers(kind: str, attention: str) -> None:
    """Rows of 3 to 90 tokens that grow, leave and move, against a forward pass of each whole sequence."""
    bundle = tiny_bundle(kind)
    bundle.model.set_attn_implementation(attention)
    model = BatchModel(bundle, RowAdapters(bundle.model, {}))
    generator = torch.Generator().manual_seed(5)

    def tokens(count: int) -> list[int]:
        return torch.randint(10, 250, (count,), generator=generator).tolist()

    with torch.inference_mode():
        pool = KVPool(5, block=8)
        rows: list[list[int]] = []
        for length in (30, 3, 90, 47, 12):
            reading = model.open(ids := tokens(length), [], 0, new_cache(), None)
            assert model.read(reading) is not None
            pool.join(layers_of(reading.cache), 1)
            rows.append(ids)
        for step in range(12):
            if step in (4, 7):
                pool.leave(1)
                rows[1] = rows[-1]
                rows.pop()
            new = tokens(len(rows))
            everything = slice(0, len(rows))
            scores = model.scores(model.step(pool, everything, new, [None] * len(rows)), [True] * len(rows))
            pool.advance(everything)
            for row, (token, found) in enumerate(zip(new, scores, strict=True)):
                rows[row] = [*rows[row], token]
                expected = bundle.model(input_ids=torch.tensor([rows[row]])).logits[0, -1]
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert pool.lengths == [len(row) for row in rows]
