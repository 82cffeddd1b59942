"""The in-process engine: queue, cancel, deadlines, faults, caches and the context limit."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_tools import answer, engine, job, picture, run, until

from bimedix2.errors import ModelError
from bimedix2.records import Turn
from bimedix2.serve.engines.local import LocalEngine
from bimedix2.serve.engines.protocol import Job
from bimedix2.serve.errors import DeadlineError, EngineDownError, QueueFullError, ServeError
from bimedix2.serve.settings import ServeSettings
from tiny import tiny_bundle

LONG = 300
EN, AR = "What is shown?", "ماذا يظهر؟"


async def waiting(made: LocalEngine, count: int, **config: Any) -> list[asyncio.Task[Any]]:
    """Long answers that are being written or wait."""
    tasks = [asyncio.create_task(answer(made, job(EN, max_new_tokens=LONG, **config))) for _ in range(count)]
    assert await until(lambda: sum((made.state().running, made.state().queued)) == count)
    return tasks


async def give_up(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_queue_positions_and_a_full_queue() -> None:
    async def test() -> None:
        async with engine(places=1, queue=2) as made:
            tasks = await waiting(made, 2)
            positions: list[int] = []

            async def watch() -> None:
                news = [piece.queue_position async for piece in made.generate(job(AR))]
                positions.extend(position for position in news if position is not None)

            last = asyncio.create_task(watch())
            assert await until(lambda: made.state().queued == 2)
            with pytest.raises(QueueFullError) as caught:
                await answer(made, job(EN))
            assert caught.value.status == 429
            assert caught.value.retry_after is not None
            assert caught.value.retry_after >= 1
            await give_up(tasks)
            await last
            assert positions == sorted(positions, reverse=True)
            assert (positions[0], positions[-1]) == (2, 0)

    run(test)


@pytest.mark.parametrize("how", ["aclose", "cancel"])
def test_giving_up_frees_the_place(how: str) -> None:
    async def test() -> None:
        async with engine(places=1) as made:
            if how == "cancel":
                await give_up(await waiting(made, 2))
            else:
                stream = made.generate(job(EN, max_new_tokens=LONG))
                await anext(stream)
                await stream.aclose()
            assert await until(lambda: made.state().running == 0)
            assert made.state().queued == 0
            assert (await answer(made, job(AR)))[1].finish_reason is not None

    run(test)


def test_a_place_is_free_after_at_most_one_more_step() -> None:
    async def test() -> None:
        async with engine(places=1) as made:
            model: Any = made._model
            steps = 0
            step = model.step

            def count(*given: Any) -> Any:
                nonlocal steps
                steps += 1
                time.sleep(0.02)
                return step(*given)

            model.step = count
            stream = made.generate(job(EN, max_new_tokens=LONG))
            await anext(stream)
            await stream.aclose()
            before = steps
            assert await until(lambda: made.state().running == 0)
            await asyncio.sleep(0.1)
            assert steps <= before + 1

    run(test)


def test_deadlines_running_and_waiting() -> None:
    async def test() -> None:
        async with engine(places=1) as made:
            model: Any = made._model
            step = model.step
            model.step = lambda *given: (time.sleep(0.01), step(*given))[1]
            tasks = await waiting(made, 1)
            for asked in (job(AR, deadline=time.monotonic() + 0.2), job(AR, deadline=time.monotonic() - 1)):
                with pytest.raises(DeadlineError):
                    await answer(made, asked)
            await give_up(tasks)
            with pytest.raises(DeadlineError):
                await answer(made, job(EN, max_new_tokens=LONG, deadline=time.monotonic() + 0.5))
            assert await until(lambda: made.state().running == 0)

    run(test)


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_a_second_turn_and_a_second_question_read_only_what_is_new(kind: str) -> None:
    async def test() -> None:
        async with engine(kind) as made:
            shown = picture(1)
            first, last = await answer(made, job(EN, shown))
            assert last.usage is not None
            assert last.usage.reused == 0
            _, other = await answer(made, job(AR, shown))
            assert other.usage is not None
            # All but the question itself: the system text, the image and the line break after it.
            assert other.usage.reused > 0.8 * other.usage.prompt_tokens - len(AR.encode())
            encoder: Any = made._model.encoder  # type: ignore[union-attr]
            assert encoder.encoded == 1
            before = (job(EN, shown).turns[0], Turn(role="assistant", text=first, language="en"))
            again = job(AR, before=before)
            again = Job(**{name: getattr(again, name) for name in Job.__dataclass_fields__} | {"images": (shown,)})
            _, second = await answer(made, again)
            assert second.usage is not None
            assert second.usage.reused >= last.usage.prompt_tokens - 1
            _, unlike = await answer(made, job(EN, picture(2)))
            assert unlike.usage is not None
            assert unlike.usage.reused < other.usage.reused
            assert encoder.encoded == 2

    run(test)


@pytest.mark.parametrize("kind", ["llava", "nano"])
def test_the_prefix_cache_changes_no_word(kind: str) -> None:
    async def test() -> None:
        asked = [job(text, picture(1), max_new_tokens=25) for text in (EN, AR, EN + " " + AR)]
        async with engine(kind) as made:
            warm = [await answer(made, own) for own in (*asked, *asked)]
        async with engine(kind, prefix_bytes=0) as made:
            cold = [await answer(made, own) for own in asked]
        assert [text for text, _ in warm] == [text for text, _ in (*cold, *cold)]
        assert all(last.usage is not None and last.usage.reused == 0 for _, last in cold)

    run(test)


def test_old_turns_are_left_out_with_a_notice() -> None:
    async def test() -> None:
        async with engine() as made:
            text = "The left lung is clear. " * 12
            old = (Turn(role="user", text=text, language="en"), Turn(role="assistant", text=text, language="en"))
            asked = job(AR, before=(*old, *old))
            assert await made.count_tokens(asked) > made.info.context
            notices: list[tuple[str, str]] = []
            async for piece in made.generate(asked):
                notices += piece.notices
                if piece.usage is not None:
                    assert piece.usage.prompt_tokens <= made.info.context - asked.config.max_new_tokens
            ((english, arabic),) = notices
            assert "Dropped the oldest" in english
            assert "حُذفت أقدم" in arabic
            with pytest.raises(ServeError) as caught:
                await answer(made, job("The lung is clear. " * 200))
            assert (caught.value.code, caught.value.status) == ("prompt_too_long", 400)
            assert "رمز" in caught.value.message_ar

    run(test)


def test_counted_tokens_are_those_of_the_answer() -> None:
    async def test() -> None:
        async with engine("nano") as made:
            for asked in (job(EN, picture(1)), job(AR)):
                _, last = await answer(made, asked)
                assert last.usage is not None
                assert await made.count_tokens(asked) == last.usage.prompt_tokens

    run(test)


def test_before_and_after() -> None:
    async def test() -> None:
        made = LocalEngine(ServeSettings(data=Path("unused")), tiny_bundle)
        assert not made.state().ready
        with pytest.raises(EngineDownError):
            await answer(made, job(EN))
        await made.start()
        assert made.state().ready
        assert (made.info.engine, made.info.context, made.info.image_tokens) == ("transformers", 512, 16)
        tasks = await waiting(made, 3)
        await made.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, EngineDownError) for result in results)
        assert made.state().problem is not None
        with pytest.raises(EngineDownError):
            await answer(made, job(EN))

    run(test)


def test_a_model_that_cannot_be_loaded_is_a_problem_that_is_told() -> None:
    def load() -> Any:
        raise ModelError("There is no such model.", "لا يوجد نموذج بهذا الاسم.")

    async def test() -> None:
        made = LocalEngine(ServeSettings(data=Path("unused")), load)
        with pytest.raises(ModelError):
            await made.start()
        assert made.state().problem == ("There is no such model.", "لا يوجد نموذج بهذا الاسم.")
        await made.close()

    run(test)


def test_a_fault_in_loading_does_not_ask_for_patience() -> None:
    def load() -> Any:
        raise RuntimeError("secret/path")

    async def test() -> None:
        made = LocalEngine(ServeSettings(data=Path("unused")), load)
        with pytest.raises(RuntimeError):
            await made.start()
        english, arabic = made.state().problem or ("", "")
        assert "could not be loaded" in english
        assert "تعذر تحميل النموذج" in arabic
        assert "secret" not in english + arabic

    run(test)


def test_the_fingerprint_follows_the_weights() -> None:
    changed = tiny_bundle()
    with torch.no_grad():
        changed.model.lm_head.weight[-1] += 1

    async def test() -> None:
        prints = []
        for load in (tiny_bundle, tiny_bundle, lambda: changed):
            async with engine(load=load) as made:
                prints.append(made.info.fingerprint)
        assert prints[0] == prints[1] != prints[2]

    run(test)
