"""The log and the view of a run behind one set of calls; in all processes but the first, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bimedix2.train.recipe import Recipe

from .live import View, make_view
from .log import RunLog

Say = Callable[[str], None]


class RunWatch:
    """Hands every row and event to the log, then to the view.

    Args:
        log, view: ``None`` in processes that neither write nor show.
    """

    def __init__(self, log: RunLog | None, view: View | None) -> None:
        self._heard: list[RunLog | View] = [target for target in (log, view) if target is not None]

    def step(self, row: dict[str, Any]) -> None:
        """One optimiser step."""
        for target in self._heard:
            target.step(row)

    def validation(self, row: dict[str, Any]) -> None:
        """One validation."""
        for target in self._heard:
            target.validation(row)

    def event(self, name: str, **details: Any) -> None:
        """Something that happens rarely."""
        for target in self._heard:
            target.event(name, **details)


@contextmanager
def watch_run(recipe: Recipe, out: Path, say: Say, *, first: bool) -> Iterator[RunWatch]:
    """Log and view for as long as the run goes on; an exception is logged before it goes further.

    Args:
        recipe: its settings go to the trackers.
        out: run folder.
        say: receives plain lines.
        first: whether this is the process that writes.
    """
    if not first:
        yield RunWatch(None, None)
        return
    with RunLog(out, recipe.trackers, asdict(recipe)) as log:
        view = make_view(out, len(recipe.stages), say)
        try:
            yield RunWatch(log, view)
        finally:
            view.close()
