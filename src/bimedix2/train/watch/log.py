"""What a run writes while it goes on, one JSON object per line, so that a crash costs the line it hit and no more.

The writer hands each line to the system at once; a reader in another process, or after ``kill -9``, sees every line
before the last one whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bimedix2.cache import write_whole

from .lines import LineFile, Row, encode, now, read_lines
from .process import RUNNING, process_mark, refuse_second
from .trackers import Tracker, make_trackers, numbers_of

LOG, EVENTS = "log.jsonl", "events.jsonl"


@dataclass(frozen=True)
class RunRows:
    """The log of a run as it counts: what a resumed run did again is there once.

    Attributes:
        steps: rows of optimiser steps, in order of (stage_index, step).
        validations: rows of validations, in the same order.
        damaged: lines that could not be read.
    """

    steps: list[Row]
    validations: list[Row]
    damaged: int


class RunLog:
    """Writes ``log.jsonl``, ``events.jsonl`` and ``running.json`` of a run. Only the first process has one.

    Args:
        run: folder of the run.
        trackers: names for :func:`~bimedix2.train.watch.trackers.make_trackers`.
        recipe_settings: the recipe as a dict, for the trackers.

    Raises:
        ConfigError: a tracker is unknown or not installed, or another process trains in this folder.
    """

    def __init__(
        self, run: Path, trackers: Sequence[str] = (), recipe_settings: Mapping[str, Any] | None = None
    ) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self._running = run / RUNNING
        refuse_second(run)
        self._trackers: dict[str, Tracker] = make_trackers(trackers, run, recipe_settings or {})
        self._log, self._events = LineFile(run / LOG), LineFile(run / EVENTS)
        # What the log held before tells whether this process has made a step yet.
        write_whole(self._running, encode(process_mark() | {"log_bytes": (run / LOG).stat().st_size}))
        self._place: Row = {}
        self._failed = False

    def step(self, row: Mapping[str, Any]) -> None:
        """Add the row of an optimiser step; ``time`` is added where it is missing."""
        self._place = {key: row[key] for key in ("stage", "stage_index", "step") if key in row}
        self._log.append({**row, "time": row.get("time") or now()})
        self._track(row)

    def validation(self, row: Mapping[str, Any]) -> None:
        """Add the row of a validation; where it names no place, it belongs to the last step."""
        row = self._place | {**row, "time": row.get("time") or now()}
        self._log.append(row)
        self._track(row)

    def event(self, name: str, **details: Any) -> None:
        """Add an event; stage and step are those of the last row unless ``details`` names others."""
        self._failed = name == "error"
        # The first event of a stage comes before its first row.
        place = self._place if details.get("stage") in (None, self._place.get("stage")) else {}
        self._events.append({"event": name, "time": now(), **place, **details})

    def close(self) -> None:
        """End the files and say that this process no longer trains here."""
        for name in list(self._trackers):
            self._guarded(name, lambda tracker: tracker.close())
        self._log.close()
        self._events.close()
        self._running.unlink(missing_ok=True)

    def _track(self, row: Mapping[str, Any]) -> None:
        if self._trackers and (values := numbers_of(row)):
            for name in list(self._trackers):
                self._guarded(name, lambda tracker: tracker.log(str(row["stage"]), values, int(row["step"])))

    def _guarded(self, name: str, act: Any) -> None:
        """A tracker that fails is left out from then on: days of training do not end for a dashboard."""
        try:
            act(self._trackers[name])
        except Exception as error:  # noqa: BLE001 - a tracker's failures have no common type
            del self._trackers[name]
            self.event("tracker_failed", tracker=name, message=f"{type(error).__name__}: {error}"[:300])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is not None and not self._failed:
                self.event("error", kind=type(error).__name__, message=str(error)[:500])
        finally:
            self.close()


def read_log(run: Path) -> RunRows:
    """Rows of ``log.jsonl``; none if there is no such file.

    A run that was killed and resumed repeats the steps after its checkpoint. The later row of a step counts, and
    rows of the lost continuation that are not repeated yet do not.
    """
    rows, damaged = read_lines(run / LOG)
    steps: list[Row] = []
    validations: list[Row] = []
    order: dict[Any, int] = {}
    for row in rows:
        if not {"stage", "step"} <= row.keys():
            damaged += 1
            continue
        row.setdefault("stage_index", order.setdefault(row["stage"], len(order)))
        order.setdefault(row["stage"], row["stage_index"])
        if "validation" in row:
            _supersede(validations, row)
            validations.append(row)
        else:
            _supersede(steps, row)
            # A validation follows the step that it names, so a repeated step undoes it too.
            _supersede(validations, row)
            steps.append(row)
    return RunRows(steps, validations, damaged)


def read_events(run: Path) -> list[Row]:
    """Rows of ``events.jsonl`` in the order in which they happened; none if there is no such file."""
    return [row for row in read_lines(run / EVENTS)[0] if "event" in row]


def _supersede(rows: list[Row], row: Row) -> None:
    """Drop the rows from the place of ``row`` on."""
    key = (row["stage_index"], row["step"])
    while rows and (rows[-1]["stage_index"], rows[-1]["step"]) >= key:
        rows.pop()
