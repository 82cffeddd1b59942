"""The line: which steps are to be done, each once, in order."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bimedix2 import __version__
from bimedix2.data.locks import only_one
from bimedix2.errors import ConfigError
from bimedix2.settings_file import near

from . import folders
from .job import BuildStep, Job, Outcome, Place
from .steps import STEPS

LOG = "build.log.jsonl"
SUMMARY = "summary.json"
_FORMAT = 1  # raise it when a step makes other files of the same input
Why = Literal["new", "settings", "input", "files", "asked", "kept"]
WHY: dict[Why, tuple[str, str]] = {
    "new": ("not done yet", "لم تنفذ بعد"),
    "settings": ("its settings or its input changed", "تغيرت إعداداتها أو مدخلها"),
    "input": ("original files changed", "تغيرت الملفات الأصلية"),
    "files": ("its files are damaged or gone", "ملفاتها تالفة أو مفقودة"),
    "asked": ("asked for by --from", "طلبها الخيار --from"),
    "kept": ("unchanged", "لم تتغير"),
}


@dataclass(frozen=True)
class Done:
    """A step of a build.

    Attributes:
        folder: its files.
        state: its account.
        why: it was done, or ``kept``.
    """

    folder: Path
    state: Mapping[str, Any]
    why: Why


def chosen_steps(place: Place) -> list[BuildStep]:
    """The steps that the recipe names, in order."""
    return [step for step in STEPS if getattr(place.recipe, step.name) is not None]


def folder_of(place: Place, step: BuildStep) -> Path:
    """Folder of a step: its number is the same in every recipe."""
    return place.out / f"{STEPS.index(step) + 1:02d}-{step.name}"


def build(place: Place, until: str = "", start: str = "") -> list[Done]:
    """Do what is not done yet.

    Args:
        place: what and where.
        until: name of the last step to do.
        start: name of a step that is done again, with all after it, whatever is there.

    Raises:
        ConfigError: the recipe has no such step.
        DataError: ``busy``: another build works in this folder.
        BiMediX2Error: a step cannot be done; what came before it stays.
    """
    steps = _until(place, until)
    _position(place, start)
    place.out.mkdir(parents=True, exist_ok=True)
    done: list[Done] = []
    with only_one(place.out / "build"):
        folders.clear_leftovers(place.out)
        _clear_dropped(place)
        log = _Log(place.out / LOG)
        for step, job, why in _walk(place, steps, start, done):
            if why == "kept":
                state = folders.read_state(folder_of(place, step)) or {}
            else:
                state = _do(place, step, job, why, log)
            done.append(Done(folder_of(place, step), state, why))
        folders.write_json(place.out / SUMMARY, summary(done))
    return done


def plan(place: Place, until: str = "", start: str = "") -> Iterator[tuple[BuildStep, Why | None]]:
    """What ``build`` would do, with the reason; ``None`` where that depends on what an earlier step makes."""
    steps, unsure = _until(place, until), False
    done: list[Done] = []
    _position(place, start)
    for step in steps:
        if unsure:
            yield step, None
            continue
        _, why = _why(place, step, start, done)
        yield step, why
        unsure = why != "kept"
        if not unsure:
            folder = folder_of(place, step)
            done.append(Done(folder, folders.read_state(folder) or {}, why))


def _walk(
    place: Place, steps: Sequence[BuildStep], start: str, done: list[Done]
) -> Iterator[tuple[BuildStep, Job, Why]]:
    for step in steps:
        yield step, *_why(place, step, start, done)


def _why(place: Place, step: BuildStep, start: str, done: Sequence[Done]) -> tuple[Job, Why]:
    """The step's job, and why it is to be done."""
    job = _job(place, step, folder_of(place, step), done)
    folder, state = job.folder, folders.read_state(job.folder)
    if start and _position(place, step.name) >= _position(place, start):
        return job, "asked"
    if state is None:
        return job, "new"
    if state.get("fingerprint") != fingerprint(step, job):
        return job, "settings"
    if not folders.unchanged(state.get("originals", ()), place.data):
        return job, "input"
    return job, "kept" if folders.files_intact(folder, state) else "files"


def _job(place: Place, step: BuildStep, folder: Path, done: Sequence[Done]) -> Job:
    before = {str(one.state["step"]): (dict(one.state), one.folder) for one in done}
    source = next((one.folder / folders.RECORDS for one in reversed(done) if _has_records(one)), Path())
    return Job(place, getattr(place.recipe, step.name), folder, source, before)


def _has_records(one: Done) -> bool:
    return folders.RECORDS in one.state.get("files", {})


def fingerprint(step: BuildStep, job: Job) -> str:
    """What the step's files depend on: settings, the files of all earlier steps, what it reads besides, the version."""
    inputs = {name: state["files"] for name, (state, _) in job.before.items()}
    parts = {
        "format": _FORMAT,
        "version": __version__,
        "step": step.name,
        "settings": asdict(job.settings),
        "inputs": inputs,
        "depends": step.depends(job),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _do(place: Place, step: BuildStep, job: Job, why: Why, log: _Log) -> dict[str, Any]:
    english, arabic = WHY[why]
    target = folder_of(place, step)
    place.tell(f"{target.name}: {english}", f"{step.arabic} ({target.name}): {arabic}")
    started, mark = time.monotonic(), fingerprint(step, job)
    log.put(step=step.name, event="start", why=why)
    with folders.step_folder(target) as scratch:
        outcome = step.run(Job(place, job.settings, scratch, job.source, job.before))
        folders.write_state(scratch, _state(place, step, mark, outcome, job))
    seconds = round(time.monotonic() - started, 1)
    log.put(step=step.name, event="done", seconds=seconds, peak_mb=_peak_mb())
    place.tell(
        f"{target.name}: {outcome.rows_in:,} -> {outcome.rows_out:,} records, {seconds:g} s",
        f"{step.arabic} ({target.name}): {outcome.rows_in:,} -> {outcome.rows_out:,} سجل، {seconds:g} ث",
    )
    return folders.read_state(target) or {}


def _state(place: Place, step: BuildStep, mark: str, outcome: Outcome, job: Job) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": __version__,
        "name": place.recipe.name,
        "step": step.name,
        "fingerprint": mark,
        "settings": asdict(job.settings),
        "rows": {"in": outcome.rows_in, "out": outcome.rows_out, "added": outcome.added},
        "aside": outcome.aside,
        "listed": outcome.listed,
        "details": outcome.details,
        "originals": folders.facts_of(outcome.watched, place.data),
    }


def summary(done: Sequence[Done]) -> dict[str, Any]:
    """Rows of every step, and the files that list what was set aside."""
    names = ("step", "rows", "aside", "listed")
    return {
        "steps": [{**{name: one.state[name] for name in names}, "folder": one.folder.name} for one in done],
        "quarantine": [
            f"{one.folder.name}/{name}" for one in done for name in one.state["files"] if ".quarantine." in name
        ],
    }


def _until(place: Place, until: str) -> list[BuildStep]:
    steps = chosen_steps(place)
    return steps[: _position(place, until) + 1] if until else steps


def _position(place: Place, name: str) -> int:
    """Place of a step among those of the recipe.

    Raises:
        ConfigError: the recipe has no such step.
    """
    names = [step.name for step in chosen_steps(place)]
    if name and name not in names:
        hint, hint_ar = near(name, names)
        raise ConfigError(f"The recipe has no step {name!r}{hint}.", f"لا توجد خطوة {name!r} في الوصفة{hint_ar}.")
    return names.index(name) if name else 0


def _clear_dropped(place: Place) -> None:
    """Remove folders of steps that the recipe no longer has: their files do not belong to this set any more."""
    import shutil

    for step in STEPS:
        folder = folder_of(place, step)
        if getattr(place.recipe, step.name) is None and (folder / folders.STATE).is_file():
            shutil.rmtree(folder)


class _Log:
    """When steps began and ended: kept apart, for times differ between builds of the same set."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, **facts: Any) -> None:
        line = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _peak_mb() -> float:
    """Most memory that the process has held so far, in 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6, 1)
