"""Eight chats at a time with nano: our engine beside four other ways, each in a process of its own, in turns.

    OMP_NUM_THREADS=1 python benchmarks/serve_nano.py [--rounds 3] [--tokens 48] [--out benchmarks/results/serve_nano]

Every side answers the same eight prompts (four English, four Arabic, half with a picture of their own), which arrive
together, with exactly ``--tokens`` tokens each, and starts every round with empty caches. The sides are our engine,
our Assistant one by one, transformers ``generate`` one by one and as one padded batch, and ``transformers serve``
over HTTP. Wall time depends on what else the machine does; processor seconds of a side's process hardly do.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from nano_speed import machine
from serve_nano_page import markdown
from serve_nano_peer import export
from serve_nano_sides import QUESTIONS, turned

HERE = Path(__file__).parent
IN_PROCESS = (
    "engine_8_at_once",
    "assistant_one_by_one",
    "transformers_one_by_one",
    "transformers_padded_batch",
)
PEER = "transformers_serve"


class Side:
    """A contender that runs in a process of its own and takes commands on its input."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_nano_sides.py"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._answer()["ready"]

    def run(self, **command: Any) -> dict[str, Any]:
        """One command and its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


class Peer:
    """``transformers serve``, asked over HTTP by this process."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self.folder, self.base = folder, f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_nano_peer.py"), str(folder), str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pictures = pictures()
        self._await_ready()

    def run(self, *, chats: int, tokens: int) -> dict[str, Any]:
        """All chats at once."""
        started, busy = time.monotonic(), self.cpu()
        answers = asyncio.run(self._all(chats, tokens))
        return {
            "first": [first for first, _ in answers],
            "texts": [text for _, text in answers],
            "wall": time.monotonic() - started,
            "cpu": self.cpu() - busy,
            "peak_mb": self.peak_mb(),
        }

    def cancel(self) -> list[float]:
        """Seconds from closing the connection of a lone answer until the process is idle (10 ms ticks)."""
        return [asyncio.run(self._cancel()) for _ in range(5)]

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait()

    def cpu(self) -> float:
        """Processor seconds of the server up to now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> int:
        """Largest resident size of the server up to now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)

    def _await_ready(self) -> None:
        import httpx

        for _ in range(600):
            try:
                httpx.get(self.base + "/health")
                return
            except httpx.TransportError:
                time.sleep(0.2)
        raise TimeoutError("transformers serve did not start")

    def _body(self, number: int, tokens: int) -> dict[str, Any]:
        question, shown = QUESTIONS[number]
        parts: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if shown:
            parts.insert(0, {"type": "image_url", "image_url": {"url": self.pictures[number]}})
        settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
        return {
            "model": str(self.folder),
            "stream": True,
            "generation_config": json.dumps(settings),
            "messages": [{"role": "user", "content": parts}],
        }

    async def _all(self, chats: int, tokens: int) -> list[tuple[float, str]]:
        import httpx

        started = time.monotonic()

        async def one(number: int) -> tuple[float, str]:
            first, text = 0.0, ""
            async with client.stream("POST", "/v1/chat/completions", json=self._body(number, tokens)) as reply:
                reply.raise_for_status()
                async for piece in _contents(reply):
                    first = first or time.monotonic() - started
                    text += piece
            return first, text

        async with httpx.AsyncClient(base_url=self.base, timeout=900) as client:
            return await asyncio.gather(*(one(number) for number in range(chats)))

    async def _cancel(self) -> float:
        import httpx

        async with httpx.AsyncClient(base_url=self.base, timeout=900) as client:
            async with client.stream("POST", "/v1/chat/completions", json=self._body(4, 2000)) as reply:
                pieces = _contents(reply)  # held: without it the connection is closed at once
                await anext(pieces)
                await asyncio.sleep(0.3)
                started = last = time.monotonic()
                busy = self.cpu()
            # Busy until a second passes without a tick; the last tick is when it stopped.
            while time.monotonic() - last < 1:
                await asyncio.sleep(0.005)
                if (now := self.cpu()) > busy:
                    busy, last = now, time.monotonic()
            return last - started


async def _contents(reply: Any) -> Any:
    async for line in reply.aiter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:]).get("choices", ()):
                if text := choice["delta"].get("content"):
                    yield text


def pictures() -> list[str]:
    """The four pictures as PNG in data addresses."""
    from PIL import Image
    from pydicom.data import get_testdata_file

    from bimedix2.images import ImageDecoder

    image = ImageDecoder().decode(str(get_testdata_file("CT_small.dcm", download=False)))
    found = []
    for quarters in range(4):
        png = BytesIO()
        Image.fromarray(turned(image, quarters).pixels).save(png, "PNG")
        found.append("data:image/png;base64," + base64.b64encode(png.getvalue()).decode())
    return found


def percentile(values: list[float], part: float) -> float:
    """Nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered) + 0.5) - 1))]


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Interleaved rounds, then cancelling and the second question about a known image."""
    export(folder)
    sides: dict[str, Any] = {name: Side(name) for name in IN_PROCESS} | {PEER: Peer(folder)}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    try:
        for number in range(options.rounds + 1):
            for name, side in sides.items():
                # Round 0 warms up every side with two short answers.
                chats, tokens = (len(QUESTIONS), options.tokens) if number else (2, 3)
                run = side.run(chats=chats, tokens=tokens)
                print(number, name, f"wall {run['wall']:.1f} s, cpu {run['cpu']:.1f} s", flush=True)
                if number:
                    runs[name].append(run)
        more = sides[IN_PROCESS[0]].run(chats=len(QUESTIONS), tokens=options.tokens, extra=True)
        cancelled = {IN_PROCESS[0]: more["cancel_s"], PEER: sides[PEER].cancel()}
    finally:
        for side in sides.values():
            side.close()
    result: dict[str, Any] = {"machine": machine(), "rounds": options.rounds, "tokens_each": options.tokens}
    result["sides"] = {name: summary(own, options.tokens) for name, own in runs.items()}
    base = result["sides"][IN_PROCESS[0]]["cpu_s"]
    texts = runs[IN_PROCESS[0]][-1]["texts"]
    for name, own in result["sides"].items():
        own["cpu_times_engine"] = round(own["cpu_s"] / base, 2)
        pairs = zip(texts, runs[name][-1]["texts"], strict=True)
        own["same_text_as_engine"] = sum(one.strip() == other.strip() for one, other in pairs)
    result["cancel_s"] = {
        name: {"p50": round(percentile(values, 0.5), 3), "max": round(max(values), 3)}
        for name, values in cancelled.items()
    }
    result["second_question"] = more["second_question"]
    return result


def summary(runs: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
    """Medians over the rounds of one side."""
    seconds = statistics.median(run["wall"] for run in runs)
    busy = statistics.median(run["cpu"] for run in runs)
    total, firsts = tokens * len(QUESTIONS), [first for run in runs for first in run["first"]]
    return {
        "wall_s": round(seconds, 2),
        "cpu_s": round(busy, 2),
        "tokens_per_s": round(total / seconds, 1),
        "tokens_per_cpu_s": round(total / busy, 1),
        "first_text_p50_s": round(percentile(firsts, 0.5), 2),
        "first_text_p95_s": round(percentile(firsts, 0.95), 2),
        "peak_mb": max(run["peak_mb"] for run in runs),
        "wall_s_each": [round(run["wall"], 2) for run in runs],
        "cpu_s_each": [round(run["cpu"], 2) for run in runs],
    }


def main() -> None:
    """Measure and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder) / "nano")
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
