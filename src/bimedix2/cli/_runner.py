"""Where the work of a step is done: options that several data commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class RunnerKind(StrEnum):
    """``local`` takes this machine's cores, ``ray`` those of Ray."""

    local = "local"
    ray = "ray"


RunnerOption = Annotated[
    RunnerKind, typer.Option("--runner", help="local: this machine's cores; ray: Ray, or the cluster of RAY_ADDRESS.")
]
WorkersOption = Annotated[int, typer.Option(help="Processes; 0 takes all cores. The result is the same.", min=0)]
