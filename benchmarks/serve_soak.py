"""Does the server stay the same size? Five hundred chats, then a hundred clients that leave after the first word.

    OMP_NUM_THREADS=1 python benchmarks/serve_soak.py [--engine transformers] [--out benchmarks/results/serve_soak]

`bimedix2 serve` runs as its own process with a key, the audit log and a temporary folder of its own. Half of the chats
are in Arabic, half of them stream, half hold a picture (inside the request, or uploaded before and deleted after).
Questions and pictures come from a fixed pool, so that caches fill during the first chats and then stay: memory is
compared with its state after the first fifth. Memory is that of the server and its decoding children together, read
from /proc while nothing is being answered.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from nano_speed import machine
from serve_soak_page import markdown

MAIN = "from bimedix2.cli import main; main()"
PAGE = os.sysconf("SC_PAGE_SIZE")
QUESTIONS = (
    "Is there a fracture? Explain what you see.", "هل يوجد كسر؟ اشرح ما تراه.",
    "Which part of the body is shown?", "ما الجزء الظاهر من الجسم؟",
    "What are the symptoms of diabetes?", "ما أعراض مرض السكري؟",
    "Explain to a patient what pneumonia is.", "اشرح لمريض ما هو الالتهاب الرئوي.",
)  # fmt: skip


def picture(number: int) -> bytes:
    """One of five pictures, as a PNG of 512 by 400 pixels."""
    pixels = np.random.default_rng(number % 5).integers(0, 255, (50, 64), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((512, 400)).save(stream, "PNG")
    return stream.getvalue()


class Family:
    """The server's process and its children, as /proc shows them.

    Args:
        process: the server.
        temporary: its temporary folder.
        data: its data folder.
    """

    def __init__(self, process: subprocess.Popen[bytes], temporary: Path, data: Path) -> None:
        self.process, self.temporary, self.data = process, temporary, data

    def numbers(self) -> list[int]:
        """Process ids, the server's first."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
        found = [self.process.pid]
        for number in found:
            found += [child for child, parent in parents.items() if parent == number]
        return found

    def sample(self) -> dict[str, Any]:
        """Memory in MiB, open files and threads of all of them, and what lies in the folders."""
        memory = files = threads = 0
        numbers = self.numbers()
        for number in numbers:
            folder = Path(f"/proc/{number}")
            memory += int((folder / "statm").read_text().split()[1]) * PAGE
            files += len(list((folder / "fd").iterdir()))
            threads += len(list((folder / "task").iterdir()))
        return {
            "rss_mib": round(memory / 2**20, 1),
            "processes": len(numbers),
            "open_files": files,
            "threads": threads,
            "temporary_files": sum(1 for path in self.temporary.rglob("*") if path.is_file()),
            "uploads": len(list((self.data / "uploads").iterdir())),
        }

    def cpu_seconds(self) -> float:
        """Processor time of the server alone."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Driver:
    """Sends chats.

    Args:
        url: of the server.
        key: with the scopes chat and admin.
        tokens: of each answer.
    """

    def __init__(self, url: str, key: str, tokens: int) -> None:
        self.tokens = tokens
        self.client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=300, trust_env=False
        )
        self.data_uris = ["data:image/png;base64," + base64.b64encode(picture(n)).decode() for n in range(5)]

    def chat(self, number: int) -> float:
        """One chat of four kinds; how many seconds it took."""
        started = time.perf_counter()
        parts: list[dict[str, Any]] = [{"type": "text", "text": QUESTIONS[number % len(QUESTIONS)]}]
        upload = ""
        if number % 4 == 1:
            parts.append({"type": "image_url", "image_url": {"url": self.data_uris[number % 5]}})
        elif number % 4 == 3:
            sent = self.client.post("/v1/uploads", files={"file": ("x.png", picture(number))})
            upload = sent.raise_for_status().json()["id"]
            parts.append({"type": "image_url", "image_url": {"url": f"upload:{upload}"}})
        body = {"messages": [{"role": "user", "content": parts}], "max_tokens": self.tokens, "stream": number % 8 > 3}
        while (answer := self.client.post("/v1/chat/completions", json=body)).status_code == 429:
            time.sleep(1)
        if answer.status_code != 200 or '"error"' in answer.text:
            raise SystemExit(f"chat {number}: {answer.status_code} {answer.text[:300]}")
        if upload and number % 8 == 3:  # the others go at the end, with everything else of the key's
            self.client.delete(f"/v1/uploads/{upload}").raise_for_status()
        return time.perf_counter() - started

    def metric(self, name: str) -> float:
        """One value of /metrics."""
        lines = self.client.get("/metrics").raise_for_status().text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def leave(self, number: int) -> float:
        """Close the connection after the first word of a long answer; seconds until the engine is idle."""
        body = {
            "messages": [{"role": "user", "content": f"{QUESTIONS[number % 8]} " * 20}],
            "max_tokens": 2048, "stream": True,
        }  # fmt: skip
        with self.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            for line in answer.iter_lines():
                if '"content":"' in line and '"content":""' not in line:
                    break
        left = time.perf_counter()
        while self.metric("bimedix2_engine_running") + self.metric("bimedix2_engine_queued"):
            if time.perf_counter() - left > 60:
                raise SystemExit("the engine does not come to rest")
        return time.perf_counter() - left


@contextmanager
def serving(engine: str, folder: Path) -> Iterator[tuple[Family, str, str]]:
    """`bimedix2 serve` in a process of its own: what /proc shows of it, its address, a key."""
    data, temporary = folder / "data", folder / "tmp"
    temporary.mkdir()
    options = ["--engine", engine, "--data", str(data)]
    environment = {**os.environ, "TMPDIR": str(temporary), "BIMEDIX2_LANG": "en"}
    made = subprocess.run(
        [sys.executable, "-c", MAIN, "keys", "create", "soak", "--scope", "chat", "--scope", "admin",
         "--data", str(data)],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    key = next(word for word in made.stdout.split() if len(word) > 40)
    # The bound on requests a minute is there against just this; it is lifted in the settings, not in the code.
    start = (
        "import sys; from bimedix2.serve import settings; import dataclasses; limits = settings.Limits;"
        "settings.Limits = lambda **more: dataclasses.replace(limits(), requests_per_minute=10**6, per_key=8, **more);"
        "from bimedix2.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, "serve", *options, "--port", "0"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    url = next(word for word in process.stderr.readline().decode().split() if word.startswith("http"))
    drain = ThreadPoolExecutor(1)
    drain.submit(process.stderr.read)
    try:
        end = time.monotonic() + 600
        with httpx.Client(base_url=url, trust_env=False, transport=httpx.HTTPTransport(retries=9)) as client:
            while client.get("/health").status_code != 200 and time.monotonic() < end:
                time.sleep(0.5)
        yield Family(process, temporary, data), url, key
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        drain.shutdown()


def slope(samples: list[dict[str, Any]]) -> float:
    """MiB that memory grows by in a hundred chats, by least squares over the last four fifths."""
    late = samples[len(samples) // 5 :]
    return float(np.polyfit([one["chats"] for one in late], [one["rss_mib"] for one in late], 1)[0] * 100)


def soak(family: Family, driver: Driver, arguments: argparse.Namespace) -> dict[str, Any]:
    """The chats, and a sample after every 25 of them."""
    samples, seconds = [{"chats": 0, **family.sample()}], []
    started, used = time.perf_counter(), family.cpu_seconds()
    with ThreadPoolExecutor(arguments.clients) as pool:
        for first in range(0, arguments.chats, 25):
            seconds += pool.map(driver.chat, range(first, min(first + 25, arguments.chats)))
            samples.append({"chats": first + 25, **family.sample()})
            print(samples[-1], flush=True)
    wall, used = time.perf_counter() - started, family.cpu_seconds() - used
    driver.client.delete("/v1/data").raise_for_status()
    steady = [one["rss_mib"] for one in samples[len(samples) // 5 :]]
    return {
        "chats": arguments.chats, "seconds": round(wall, 1), "cpu_seconds": round(used, 1),
        "latency_p50_s": round(statistics.median(seconds), 3),
        "latency_p95_s": round(statistics.quantiles(seconds, n=20)[18], 3),
        "rss_first_fifth_mib": steady[0], "rss_end_mib": steady[-1], "rss_highest_mib": max(steady),
        "growth_mib_per_100_chats": round(slope(samples), 2), "after_delete": family.sample(), "samples": samples,
    }  # fmt: skip


def cancel(family: Family, driver: Driver, count: int) -> dict[str, Any]:
    """Clients that leave after the first word, one after the other."""
    for number in range(10):
        driver.leave(number)
    before = family.sample()
    seconds = sorted(driver.leave(number) for number in range(count))
    time.sleep(1)
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return {
        "clients": count, "idle_after_p50_s": round(cuts[9], 3), "idle_after_p95_s": round(cuts[18], 3),
        "idle_after_longest_s": round(seconds[-1], 3), "before": before, "after": family.sample(),
        "stopped": driver.metric('bimedix2_answers_total{end="stopped"}'),
        "in_flight": driver.metric("bimedix2_requests_in_flight") - 1,
    }  # fmt: skip


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="transformers", choices=["transformers", "echo"])
    parser.add_argument("--chats", type=int, default=500)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--leaving", type=int, default=100)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder, serving(arguments.engine, Path(folder)) as (family, url, key):
        driver = Driver(url, key, arguments.tokens)
        model = driver.client.get("/v1/models").json()["data"][0]["id"]
        found = {
            "command": "python " + " ".join(sys.argv), "engine": arguments.engine, "model": model,
            "tokens": arguments.tokens, "clients": arguments.clients, "date": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "soak": soak(family, driver, arguments), "cancel": cancel(family, driver, arguments.leaving),
            "load_before": [round(one, 1) for one in load], "load_after": [round(one, 1) for one in os.getloadavg()],
        }  # fmt: skip
    page = markdown(found)
    print(page)
    if arguments.out:
        arguments.out.with_suffix(".json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        arguments.out.with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
