"""How far a run is, from its files alone: while it runs, here or on another machine, and after it has ended."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bimedix2.errors import ConfigError

from .lines import Row, read_lines
from .log import EVENTS, LOG, read_events, read_log
from .process import RUNNING, is_alive, read_mark
from .smooth import Recent, by_topic, mean_gap

State = Literal["preparing", "running", "silent", "dead", "stopped", "finished", "failed"]
# A run that has written nothing for so many seconds, and for ten steps, is late; elsewhere it is called silent.
_LATE = 120.0
_PHASES = frozenset(["start", "resume", "stop", "done", "error"])
_FILES = (LOG, EVENTS, RUNNING, "plan.json")


@dataclass(frozen=True)
class Checkpoint:
    """A folder under ``checkpoints/``.

    Attributes:
        name: ``SS-NNNNNN``, stage and steps done.
        complete: whether every file that its ``COMPLETE`` lists is there in full size.
        bytes: of all its files.
    """

    name: str
    complete: bool
    bytes: int


@dataclass(frozen=True)
class RunStatus:
    """State of a run.

    Attributes:
        run: its folder.
        state: ``preparing`` or ``running``: its process is alive on this machine, or wrote lately on another;
            ``silent``: on another machine, and wrote nothing lately; ``dead``: its process ended without a word;
            ``stopped`` on request, ``finished`` or ``failed``: it said so.
        process: host, pid, world_size and started of the process that claims the run.
        quiet_seconds: since the log or the events grew.
        late: whether that is longer than two minutes and ten steps.
        stage, stage_index, step, steps, percent, epoch: where the run is in its stage; ``None`` before a step.
        stages: how many the recipe has, if the plan is there.
        seconds_left: to the end of the stage by the median of the last steps; ``None`` if the run has ended.
        loss: of the last step; ``loss_mean``: over the supervised tokens of the last ``window`` steps.
        topics: the same by ``modality/task``: ``en``, ``ar`` and ``gap`` (Arabic − English).
        languages: the same by language; ``mean_gap``: mean of the gaps.
        tokens_per_second, supervised_per_second, memory_gb, grad_norm, lr: of the last steps.
        validation: last validation with its ``step``.
        checkpoints: by name, the newest last.
        last_event: the last row of ``events.jsonl``.
        skipped: number of samples left out by kind of fault.
        nonfinite_steps: steps left out because loss or gradient was not finite.
        damaged_lines: lines of the log that could not be read.
    """

    run: str
    state: State
    process: Row | None
    quiet_seconds: float | None
    late: bool
    stage: str | None
    stage_index: int | None
    stages: int | None
    step: int | None
    steps: int | None
    percent: float | None
    epoch: int | None
    seconds_left: float | None
    loss: float | None
    loss_mean: float | None
    window: int
    cells: dict[str, float]
    topics: dict[str, dict[str, float]]
    languages: dict[str, float]
    mean_gap: float | None
    tokens_per_second: float | None
    supervised_per_second: float | None
    memory_gb: float | None
    grad_norm: float | None
    lr: dict[str, float]
    validation: Row | None
    checkpoints: list[Checkpoint]
    last_event: Row | None
    skipped: dict[str, int]
    nonfinite_steps: int
    damaged_lines: int

    def as_json(self) -> str:
        """One JSON object with every attribute."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @property
    def goes_on(self) -> bool:
        """Whether a process may still be training."""
        return self.state in ("preparing", "running", "silent")


def run_status(run: Path, now: float | None = None) -> RunStatus:
    """Read the state of a run.

    Args:
        run: its folder.
        now: seconds since 1970; ``None`` is now.

    Raises:
        ConfigError: ``no_run``: the folder is not there or is not the folder of a run.
    """
    check_run(run)
    log, events, mark = read_log(run), read_events(run), read_mark(run)
    recent = Recent()
    for row in log.steps[-recent.rows.maxlen :] if recent.rows.maxlen else ():
        recent.add(row)
    quiet = _quiet_seconds(run, time.time() if now is None else now)
    late = quiet is not None and quiet > max(_LATE, 10 * _step_seconds(recent))
    state = _state(mark, events, _size(run / LOG), late=late)
    topics = by_topic(recent.cells())
    return RunStatus(
        run=str(run),
        state=state,
        process=None if mark is None else {key: mark.get(key) for key in ("host", "pid", "world_size", "started")},
        quiet_seconds=quiet,
        late=late,
        stages=_stages(run),
        seconds_left=recent.seconds_left() if state in ("running", "silent") else None,
        loss_mean=recent.loss(),
        window=len(recent.rows),
        cells=recent.cells(),
        topics=topics,
        languages=recent.languages(),
        mean_gap=mean_gap(topics),
        tokens_per_second=recent.speed(),
        supervised_per_second=recent.speed("supervised"),
        validation=_validation(log.validations),
        checkpoints=checkpoints_of(run),
        last_event=events[-1] if events else None,
        skipped=_skipped(run),
        nonfinite_steps=len({(row.get("stage"), row.get("step")) for row in events if row["event"] == "nonfinite"}),
        damaged_lines=log.damaged,
        **_place(log.steps[-1] if log.steps else {}),
    )


def check_run(run: Path) -> None:
    """Raise ``ConfigError`` unless this is the folder of a run."""
    if any((run / name).is_file() for name in _FILES):
        return
    inside = sorted(path.parent for path in run.glob(f"*/{LOG}"))[:5] if run.is_dir() else []
    hint = f" Did you mean {', '.join(map(str, inside))}?" if inside else " Give the folder that `train --out` named."
    hint_ar = f" هل تقصد {'، '.join(map(str, inside))}؟" if inside else " أعط المجلد المذكور في `train --out`."
    if not run.exists():
        raise ConfigError(
            f"{run}: there is no such folder.{hint}", f"{run}: لا يوجد هذا المجلد.{hint_ar}", code="no_run"
        )
    raise ConfigError(
        f"{run} is not the folder of a training run: it has none of {', '.join(_FILES)}.{hint}",
        f"{run} ليس مجلد تدريب: لا يوجد فيه أي من {'، '.join(_FILES)}.{hint_ar}",
        code="no_run",
    )


def checkpoints_of(run: Path) -> list[Checkpoint]:
    """Checkpoints on disk, half ones too; what is being written under a scratch name is not listed."""
    found = []
    for folder in sorted((run / "checkpoints").glob("[0-9]*-[0-9]*")):
        sizes = {
            path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()
        }
        found.append(Checkpoint(folder.name, _is_complete(folder, sizes), sum(sizes.values())))
    return found


def _is_complete(folder: Path, sizes: Mapping[str, int]) -> bool:
    try:
        listed = json.loads((folder / "COMPLETE").read_bytes())
    except (OSError, ValueError):
        return False
    return bool(listed == {name: size for name, size in sizes.items() if name != "COMPLETE"})


def _state(mark: Row | None, events: list[Row], log_bytes: int, *, late: bool) -> State:
    said = next((row["event"] for row in reversed(events) if row["event"] in _PHASES), None)
    if mark is None:
        ends: dict[str | None, State] = {"done": "finished", "error": "failed"}
        return ends.get(said, "stopped")
    alive = is_alive(mark)
    if alive is False:
        return "dead"
    if alive is None and late:
        return "silent"
    return "running" if log_bytes > (mark.get("log_bytes") or 0) else "preparing"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _step_seconds(recent: Recent) -> float:
    return max((float(row.get("seconds") or 0) for row in recent.rows), default=0.0)


def _quiet_seconds(run: Path, now: float) -> float | None:
    """Since the files of the run grew: the heartbeat of a run, on whichever machine."""
    times = [(run / name).stat().st_mtime for name in (LOG, EVENTS, RUNNING) if (run / name).is_file()]
    return max(0.0, round(now - max(times), 1)) if times else None


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("stage", "stage_index", "step", "steps", "epoch", "loss", "memory_gb", "grad_norm")
    steps = row.get("steps")
    percent = round(100 * row["step"] / steps, 1) if steps else None
    return {key: row.get(key) for key in keys} | {"percent": percent, "lr": dict(row.get("lr", {}))}


def _validation(rows: list[Row]) -> Row | None:
    return {"stage": rows[-1]["stage"], "step": rows[-1]["step"], **rows[-1]["validation"]} if rows else None


def _stages(run: Path) -> int | None:
    try:
        return len(json.loads((run / "plan.json").read_bytes())["stages"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _skipped(run: Path) -> dict[str, int]:
    rows = read_lines(run / "skipped.jsonl")[0]
    return dict(Counter(str(row.get("kind") or row.get("reason")) for row in rows).most_common())
