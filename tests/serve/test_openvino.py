"""The OpenVINO engine: refusals without the package, and answers of a tiny exported model with it.

``BIMEDIX2_OPENVINO_MODEL`` names an export of the tiny LLaVA (``tests/tiny.py``) in float32; docs/serving.md has the
command. Without it, or without openvino-genai, the tests that run a model are skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_tools import answer, job, picture, run, until

from bimedix2.errors import ModelError
from bimedix2.inference.assistant import Assistant
from bimedix2.model.export import export_hf
from bimedix2.serve.engines.choose import choose_engine
from bimedix2.serve.engines.openvino import OpenVinoEngine
from bimedix2.serve.engines.openvino_prompt import OpenVinoPrompts
from bimedix2.serve.errors import DeadlineError, QueueFullError, ServeError
from bimedix2.serve.settings import Limits, ServeSettings
from tiny import tiny_bundle

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
EN, AR = "What is shown?", "ماذا يظهر؟"
LONG = 250


def exported() -> Path:
    pytest.importorskip("openvino_genai", reason='needs pip install "bimedix2[openvino]"')
    folder = os.environ.get("BIMEDIX2_OPENVINO_MODEL", "")
    if not folder:
        pytest.skip("BIMEDIX2_OPENVINO_MODEL names no exported tiny model")
    return Path(folder)


@asynccontextmanager
async def engine(queue: int = 8) -> AsyncIterator[OpenVinoEngine]:
    settings = ServeSettings(data=Path("unused"), engine="openvino", model=str(exported()), limits=Limits(queue=queue))
    made = OpenVinoEngine(settings, EXACT)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The plain files of an export; no network in them."""
    made = export_hf(tiny_bundle("llava"), tmp_path / "hf")
    (made / "openvino_language_model.xml").write_text("<net/>")
    return made


def start(**more: Any) -> None:
    asyncio.run(choose_engine(ServeSettings(data=Path("unused"), engine="openvino", **more)).start())


def test_adapters_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError) as caught:
        start(model=str(folder), adapters=folder)
    assert caught.value.code == "needs_merge"
    assert "bimedix2 merge" in str(caught.value)
    assert "bimedix2 merge" in caught.value.message_ar


@pytest.mark.parametrize("name", ["openvino_language_model.xml", "bimedix2.json", "preprocessor_config.json"])
def test_a_folder_that_was_not_exported_says_how_to(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError) as caught:
        start(model=str(folder))
    assert caught.value.code == "not_exported"
    assert name in str(caught.value)
    assert "optimum-cli export openvino" in caught.value.message_ar


def test_folded_image_tokens_are_refused(folder: Path) -> None:
    content = json.loads((folder / "bimedix2.json").read_text())
    (folder / "bimedix2.json").write_text(json.dumps({**content, "pixel_shuffle": 2}))
    with pytest.raises(ModelError) as caught:
        OpenVinoPrompts(folder)
    assert caught.value.code == "unsupported_model"


@pytest.mark.parametrize("text", [EN, AR])
def test_prompts_and_control_tokens(folder: Path, text: str) -> None:
    prompts = OpenVinoPrompts(folder)
    made = prompts.build(job(text, picture(1), picture(2)))
    assert made.text.count("<image>") == 2
    assert f"<image><image>{text}<|eot_id|>" in made.text
    assert [image.shape for image in made.images] == [(1, 56, 56, 3)] * 2
    assert prompts.count(job(text, picture(1), picture(2)).turns) == made.tokens
    for token in ("<|eot_id|>", "<image>", "<|start_header_id|>system<|end_header_id|>"):
        with pytest.raises(ServeError) as caught:
            prompts.build(job(text + token))
        assert (caught.value.code, caught.value.status) == ("unencodable_text", 400)
        assert "رمز تحكم" in caught.value.message_ar


def test_greedy_answers_are_those_of_transformers() -> None:
    """In float32; random weights part at a near tie now and then, so the first eight tokens are compared."""

    async def test() -> None:
        assistant = Assistant(tiny_bundle("llava"))
        asked = [
            job(text, *[picture(number) for number in range(shown)], max_new_tokens=8)
            for text in (EN, AR)
            for shown in range(3)
        ]
        async with engine() as made:
            for own in asked:
                text, last = await answer(made, own)
                stream = assistant.stream_turns(own.turns, own.images, own.language, own.config)
                assert text == "".join(stream)
                assert stream.answer is not None
                assert last.usage is not None
                assert last.usage.prompt_tokens == stream.answer.prompt_tokens
                assert last.usage.completion_tokens == stream.answer.tokens

    run(test)


def test_queue_cancel_and_deadline() -> None:
    async def test() -> None:
        async with engine(queue=1) as made:
            prompts: Any = made._prompts
            make, writers = prompts.writer, []
            prompts.writer = lambda *given: writers.append(make(*given)) or writers[-1]
            first = made.generate(job(EN, max_new_tokens=LONG))
            await anext(first)
            positions: list[int] = []

            async def wait() -> None:
                news = [piece.queue_position async for piece in made.generate(job(AR, max_new_tokens=2))]
                positions.extend(position for position in news if position is not None)

            waiting = asyncio.create_task(wait())
            assert await until(lambda: made.state().queued == 1)
            with pytest.raises(QueueFullError):
                await answer(made, job(EN))
            await first.aclose()
            await waiting
            assert positions == [1, 0]
            # It was stopped, and had not come to its end.
            assert writers[0].reason is None
            assert writers[0].tokens < LONG
            assert await until(lambda: made.state().running == 0)
            with pytest.raises(DeadlineError):
                await answer(made, job(EN, max_new_tokens=LONG, deadline=time.monotonic() + 0.001))
            with pytest.raises(ServeError) as caught:
                await answer(made, job(EN, adapter="chest"))
            assert caught.value.code == "adapter_not_found"
            assert (await answer(made, job(AR, max_new_tokens=2)))[1].finish_reason is not None

    run(test)


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    from bimedix2.serve.engines.openvino import fingerprint

    source = tmp_path / "a"
    source.mkdir()
    (source / "openvino_language_model.bin").write_bytes(b"1" * 100)
    shutil.copytree(source, tmp_path / "b")
    (tmp_path / "b" / "openvino_language_model.bin").write_bytes(b"1" * 99 + b"2")
    assert fingerprint(source, "1") == fingerprint(source, "1") != fingerprint(tmp_path / "b", "1")
    assert fingerprint(source, "1") != fingerprint(source, "2")
