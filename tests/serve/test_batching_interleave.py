"""Answers that are being written go on while a long prompt with images is read, and a retry has the memory it needs."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest
import torch
from engine_tools import answer, engine, job, picture, run, until

from bimedix2.records import Turn
from bimedix2.serve.engines.batching.model import BatchModel, piece_length

EN, AR = "What is shown? The left lung is clear. ", "ماذا يظهر؟ الرئة اليسرى سليمة. "
CHUNK = 17


@pytest.mark.parametrize("kind", ["llava", "nano"])
@pytest.mark.parametrize("text", [EN, AR])
def test_a_token_of_the_others_comes_between_two_pieces_of_work(kind: str, text: str) -> None:
    async def test() -> None:
        async with engine(kind, places=2, chunk=CHUNK) as made:
            model: BatchModel = made._model  # type: ignore[assignment]
            model.ends = ()
            written: list[tuple[str, int]] = []
            read = model.read

            def note(what: str) -> None:
                rows = made._scheduler.batch._rows  # type: ignore[union-attr]
                written.append((what, rows[0].writer.tokens))

            def reading(prompt: Any) -> Any:
                before, known = prompt.done, model.encoder.encoded
                scores = read(prompt)
                assert prompt.done - before <= CHUNK
                note("piece" if prompt.done > before else "image")
                assert model.encoder.encoded - known == (prompt.done == before)
                return scores

            running = asyncio.create_task(answer(made, job(text, max_new_tokens=300)))
            assert await until(lambda: bool(made._scheduler.batch._rows))  # type: ignore[union-attr]
            model.read = reading  # type: ignore[method-assign]
            shown = [picture(number) for number in (1, 2, 3, 1)]
            await answer(made, job(text * 2, *shown, max_new_tokens=2))
            running.cancel()
            kinds = [what for what, _ in written]
            assert kinds[:3] == ["image"] * 3  # the fourth is the first again
            assert kinds[3:] == ["piece"] * (len(kinds) - 3)
            assert len(kinds) >= 5
            tokens = [count for _, count in written]
            assert tokens == list(range(tokens[0], tokens[0] + len(tokens)))

    run(test)


@pytest.mark.parametrize("where", ["read", "step", "scores"])
def test_a_second_attempt_finds_the_memory_of_the_first_free(where: str) -> None:
    """The traceback of a failure holds what it had allocated."""

    async def test() -> None:
        async with engine(places=1) as made:
            old = (Turn(role="user", text=EN * 8, language="en"), Turn(role="assistant", text=EN * 8, language="en"))
            asked = job(AR, before=(*old, *old))
            expected, _ = await answer(made, asked)
            model: Any = made._model
            work = getattr(model, where)
            made._scheduler.batch.prefixes.clear()  # type: ignore[union-attr]
            held: list[weakref.ref[torch.Tensor]] = []

            def scarce(*given: Any) -> Any:
                if not held:
                    large = torch.zeros(1000)
                    held.append(weakref.ref(large))
                    raise torch.OutOfMemoryError("no room")
                assert held[0]() is None
                return work(*given)

            setattr(model, where, scarce)
            pieces = [piece async for piece in made.generate(asked)]
            assert "".join(piece.text for piece in pieces) == expected
            assert len([piece for piece in pieces if piece.notices]) == 1
            assert held

    run(test)


def test_a_large_model_on_a_cpu_reads_shorter_pieces() -> None:
    class Weights:
        def __init__(self, size: int, device: str) -> None:
            self.size, self.device = size, torch.device(device)

        def numel(self) -> int:
            return self.size

    class Model:
        def __init__(self, *weights: Weights) -> None:
            self.weights = weights

        def parameters(self) -> tuple[Weights, ...]:
            return self.weights

    assert piece_length(Model(Weights(10**9, "cpu"))) == 256
    assert piece_length(Model(*[Weights(10**9, "cpu")] * 8)) == 64
    assert piece_length(Model(*[Weights(10**9, "cuda")] * 8)) == 256
