"""A run while it goes on: a view that redraws itself in a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from .labels import Labels, Language, event_word, view_language, word
from .smooth import Recent

if TYPE_CHECKING:
    from rich.console import RenderableType

Row = Mapping[str, Any]
Say = Callable[[str], None]
_REDRAW = 0.5  # seconds between two pictures; drawing one takes milliseconds
_LINE = 30.0  # seconds between two plain lines
# Lines of a full-screen picture that are not topics.
_FRAME = 19


class View(Protocol):
    """Shows a run; the same calls as for the log."""

    def step(self, row: Row) -> None:
        """An optimiser step."""

    def validation(self, row: Row) -> None:
        """A validation."""

    def event(self, name: str, **details: Any) -> None:
        """Something that happens rarely."""

    def close(self) -> None:
        """End of the run; leaves the last picture on the screen."""


def make_view(
    run: Path,
    total_stages: int,
    say: Say,
    *,
    stream: TextIO | None = None,
    language: Language | None = None,
    seconds: float = _LINE,
) -> View:
    """The view that fits the stream.

    Args:
        run: folder of the run; its ``skipped.jsonl`` is counted.
        total_stages: number of stages of the recipe.
        say: receives plain lines.
        stream: a terminal gets the live view; ``None`` is stderr.
        language: ``None`` takes that of ``BIMEDIX2_LANG``, else of the locale, else English.
        seconds: between two plain lines.
    """
    stream = stream or sys.stderr
    facts = Facts(run, total_stages, language or view_language())
    if not stream.isatty():
        return PlainView(facts, say, seconds)
    from rich.console import Console

    console = Console(file=stream)
    return (
        LiveView(facts, console, stream)
        if console.is_terminal and not console.is_dumb_terminal
        else PlainView(facts, say, seconds)
    )


class Facts:
    """What a view knows."""

    def __init__(self, run: Path, total_stages: int, language: Language) -> None:
        self.run, self.total_stages, self.language = run, total_stages, language
        self.recent = Recent()
        self.last: Row = {}
        self.validated: Row = {}
        self.checkpoint = ""
        self.nonfinite = 0
        self._skipped = run / "skipped.jsonl"
        self._counted = (0, 0)  # bytes of the file, lines in them

    def event(self, name: str, details: Row) -> None:
        """Remember a checkpoint, count a step that was left out."""
        if name == "checkpoint":
            self.checkpoint = f"{details.get('stage', '')} {details.get('step', '')}".strip()
        self.nonfinite += name == "nonfinite"

    def skipped(self) -> int:
        """Lines of ``skipped.jsonl``."""
        size = self._skipped.stat().st_size if self._skipped.is_file() else 0
        if size != self._counted[0]:
            self._counted = (size, self._skipped.read_bytes().count(b"\n"))
        return self._counted[1]

    def position(self) -> str:
        """``2/3 instruct · 120/997 (12 %)``."""
        row = self.last
        if not row:
            return "–"
        percent = 100 * row["step"] / max(1, row["steps"])
        stage = f"{row['stage_index'] + 1}/{self.total_stages} {row['stage']}"
        return f"{stage} · {row['step']}/{row['steps']} ({percent:.0f} %)"


class PlainView:
    """A line every so often: the first and last step of a stage, validations and events always."""

    def __init__(self, facts: Facts, say: Say, seconds: float) -> None:
        self._facts, self._say, self._seconds = facts, say, seconds
        self._said = -float("inf")

    def step(self, row: Row) -> None:
        """Say the step if it is time for it."""
        new_stage = row["stage_index"] != self._facts.last.get("stage_index")
        self._facts.last = row
        self._facts.recent.add(row)
        if new_stage or row["step"] == row["steps"] or time.monotonic() - self._said >= self._seconds:
            self._said = time.monotonic()
            self._say(step_line(self._facts))

    def validation(self, row: Row) -> None:
        """Say the loss."""
        from .tables import number

        language = self._facts.language
        loss = number(row["validation"].get("loss"))
        self._say(f"{row.get('stage', '')} {row.get('step', '')}: {word('validation', language)} {loss}")

    def event(self, name: str, **details: Any) -> None:
        """Say what happened."""
        self._facts.event(name, details)
        self._say(event_line(name, details, self._facts.language))

    def close(self) -> None:
        """Nothing is left to say."""


def step_line(facts: Facts) -> str:
    """One line about the last steps, in logical order."""
    from .tables import duration, number

    def named(key: str, value: str) -> str:
        return f"{word(key, facts.language)} {value}"

    recent, row = facts.recent, facts.last
    parts = [facts.position(), named("loss", number(recent.loss()))]
    parts += [named(language, number(loss)) for language, loss in recent.languages().items()]
    if row.get("tokens"):
        parts.append(f"{number(recent.speed(), ',.0f')} {word('tokens', facts.language)}")
    if row.get("memory_gb") is not None:
        parts.append(number(row["memory_gb"], ".1f", " GB"))
    parts.append(named("left", duration(recent.seconds_left())))
    return " · ".join(parts)


def event_line(name: str, details: Row, language: Language) -> str:
    """One line about an event, with the samples or the message that it names."""
    place = " ".join(str(details[key]) for key in ("stage", "step") if details.get(key) is not None)
    samples = ", ".join(map(str, details.get("samples", [])[:8]))
    rest = [str(text) for text in (samples, details.get("tracker"), details.get("message")) if text]
    return ": ".join(part for part in (place, event_word(name, language), *rest) if part)


class LiveView:
    """Redraws itself at most twice a second, after a step; nothing runs between steps."""

    def __init__(self, facts: Facts, console: Any, stream: TextIO) -> None:
        from rich.live import Live

        self._facts, self._console = facts, console
        self._labels = Labels(facts.language, stream)
        self._drawn = -float("inf")
        # What the program says meanwhile goes above the picture.
        self._live = Live(self.picture(), console=console, auto_refresh=False, vertical_overflow="crop")
        self._live.start(refresh=True)

    def step(self, row: Row) -> None:
        """Take in a step and redraw if the picture is old."""
        self._facts.last = row
        self._facts.recent.add(row)
        if time.monotonic() - self._drawn >= _REDRAW or row["step"] == row["steps"]:
            self._draw()

    def validation(self, row: Row) -> None:
        """Show the loss of a validation."""
        self._facts.validated = row
        self._draw()

    def event(self, name: str, **details: Any) -> None:
        """Show an event above the picture; a checkpoint only inside it."""
        self._facts.event(name, details)
        if name != "checkpoint":
            self._console.print(
                self._labels.text(event_line(name, details, self._facts.language)), markup=False, highlight=False
            )
        self._draw()

    def close(self) -> None:
        """Draw once more and give the screen back."""
        if self._live.is_started:
            self._draw()
            self._live.stop()

    def picture(self) -> RenderableType:
        """Everything the view shows."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        from .tables import cells_table, facts_table

        recent, row, labels = self._facts.recent, self._facts.last, self._labels
        bar = Table.grid()  # a bar by itself does not end its line
        bar.add_row(ProgressBar(total=row.get("steps", 1), completed=row.get("step", 0), width=60))
        most = max(1, self._console.height - _FRAME)
        parts: list[RenderableType] = [facts_table(live_facts(self._facts), labels), bar]
        if cells := recent.cells():
            parts.append(cells_table(cells, recent.languages(), labels, most))
        return Group(*parts)

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._live.update(self.picture(), refresh=True)


def live_facts(facts: Facts) -> list[tuple[str, str]]:
    """Keys of labels and values, as the live view lists them."""
    from .tables import duration, number, rates_text

    recent, row, validated = facts.recent, facts.last, facts.validated
    checked = f"{number(validated['validation'].get('loss'))} ({validated.get('step', '')})" if validated else "–"
    return [
        ("stage", facts.position()),
        ("time_left", duration(recent.seconds_left())),
        ("loss_mean", f"{number(recent.loss())} ({len(recent.rows)})"),
        ("loss_last", number(row.get("loss"))),
        ("validation", checked),
        ("tokens", number(recent.speed(), ",.0f")),
        ("supervised", number(recent.speed("supervised"), ",.0f")),
        ("memory", number(row.get("memory_gb"), ".1f", " GB")),
        ("rates", rates_text(row.get("lr", {}))),
        ("norm", number(row.get("grad_norm"))),
        ("checkpoint", facts.checkpoint or "–"),
        ("skipped", str(facts.skipped())),
        ("nonfinite", str(facts.nonfinite)),
    ]
