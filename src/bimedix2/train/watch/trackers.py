"""TensorBoard, trackio and W&B, beside the log file that is always written.

A tracker receives numbers, names of stages and cells, and recipe settings. Texts, ids of samples, names of files and
folders, the host name and the program's output stay here. TensorBoard and trackio write into the run's folder; W&B
too, until ``WANDB_API_KEY`` or ``WANDB_MODE=online`` is set.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Protocol

from bimedix2.errors import ConfigError

Settings = Mapping[str, Any]
PROJECT = "bimedix2"
# Settings whose value is a word of ours, and not a path or a name that says something about the data.
_WORDS = frozenset(
    ["name", "train", "objective", "dtype", "quantize", "engine", "bad_samples", "nonfinite", "trackers"]
)


class Tracker(Protocol):
    """Where numbers go."""

    def log(self, stage: str, values: Mapping[str, float], step: int) -> None:
        """Numbers of one step (1-based) of a stage."""

    def close(self) -> None:
        """Write what is left."""


def make_trackers(names: Sequence[str], run: Path, settings: Settings) -> dict[str, Tracker]:
    """Trackers by name; nothing is imported for those that are not named.

    Args:
        names: ``tensorboard``, ``trackio``, ``wandb``.
        run: folder of the run.
        settings: the recipe as a dict; only what :func:`shareable` keeps is sent.

    Raises:
        ConfigError: unknown name, or its package is not installed.
    """
    for name in names:
        if name not in _MAKERS:
            known = ", ".join(_MAKERS)
            raise ConfigError(
                f"trackers: {name!r} is unknown; known are {known}.", f"trackers: {name!r} غير معروف؛ المعروف: {known}."
            )
    return {name: _make(name, run, shareable(settings)) for name in names}


def _make(name: str, run: Path, settings: Settings) -> Tracker:
    if name == "trackio":
        # Read at import; without it the numbers of every run would go to one place in the home folder.
        os.environ.setdefault("TRACKIO_DIR", str(run / "trackio"))
    try:
        importlib.import_module(name)
        return _MAKERS[name](run, settings)
    except ImportError as error:
        raise ConfigError(
            f"trackers: {name} cannot be imported ({error}). Run: pip install {name} - or take it out of the recipe.",
            f"trackers: تعذر استيراد {name}. شغل: pip install {name} - أو احذفه من الوصفة.",
            code="missing_package",
        ) from error


def shareable(settings: Settings) -> dict[str, Any]:
    """The settings without anything that could be a path or tell about the data: numbers and our own words stay.

    Keys of ``weights`` and ``shares`` go too: the first are names of data sets.
    """
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if key not in ("weights", "shares"):
                kept[key] = shareable(value)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(item, Mapping) for item in value):
            kept[key] = [shareable(item) for item in value]
        elif (
            value is None
            or isinstance(value, (bool, int, float))
            or (key in _WORDS and re.fullmatch(r"[\w+-]{1,40}", str(value)))
        ):
            kept[key] = value
    return kept


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a row of the log by name; losses of cells are ``cell/ar/xray/vqa``.

    A validation's names start with ``validation/``.
    """
    if "validation" in row:
        return {f"validation/{name}": value for name, value in numbers_of(row["validation"]).items()}
    values = {name: row.get(name) for name in ("loss", "grad_norm", "lr_factor", "memory_gb", "supervised")}
    values |= {f"lr/{part}": rate for part, rate in row.get("lr", {}).items()}
    values |= {f"cell/{cell}": loss for cell, (loss, _) in row.get("cells", {}).items()}
    if row.get("seconds") and row.get("tokens"):
        values |= {f"{name}_per_second": row[name] / row["seconds"] for name in ("tokens", "supervised")}
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def run_id(run: Path) -> str:
    """A name for trackers that stays the same on resume and does not tell the folder."""
    return f"run-{hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:8]}"


class _TensorBoard:
    def __init__(self, run: Path, settings: Settings) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run / "tensorboard"))
        self._writer.add_text("recipe", f"```\n{json.dumps(settings, indent=1)}\n```")

    def log(self, stage: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    def __init__(self, run: Path, settings: Settings) -> None:
        trackio: Any = importlib.import_module("trackio")
        with redirect_stdout(sys.stderr):  # its greeting; stdout is for results
            trackio.init(
                project=PROJECT, name=run_id(run), config=dict(settings), resume="allow", embed=False,
                auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip
        self._trackio = trackio

    def log(self, stage: str, values: Mapping[str, float], step: int) -> None:
        self._trackio.log({f"{stage}/{name}": value for name, value in values.items()} | {f"{stage}/step": step})

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._trackio.finish()


class _Wandb:
    def __init__(self, run: Path, settings: Settings) -> None:
        wandb: Any = importlib.import_module("wandb")
        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        quiet = wandb.Settings(
            console="off", disable_git=True, disable_code=True, disable_job_creation=True, save_code=False,
            x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
            x_save_requirements=False, host="-", silent=True,
        )  # fmt: skip
        self._run: Any = wandb.init(
            project=PROJECT, id=run_id(run), name=run_id(run), dir=str(run), config=dict(settings), resume="allow",
            mode=mode, settings=quiet,
        )  # fmt: skip
        self._stages: set[str] = set()

    def log(self, stage: str, values: Mapping[str, float], step: int) -> None:
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        self._run.log({f"{stage}/{name}": value for name, value in values.items()} | {f"{stage}/step": step})

    def close(self) -> None:
        self._run.finish()


_MAKERS: dict[str, Callable[[Path, Settings], Tracker]] = {
    "tensorboard": _TensorBoard,
    "trackio": _Trackio,
    "wandb": _Wandb,
}
