"""The real nano answers the same alone and in a batch."""

from __future__ import annotations

import asyncio

import pytest
from engine_tools import answer, engine, job, picture, run

import bimedix2

pytestmark = pytest.mark.slow

QUESTIONS = (
    ("What is shown on a chest X-ray with a pleural effusion?", False),
    ("ما هو الالتهاب الرئوي؟", False),
    ("Which part of the body is shown?", True),
    ("ما الجزء الظاهر من الجسم؟", True),
    ("What are the symptoms of diabetes? Give five and explain each.", False),
    ("ما أعراض مرض السكري؟ اذكر خمسة منها واشرح كلا منها.", False),
    ("Is there a fracture? Explain what you see.", True),
    ("هل يوجد كسر؟ اشرح ما تراه.", True),
)


def test_eight_chats_in_float32() -> None:
    assistant = bimedix2.load("nano", dtype="float32")
    assistant.end_ids = ()
    asked = [
        job(text, *([picture(number)] if shown else []), max_new_tokens=12 + 4 * number)
        for number, (text, shown) in enumerate(QUESTIONS)
    ]

    async def test() -> None:
        async with engine(load=lambda: assistant.bundle, places=8) as made:
            made._model.ends = ()  # type: ignore[union-attr]
            answers = await asyncio.gather(*(answer(made, own) for own in asked))
        for own, (text, _) in zip(asked, answers, strict=True):
            assert text == "".join(assistant.stream_turns(own.turns, own.images, own.language, own.config))

    run(test)
