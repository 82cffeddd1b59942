"""Who trains in a run folder: ``running.json``, written at the start and removed at an orderly end."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bimedix2.errors import ConfigError

from .lines import Row, decode, now

RUNNING = "running.json"


def process_mark() -> Row:
    """Who trains: host, process, number of processes, time of start."""
    return {
        "host": socket.gethostname(),
        "place": _place(),
        "pid": os.getpid(),
        "ticks": _start_ticks(os.getpid()),
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
        "started": now(),
    }


def read_mark(run: Path) -> Row | None:
    """``running.json``, or ``None`` if no process claims the run or the file cannot be read."""
    try:
        return decode((run / RUNNING).read_bytes())
    except OSError:
        return None


def is_alive(mark: Mapping[str, Any]) -> bool | None:
    """Whether the process of a mark runs; ``None`` where this machine cannot know."""
    if not mark.get("place") or mark["place"] != _place():
        return None
    ticks = _start_ticks(int(mark["pid"]))
    return ticks is not None and ticks == mark.get("ticks")


def refuse_second(run: Path) -> None:
    """Raise ``ConfigError`` if another process of this machine trains in the folder."""
    mark = read_mark(run)
    if mark is not None and mark.get("pid") != os.getpid() and is_alive(mark):
        raise ConfigError(
            f"Process {mark['pid']} is training in {run}. Wait for it, stop it with "
            f"`kill -TERM {mark['pid']}` (it saves a checkpoint), or choose another --out.",
            f"العملية {mark['pid']} تدرب في {run}. انتظر نهايتها أو أوقفها بالأمر `kill -TERM {mark['pid']}` "
            "(تحفظ نقطة حفظ) أو اختر مجلدا آخر بالخيار --out.",
            code="run_in_progress",
        )


def _place() -> str:
    """Names a set of process numbers: this boot of this machine, inside this container. Empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks after boot (proc(5), field 22 of stat); ``None`` if it is gone.

    With it a new process that has got the number of a dead one is not taken for it.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
