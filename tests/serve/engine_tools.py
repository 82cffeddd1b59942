"""Running the in-process engine on tiny models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bimedix2.images.types import DecodedImage
from bimedix2.inference import GenerationConfig, user_turn
from bimedix2.records import Turn
from bimedix2.serve.engines.local import LocalEngine
from bimedix2.serve.engines.protocol import Delta, Job
from bimedix2.serve.settings import Limits, ServeSettings
from tiny import tiny_bundle


def picture(shade: int) -> DecodedImage:
    """A picture of random grey, the same for the same ``shade``."""
    pixels = np.random.default_rng(shade).integers(0, 255, (64, 56, 3), dtype=np.uint8)
    digest = sha256(b"64x56:" + pixels.tobytes()).hexdigest()
    return DecodedImage(
        pixels=pixels, format="png", modality=None, window=None, frame=0, frames=1, warnings=(), sha256=digest
    )


def job(
    question: str,
    *images: DecodedImage,
    before: tuple[Turn, ...] = (),
    adapter: str | None = None,
    deadline: float | None = None,
    **config: Any,
) -> Job:
    """A job of one question, perhaps after a conversation."""
    turn, language = user_turn(question, len(images), "auto")
    return Job(
        request_id="r1",
        turns=(*before, turn),
        images=images,
        language=language,
        config=GenerationConfig(**{"max_new_tokens": 12, **config}),
        adapter=adapter,
        deadline=deadline,
    )


@asynccontextmanager
async def engine(
    kind: str = "llava", *, places: int = 4, queue: int = 8, load: Callable[[], Any] | None = None, **more: Any
) -> AsyncIterator[LocalEngine]:
    """A started engine around a tiny model."""
    settings = ServeSettings(
        data=Path("unused"), model="tiny", batch=places, limits=Limits(queue=queue), adapters=more.pop("adapters", None)
    )
    made = LocalEngine(settings, load or (lambda: tiny_bundle(kind)), **more)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def answer(made: LocalEngine, asked: Job) -> tuple[str, Delta]:
    """Text and last piece of an answer."""
    text, last = "", Delta()
    async for last in made.generate(asked):
        text += last.text
    return text, last


async def until(test: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether ``test()`` becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return True
        await asyncio.sleep(0.002)
    return False


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test, bounded in time."""

    async def bounded() -> None:
        async with asyncio.timeout(120):
            await test()

    asyncio.run(bounded())
