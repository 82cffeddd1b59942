"""The client of the language-model steps against a plain loop and plain asyncio, on a local server of fixed latency.

    python benchmarks/llm_client.py [--rows 1000] [--rounds 3] [--out benchmarks/results/llm_client.json]

``ours`` is ``bimedix2 data translate`` without its critique: reading records, the ledger on disk (a synced commit
before and after every request), checking replies, building records, writing the output. ``gather`` is what one would
write instead: ``asyncio.gather`` over httpx with a semaphore, replies parsed as JSON and kept in memory, nothing on
disk until the end; a crash loses all of it. ``sequential`` is a plain loop, timed on fewer rows. All send the same
messages. ``resume`` runs ours again over a finished workspace. Rounds are interleaved; medians are reported, with CPU
seconds of the client's process, which a busy neighbour disturbs less. The server is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

SEQUENTIAL_ROWS = 25
ARABIC = "نتيجة الفحص مكتوبة باللغة العربية بطول"


async def serve(latency: float) -> None:
    """Answers every translation with an Arabic sentence for each of its texts, after ``latency`` seconds."""
    decoder = json.JSONDecoder()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(size))
                user = body["messages"][1]["content"]
                material, _ = decoder.raw_decode(user, user.index('{"turns"'))
                turns = [[f"{ARABIC} {len(text)}" for text in texts] for texts in material["turns"]]
                message = {"role": "assistant", "content": json.dumps({"turns": turns}, ensure_ascii=False)}
                usage = {"prompt_tokens": 300, "completion_tokens": 60}
                reply = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
                data = json.dumps(reply).encode()
                await asyncio.sleep(latency)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


def records(count: int) -> list[Any]:
    """Question and answer pairs whose texts all differ."""
    from bimedix2.records import Record, Turn

    def one(number: int) -> Record:
        question = f"Is there evidence of finding number {number} in this chest radiograph?"
        answer = f"Yes, finding number {number} is seen in the left lower lobe, with a small effusion beside it."
        turns = (Turn(role="user", text=question, language="en"), Turn(role="assistant", text=answer, language="en"))
        return Record(id=f"r{number}", turns=turns, task="vqa", modality="xray", source="made", licence="CC0-1.0")

    return [one(number) for number in range(count)]


def ours(rows: list[Any], url: str, concurrency: int, folder: Path) -> Any:
    """The whole step; a second call on the same folder resumes."""
    from bimedix2.data.llm.settings import RunSettings, Server
    from bimedix2.data.llm.workspace import Work, run_work
    from bimedix2.data.translate.settings import TranslateSettings
    from bimedix2.data.translate.step import Translate
    from bimedix2.records import write_jsonl

    source = folder / "in.jsonl"
    if not source.exists():
        write_jsonl(source, rows)
    server = Server(address=url, model="m")
    step = Translate(TranslateSettings(critique=False))
    task = Work(
        step, [source], folder / "out.jsonl", folder / "work", {"writer": server}, RunSettings(concurrency=concurrency)
    )
    summary, error = run_work(task)
    if error is not None or summary.records != len(rows):
        raise SystemExit(f"ours: {summary} {error}")
    return summary


def bodies(rows: list[Any]) -> list[bytes]:
    """The same requests, made beforehand so that the plain clients do not pay for them."""
    from bimedix2.data.translate.settings import TranslateSettings
    from bimedix2.data.translate.step import Translate

    step = Translate(TranslateSettings(critique=False))
    asks = (next(step.job(row, 0)) for row in rows)
    return [json.dumps({"model": "m", "messages": list(ask.messages), "max_tokens": 4096}).encode() for ask in asks]


def read(data: bytes) -> Any:
    """What a plain script does with a reply."""
    return json.loads(json.loads(data)["choices"][0]["message"]["content"])["turns"]


def gather(requests: list[bytes], url: str, concurrency: int) -> None:
    """Plain asyncio."""
    import httpx

    async def run() -> None:
        slots = asyncio.Semaphore(concurrency)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as http:

            async def one(body: bytes) -> Any:
                async with slots:
                    reply = await http.post(f"{url}/chat/completions", content=body)
                return read(reply.content)

            found = await asyncio.gather(*(one(body) for body in requests))
        if len(found) != len(requests):
            raise SystemExit("gather lost a reply")

    asyncio.run(run())


def sequential(requests: list[bytes], url: str) -> None:
    """A plain loop."""
    import httpx

    with httpx.Client(timeout=60, trust_env=False) as http:
        for body in requests:
            read(http.post(f"{url}/chat/completions", content=body).content)


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    before, started = used.ru_utime + used.ru_stime, time.monotonic()
    work()
    wall, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    return wall, used.ru_utime + used.ru_stime - before


def measure(latency: float, concurrency: int, rows: int, rounds: int) -> dict[str, Any]:
    """Medians of one setting."""
    command = [sys.executable, __file__, "--serve", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url, items = process.stdout.readline().strip(), records(rows)
    requests = bodies(items)
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "resume": [], "gather": [], "sequential": []}
    try:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                for name in ("ours", "resume"):
                    times[name].append(timed(lambda: ours(items, url, concurrency, Path(folder))))
            times["gather"].append(timed(lambda: gather(requests, url, concurrency)))
            times["sequential"].append(timed(lambda: sequential(requests[:SEQUENTIAL_ROWS], url)))
    finally:
        process.kill()
        process.wait()
    found: dict[str, Any] = {"latency_s": latency, "concurrency": concurrency, "rows": rows}
    found["rows_per_second_at_most"] = round(concurrency / latency, 1) if latency else None
    for name, pairs in times.items():
        count = SEQUENTIAL_ROWS if name == "sequential" else rows
        wall, cpu = (statistics.median(pair[part] for pair in pairs) for part in (0, 1))
        found[name] = {"rows_per_second": round(count / wall, 1), "cpu_ms_per_row": round(1000 * cpu / count, 2)}
    print(json.dumps(found), file=sys.stderr)
    return found


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    import httpx

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "cpu": next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown"),
        "cores": os.cpu_count(),
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "httpx": httpx.__version__,
        "date": date.today().isoformat(),
        "command": " ".join(["python", *sys.argv]),
    }


def main() -> None:
    """Measure all settings and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", type=float)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
        return
    settings = [(0.5, 16), (0.5, 64), (0.1, 16), (0.0, 16)]
    found = [measure(latency, concurrency, given.rows, given.rounds) for latency, concurrency in settings]
    report = json.dumps({"machine": machine(), "results": found}, indent=2) + "\n"
    if given.out:
        given.out.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
