"""What our server costs beside the answer itself: requests a second and latency, against a bare Starlette app.

Both serve the same echo engine over uvicorn on 127.0.0.1, each in a process of its own; the driver is a third one. A
closed loop: every client sends its next request when it has the whole answer. The bare app parses the JSON, asks the
engine and sends chunks; it has no checks, keys, audit log, counts, limits or notice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

QUESTION = "Is there a pleural effusion on this film? هل يوجد انصباب جنبي في هذه الصورة؟"
WARM = 20  # requests of every client that do not count
BARE = """
import json, sys
from types import SimpleNamespace
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from bimedix2.inference.config import GenerationConfig
from bimedix2.records.schema import Turn
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.engines.protocol import Job
engine = EchoEngine()
def event(delta, reason=None):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    content = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "echo", "choices": [choice]}
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\\n\\n"
async def chat(request):
    body = await request.json()
    turns = tuple(Turn(role=m["role"], text=m["content"], language="en") for m in body["messages"])
    job = Job(request_id="r", turns=turns, images=(), language="en", config=GenerationConfig())
    if not body.get("stream"):
        text = "".join([piece.text async for piece in engine.generate(job)])
        message = {"role": "assistant", "content": text}
        return JSONResponse({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    async def events():
        yield event({"role": "assistant", "content": ""})
        async for piece in engine.generate(job):
            if piece.text:
                yield event({"content": piece.text})
        yield event({}, "stop")
        yield b"data: [DONE]\\n\\n"
    return StreamingResponse(events(), media_type="text/event-stream")
async def health(request):
    return JSONResponse({"ready": True})
app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/health", health)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""

# As `bimedix2 serve`, but for the audit log, whose line has to be on the disk before the first word goes out.
UNAUDITED = """
import dataclasses, sys
from pathlib import Path
import uvicorn
from bimedix2.serve.app import create_app
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.logs import configure
from bimedix2.serve.parts import default_parts
from bimedix2.serve.run import server_config
from bimedix2.serve.settings import ServeSettings
settings, engine = ServeSettings(data=Path(sys.argv[2]), engine="echo"), EchoEngine()
configure()
parts = dataclasses.replace(default_parts(settings, engine), audit=None)
config = server_config(create_app(settings, engine, parts=parts))
config.port = int(sys.argv[1])
uvicorn.Server(config).run()
"""


@dataclass
class Times:
    """Seconds of every request of a run."""

    whole: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    wall: float = 0.0

    def figures(self) -> dict[str, float]:
        """Requests a second, latency and wait for the first words."""
        found = {"requests_per_second": round(len(self.whole) / self.wall, 1)}
        for name, times in (("latency", self.whole), ("first_words", self.first)):
            cuts = statistics.quantiles(times, n=100, method="inclusive")
            found |= {f"{name}_p50_ms": round(cuts[49] * 1000, 2), f"{name}_p95_ms": round(cuts[94] * 1000, 2)}
        return found


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def request(port: int, *, stream: bool) -> bytes:
    """A whole request as it goes over the wire."""
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": QUESTION}], "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes, times: Times | None) -> None:
    """Send a request and read its answer."""
    started = time.perf_counter()
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"refused: {head!r}")
    first = 0.0
    if b"content-length:" in head:
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    else:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            data = await reader.readexactly(size + 2)
            if not first and b'"delta":{"content":"' in data:
                first = time.perf_counter() - started
        await reader.readexactly(2)
    took = time.perf_counter() - started
    if times is not None:
        times.whole.append(took)
        times.first.append(first or took)


async def drive(port: int, clients: int, count: int, *, stream: bool) -> Times:
    """A closed loop of so many clients."""
    sent, times = request(port, stream=stream), Times()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(WARM):
            await one(reader, writer, sent, None)
        await ready.wait()
        for _ in range(count // clients):
            await one(reader, writer, sent, times)
        writer.close()

    ready = asyncio.Event()
    tasks = [asyncio.ensure_future(client()) for _ in range(clients)]
    await asyncio.sleep(0.5)
    started = time.perf_counter()
    ready.set()
    await asyncio.gather(*tasks)
    times.wall = time.perf_counter() - started
    return times


def start(name: str, folder: str, port: int) -> subprocess.Popen[bytes]:
    """Start one of the two servers."""
    main = "from bimedix2.cli import main; main()"
    arguments = {
        "bare": ["-c", BARE, str(port)],
        "unaudited": ["-c", UNAUDITED, str(port), folder],
        "ours": ["-c", main, "serve", "--engine", "echo", "--port", str(port), "--data", folder],
    }[name]
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process
    raise SystemExit(f"{name} did not start")


def sync_ms() -> dict[str, float]:
    """What it takes to get 400 bytes onto the disk, in milliseconds."""
    with tempfile.NamedTemporaryFile(dir=".") as file:
        times = []
        for _ in range(60):
            os.write(file.fileno(), bytes(400))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    cuts = statistics.quantiles(times, n=20)
    return {"p50": round(cuts[9] * 1000, 2), "p95": round(cuts[18] * 1000, 2)}


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time that a server has taken; other programs on the machine hardly change it."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every combination, ours beside the bare app; of the rounds, the one with the median tail."""
    rows: list[dict[str, Any]] = []
    scratch = Path("runs")  # on a disk, for what a write costs, and ignored by git if a killed run leaves it
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        ports = {name: free_port() for name in ("bare", "unaudited", "ours")}
        processes = {name: start(name, f"{folder}/{name}", port) for name, port in ports.items()}
        try:
            for clients in arguments.clients:
                for stream in (False, True):
                    # Interleaved, so that all meet the same state of the machine.
                    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
                    for name in [*ports] * arguments.rounds:
                        before = cpu_seconds(processes[name])
                        times = asyncio.run(drive(ports[name], clients, arguments.requests, stream=stream))
                        used = cpu_seconds(processes[name]) - before
                        made = len(times.whole) + WARM * clients
                        found = times.figures() | {"cpu_ms_per_request": round(used * 1000 / made, 3)}
                        rounds[name].append(found)
                    for name, found_in in rounds.items():
                        found_in.sort(key=lambda one: one["latency_p95_ms"])
                        tails = [one["latency_p95_ms"] for one in found_in]
                        middle = found_in[len(found_in) // 2] | {"p95_of_rounds_ms": tails}
                        rows.append({"server": name, "clients": clients, "stream": stream, **middle})
                        print(rows[-1], flush=True)
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(30)
    return rows


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    before = os.getloadavg()
    rows = measure(arguments)
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())  # fmt: skip
    names = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "msgspec")
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "load_before": before, "load_after": os.getloadavg()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
        "question": QUESTION,
        "fdatasync_ms": sync_ms(),
        "rows": rows,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
