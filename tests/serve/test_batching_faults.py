"""Faults and lack of memory: the job at fault fails, and the others get the answers they would have had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch
from engine_tools import answer, engine, job, run

from bimedix2.serve.engines.protocol import Job
from bimedix2.serve.errors import ServeError

LONG = 300
EN, AR = "What is shown?", "ماذا يظهر؟"


def test_a_fault_is_its_own_jobs() -> None:
    """Whenever one row is in the step, the step of all fails, as a kernel's would."""

    async def test() -> None:
        async with engine(places=4) as made:
            model: Any = made._model
            step = model.step
            poison: list[int] = []

            def break_down(pool: Any, rows: slice, tokens: Any, adapters: Any) -> Any:
                names = [row.ticket.job.request_id for row in made._scheduler.batch._rows[rows]]  # type: ignore[union-attr]
                if "bad" in names and len(poison) < 99:
                    poison.append(1)
                    raise RuntimeError("kernel failed")
                return step(pool, rows, tokens, adapters)

            good = [job(EN, max_new_tokens=20), job(AR, max_new_tokens=30)]
            expected = [await answer(made, own) for own in good]
            model.step = break_down
            bad = job(EN, max_new_tokens=25)
            bad = Job(**{name: getattr(bad, name) for name in Job.__dataclass_fields__} | {"request_id": "bad"})
            results = await asyncio.gather(
                *(answer(made, own) for own in (good[0], bad, good[1])), return_exceptions=True
            )
            assert isinstance(results[1], ServeError)
            assert (results[1].status, results[1].code) == (500, "engine_fault")
            assert "kernel" not in str(results[1]) + results[1].message_ar
            assert [results[0][0], results[2][0]] == [text for text, _ in expected]  # type: ignore[index]
            assert poison
            assert made.state().ready

    run(test)


def test_a_head_that_fails_for_all_together_is_asked_row_by_row() -> None:
    async def test() -> None:
        async with engine(places=2) as made:
            expected = [await answer(made, job(text)) for text in (EN, AR)]
            model: Any = made._model
            scores = model.scores

            def narrow(hidden: Any, plain: Any) -> Any:
                if len(plain) > 1:
                    raise RuntimeError("kernel failed")
                return scores(hidden, plain)

            model.scores = narrow
            answers = await asyncio.gather(*(answer(made, job(text)) for text in (EN, AR)))
            assert [text for text, _ in answers] == [text for text, _ in expected]

            def broken(*_given: Any) -> Any:
                raise RuntimeError("kernel failed")

            model.scores = broken
            with pytest.raises(ServeError) as caught:
                await answer(made, job(EN))
            assert caught.value.code == "engine_fault"
            assert made.state().ready

    run(test)


def test_out_of_memory_is_said_clearly_and_the_rest_goes_on() -> None:
    async def test() -> None:
        async with engine(places=2) as made:
            model: Any = made._model
            read, step = model.read, model.step
            model.read = lambda *given: (_ for _ in ()).throw(torch.OutOfMemoryError("no room"))
            with pytest.raises(ServeError) as caught:
                await answer(made, job(EN))
            assert (caught.value.code, caught.value.status) == ("out_of_memory", 503)
            model.read = read
            # While two rows run there is no memory; the longer one goes and the other is answered.
            expected = await answer(made, job(AR))

            def scarce(pool: Any, rows: slice, *given: Any) -> Any:
                if len(pool.lengths) > 1:
                    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
                return step(pool, rows, *given)

            model.step = scarce
            long, short = await asyncio.gather(
                answer(made, job(EN * 3, max_new_tokens=LONG)), answer(made, job(AR)), return_exceptions=True
            )
            assert isinstance(long, ServeError)
            assert long.code == "out_of_memory"
            assert short[0] == expected[0]  # type: ignore[index]

    run(test)
