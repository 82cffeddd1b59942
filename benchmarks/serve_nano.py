"""Eight chats at a time with nano: our engine, our Assistant and transformers ``generate``, interleaved in one run.

    OMP_NUM_THREADS=1 python benchmarks/serve_nano.py [--rounds 3] [--tokens 64] [--out benchmarks/results/serve_nano]

Every side answers the same eight prompts (four English, four Arabic, half with an image of their own), which arrive
together, with exactly ``--tokens`` tokens each, and starts every round with empty caches. Wall time depends on what
else the machine does; processor seconds of this process hardly do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from nano_speed import machine
from serve_nano_page import markdown

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
    """The three ways of answering, over one set of weights."""

    def __init__(self, tokens: int) -> None:
        from pydicom.data import get_testdata_file

        import bimedix2

        self.assistant = bimedix2.load("nano")
        # No side may end early: transformers' `min_new_tokens` does the same.
        self.assistant.end_ids = ()
        (image,) = self.assistant.decode_images([str(get_testdata_file("CT_small.dcm", download=False))])
        self.images = [turned(image, quarters) for quarters in range(4)]
        self.ask(len(QUESTIONS), tokens)

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


def percentile(values: list[float], part: float) -> float:
    """Nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered) + 0.5) - 1))]


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


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Interleaved rounds, then cancelling and the second question about a known image."""
    sides = Sides(options.tokens)
    engine = await sides.make_engine()
    ways: dict[str, Callable[[], Any]] = {
        "engine_8_at_once": lambda: sides.ours(engine),
        "assistant_one_by_one": lambda: asyncio.to_thread(sides.alone),
        "transformers_one_by_one": lambda: asyncio.to_thread(sides.plain, 1),
        "transformers_padded_batch": lambda: asyncio.to_thread(sides.plain, len(QUESTIONS)),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    texts: dict[str, list[str]] = {}
    for number in range(options.rounds + 1):
        # Round 0 warms up every side with two short answers.
        sides.ask(*((len(QUESTIONS), options.tokens) if number else (2, 3)))
        for name, way in ways.items():
            started, busy = time.monotonic(), time.process_time()
            first, texts[name] = await way()
            if number:
                wall[name].append(time.monotonic() - started)
                spent[name].append(time.process_time() - busy)
                firsts[name] += first
            print(number, name, round(time.monotonic() - started, 1), flush=True)
    total = options.tokens * len(QUESTIONS)
    result: dict[str, Any] = {"machine": machine(), "rounds": options.rounds, "tokens_each": options.tokens}
    for name in ways:
        seconds, busy = statistics.median(wall[name]), statistics.median(spent[name])
        result[name] = {
            "wall_s": round(seconds, 2),
            "cpu_s": round(busy, 2),
            "tokens_per_s": round(total / seconds, 1),
            "tokens_per_cpu_s": round(total / busy, 1),
            "first_text_p50_s": round(percentile(firsts[name], 0.5), 2),
            "first_text_p95_s": round(percentile(firsts[name], 0.95), 2),
        }
    engine_cpu = statistics.median(spent["engine_8_at_once"])
    result["cpu_times_engine"] = {name: round(statistics.median(spent[name]) / engine_cpu, 2) for name in ways}
    result["same_text_as_engine"] = {
        name: sum(own == other for own, other in zip(texts["engine_8_at_once"], texts[name], strict=True))
        for name in ways
    }
    cancelled = await cancel_latency(engine, sides.jobs)
    result["cancel_s"] = {"p50": round(percentile(cancelled, 0.5), 3), "max": round(max(cancelled), 3)}
    result["second_question"] = await second_question(engine, sides.jobs[0])
    result["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    await engine.close()
    return result


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


def main() -> None:
    """Measure and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = asyncio.run(measure(options))
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
