"""Writing the queue for another tool, and taking its answers in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from bimedix2.cache import write_whole
from bimedix2.data.review.store import Workspace
from bimedix2.errors import ConfigError, RecordError

from . import argilla, label_studio
from .common import Taker, at, rows

Tool = Literal["argilla", "label-studio"]
REFUSED = "import-refused.jsonl"
_TOOLS = {argilla.NAME: argilla, label_studio.NAME: label_studio}


class Taken(NamedTuple):
    """What an import did.

    Attributes:
        taken: verdicts that are new.
        known: verdicts that were imported before.
        refused: rows, or parts of them, that could not be used.
    """

    taken: int
    known: int
    refused: list[RecordError]


def write_tasks(workspace: Workspace, out: Path, tool: Tool) -> tuple[int, Path]:
    """Write the queue, and beside it what the tool needs to show it; return the number of tasks and that file."""
    with workspace.snapshot():
        found = list(_TOOLS[tool].records(workspace))
    write_whole(out, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if tool == "argilla":
        beside = out.with_name(f"{out.stem}.settings.json")
        write_whole(beside, msgspec.json.format(msgspec.json.encode(argilla.settings()), indent=1) + b"\n")
    else:
        beside = out.with_name(f"{out.stem}.config.xml")
        write_whole(beside, label_studio.interface().encode())
    return len(found), beside


def tool_of(path: Path) -> Tool:
    """Which tool a file comes from, by the keys of its first row.

    Raises:
        ConfigError: from neither.
    """
    for _, row in rows(path, lambda error: None):
        if "responses" in row and "fields" in row:
            return "argilla"
        if at(row, "data", "record_id") is not None or "annotations" in row:
            return "label-studio"
        break
    raise ConfigError(
        f"{path} is neither an Argilla nor a Label Studio export; name its format with --format.",
        f"الملف {path} ليس تصديرا من Argilla ولا من Label Studio؛ سم صيغته بالخيار --format.",
    )


def take_answers(workspace: Workspace, path: Path, tool: Tool) -> Taken:
    """Take the verdicts of a file in; what cannot be used is listed in the workspace and costs nothing else."""
    refused: list[RecordError] = []
    taker = Taker(workspace, path, tool, refused.append)
    for answer in _TOOLS[tool].answers(path, refused.append):
        taker.take(answer)
    lines = [{"file": e.path, "row": e.row, "field": e.field, "en": e.problem, "ar": e.problem_ar} for e in refused]
    if lines:
        write_whole(workspace.folder / REFUSED, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return Taken(taker.taken, taker.known, refused)
