"""One way of answering eight chats with nano, in a process of its own; ``serve_nano.py`` starts it.

    python benchmarks/serve_nano_sides.py SIDE < commands

Reads one command a line (JSON) and answers each with one line: wall and processor seconds, first texts and answers.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

QUESTIONS = (
    ("Which part of the body is shown? Describe the image in detail.", True),
    ("ما الجزء الظاهر من الجسم؟ صف الصورة بالتفصيل.", True),
    ("Is there a fracture? Explain what you see.", True),
    ("هل يوجد كسر؟ اشرح ما تراه.", True),
    ("What are the symptoms of diabetes? Give five and explain each.", False),
    ("ما أعراض مرض السكري؟ اذكر خمسة منها واشرح كلا منها.", False),
    ("Explain to a patient what pneumonia is and how it is treated.", False),
    ("اشرح لمريض ما هو الالتهاب الرئوي وكيف يعالج.", False),
)


def turned(image: Any, quarters: int) -> Any:
    """Another picture for each chat, so that no side gains by having seen it."""
    import numpy as np

    pixels = np.ascontiguousarray(np.rot90(image.pixels, quarters))
    return replace(image, pixels=pixels, sha256=f"{quarters}{image.sha256}")


class Sides:
    """The ways of answering inside of one process."""

    def __init__(self) -> None:
        from pydicom.data import get_testdata_file

        import bimedix2

        self.assistant = bimedix2.load("nano")
        # No side may end early: transformers' `min_new_tokens` does the same.
        self.assistant.end_ids = ()
        (image,) = self.assistant.decode_images([str(get_testdata_file("CT_small.dcm", download=False))])
        self.images = [turned(image, quarters) for quarters in range(4)]

    def ask(self, count: int, tokens: int) -> None:
        """Choose the first ``count`` questions, and the length of each answer."""
        from bimedix2.inference import GenerationConfig, user_turn
        from bimedix2.serve.engines.protocol import Job

        self.tokens, self.jobs = tokens, []
        for number, (question, shown) in enumerate(QUESTIONS[:count]):
            turn, language = user_turn(question, int(shown), "auto")
            images = (self.images[number],) if shown else ()
            config = GenerationConfig(max_new_tokens=tokens)
            self.jobs.append(
                Job(request_id=str(number), turns=(turn,), images=images, language=language, config=config)
            )

    async def make_engine(self) -> Any:
        """The engine around the same weights."""
        from bimedix2.serve.engines.local import LocalEngine
        from bimedix2.serve.settings import ServeSettings

        engine = LocalEngine(ServeSettings(data=Path("unused")), lambda: self.assistant.bundle)
        await engine.start()
        engine._model.ends = ()  # type: ignore[union-attr, assignment]
        return engine

    async def ours(self, engine: Any) -> tuple[list[float], list[str]]:
        """All jobs at once; time to the first text and the text of each."""
        from bimedix2.inference.prompt import ImageEncoder

        engine._model.encoder = ImageEncoder(self.assistant.bundle)
        engine._scheduler.batch.prefixes.clear()
        started = time.monotonic()

        async def one(job: Any) -> tuple[float, str]:
            first, text = 0.0, ""
            async for piece in engine.generate(job):
                if piece.text and not first:
                    first = time.monotonic() - started
                text += piece.text
            return first, text

        answers = await asyncio.gather(*(one(job) for job in self.jobs))
        return [first for first, _ in answers], [text for _, text in answers]

    def alone(self) -> tuple[list[float], list[str]]:
        """Our Assistant, one job after the other, all of which arrived at the start."""
        from bimedix2.inference.memory import PromptMemory
        from bimedix2.inference.prompt import ImageEncoder

        self.assistant.encoder = ImageEncoder(self.assistant.bundle)
        self.assistant.memory = PromptMemory(self.assistant.encoder)
        started, firsts, texts = time.monotonic(), [], []
        for job in self.jobs:
            first, text = 0.0, ""
            for piece in self.assistant.stream_turns(job.turns, job.images, job.language, job.config):
                first = first or time.monotonic() - started
                text += piece
            firsts.append(first)
            texts.append(text)
        return firsts, texts

    def plain(self, batch: int) -> tuple[list[float], list[str]]:
        """transformers ``generate`` on ``batch`` prompts at a time, padded on the left."""
        import torch

        bundle = self.assistant.bundle
        started, firsts, texts = time.monotonic(), [], []

        class Watch:
            def __init__(self) -> None:
                self.first = 0.0

            def put(self, _tokens: Any) -> None:
                self.calls = getattr(self, "calls", 0) + 1
                if self.calls == 2:  # the first call brings the prompt
                    self.first = time.monotonic() - started

            def end(self) -> None:
                pass

        for start in range(0, len(self.jobs), batch):
            jobs = self.jobs[start : start + batch]
            ids = [self.assistant._encode(job.turns, job.config)[0] for job in jobs]
            longest = max(map(len, ids))
            padded = torch.tensor([[0] * (longest - len(row)) + row for row in ids])
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
            images = [image for job in jobs for image in job.images]
            pixels = [torch.from_numpy(bundle.image_policy.preprocess(image.pixels)) for image in images]
            more = {"pixel_values": torch.stack(pixels).to(bundle.dtype)} if pixels else {}
            watch = Watch() if batch == 1 else None
            out = bundle.model.generate(
                input_ids=padded, attention_mask=mask, min_new_tokens=self.tokens, max_new_tokens=self.tokens,
                do_sample=False, streamer=watch, **more,
            )  # fmt: skip
            texts += [bundle.tokenizer.decode(row[longest:], skip_special_tokens=True) for row in out]
            firsts += [watch.first if watch else time.monotonic() - started] * len(jobs)
        return firsts, texts


async def cancel_latency(engine: Any, jobs: list[Any]) -> list[float]:
    """Seconds from giving up one of eight running answers until its place is free."""
    taken = []
    for _ in range(5):
        streams = [engine.generate(job) for job in jobs]
        tasks = [asyncio.ensure_future(_drain(stream)) for stream in streams[1:]]
        await anext(streams[0])
        while engine.state().running < len(jobs):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.3)
        started = time.monotonic()
        await streams[0].aclose()
        while engine.state().running == len(jobs):
            await asyncio.sleep(0.0005)
        taken.append(time.monotonic() - started)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while engine.state().running:
            await asyncio.sleep(0.005)
    return taken


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def second_question(engine: Any, job: Any) -> dict[str, Any]:
    """First text of the same image asked about first and again, in seconds."""
    from bimedix2.inference.prompt import ImageEncoder

    engine._model.encoder = ImageEncoder(engine._model.bundle)
    engine._scheduler.batch.prefixes.clear()
    found: dict[str, Any] = {}
    for name in ("first_text_new_image_s", "first_text_known_image_s"):
        started, first = time.monotonic(), 0.0
        async for piece in engine.generate(job):
            if piece.text and not first:
                first = time.monotonic() - started
            if piece.usage:
                found["reused_tokens"], found["prompt_tokens"] = piece.usage.reused, piece.usage.prompt_tokens
        found[name] = round(first, 3)
    return found


def peak_mb() -> int:
    """Largest resident size of this process up to now."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


async def serve(side: str) -> None:
    """Answer commands until the input ends."""
    sides = Sides()
    if side != "assistant_one_by_one":
        sides.assistant.head = None  # 168 MB that the other sides have no use for
    engine = await sides.make_engine() if side == "engine_8_at_once" else None
    ways: dict[str, Any] = {
        "engine_8_at_once": lambda: sides.ours(engine),
        "assistant_one_by_one": lambda: asyncio.to_thread(sides.alone),
        "transformers_one_by_one": lambda: asyncio.to_thread(sides.plain, 1),
        "transformers_padded_batch": lambda: asyncio.to_thread(sides.plain, len(QUESTIONS)),
    }
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        sides.ask(command["chats"], command["tokens"])
        started, busy = time.monotonic(), time.process_time()
        if command.get("extra"):
            answer: dict[str, Any] = {"cancel_s": await cancel_latency(engine, sides.jobs)}
            answer["second_question"] = await second_question(engine, sides.jobs[0])
        else:
            first, texts = await ways[side]()
            answer = {"first": first, "texts": texts}
        answer |= {"wall": time.monotonic() - started, "cpu": time.process_time() - busy, "peak_mb": peak_mb()}
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    if engine is not None:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
