"""Pictures of a run: loss, cells, mix, speed. Names of cells and stages are the only words from the data."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import BiMediX2Error, ConfigError

from .lines import Row
from .log import RunRows, read_log
from .smooth import weighted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[int, float]
# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS = {"en": "#0072B2", "ar": "#D55E00"}
_LANGUAGES = {"en": "English", "ar": "Arabic"}
_GREY, _DARK = "#9a9a9a", "#222222"
_MOST_TOPICS = 12
_DPI = 110


def save_plots(run: Path, say: Callable[[str], None]) -> list[Path]:
    """Draw what the run's files allow; what keeps a picture from being drawn is said and ends nothing.

    Returns:
        The pictures' paths.
    """
    try:
        return draw_plots(run)
    except BiMediX2Error as error:
        say(error.message)
    except OSError as error:
        say(f"the plots could not be written: {error}")
    return []


def draw_plots(run: Path) -> list[Path]:
    """Draw ``loss.png``, ``cells.png``, ``mix.png`` and ``speed.png`` into the run's folder.

    A picture that has nothing to show is left out, such as ``cells.png`` of a run whose stages know no cells.

    Raises:
        ConfigError: matplotlib is not installed, or the run has no step yet.
    """
    try:
        import matplotlib  # noqa: F401 - asked for here, so that its absence is told before anything is drawn
    except ImportError as error:
        raise ConfigError(
            "The plots need matplotlib, which is not installed. Run: pip install matplotlib - then "
            f"`bimedix2 train status {run} --plots` draws them.",
            "تحتاج الرسوم إلى matplotlib وهو غير مثبت. شغل: pip install matplotlib - ثم يرسمها الأمر "
            f"`bimedix2 train status {run} --plots`.",
            code="missing_package",
        ) from error
    log = read_log(run)
    if not log.steps:
        raise ConfigError(f"{run}: no step is logged yet, so there is nothing to draw.", f"{run}: لا خطوة في السجل بعد.")
    figures = {
        "loss.png": loss_figure(log),
        "cells.png": cells_figure(log),
        "mix.png": mix_figure(log, read_plan(run)),
        "speed.png": speed_figure(log),
    }
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            scratch = run / f".{name}.partial"
            figure.savefig(scratch, dpi=_DPI, format="png")
            paths.append(scratch.replace(run / name))
    return paths


def read_plan(run: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Cells of ``plan.json`` by stage; empty where there is no plan."""
    try:
        stages = json.loads((run / "plan.json").read_bytes())["stages"]
        return {stage["stage"]: stage["cells"] for stage in stages if "cells" in stage}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def loss_figure(log: RunRows) -> Figure:
    """A panel for every stage: each step, the smoothed loss, validation."""
    stages = _stages(log.steps)
    figure = _figure(1.5 + 4.5 * len(stages), 3.8)
    for axes, (name, rows) in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages.items(), strict=True):
        points = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
        axes.plot(*_columns(points), color=_GREY, linewidth=0.6, alpha=0.6, label="step")
        window = _window(rows)
        smoothed = smooth((row["step"], row.get("loss"), row.get("supervised")) for row in rows)(window)
        axes.plot(*_columns(smoothed), color=_DARK, linewidth=1.8, label=f"mean of {window} steps")
        checked = [
            (row["step"], row["validation"]["loss"])
            for row in log.validations
            if row["stage_index"] == rows[0]["stage_index"] and row["validation"].get("loss") is not None
        ]
        if checked:
            axes.plot(*_columns(checked), "o", color="#009E73", markersize=5, label="validation")
        # A words stage counts by image and has no tokens.
        unit = "nats per supervised token" if any(row.get("tokens") for row in rows) else "nats per image"
        _dress(axes, title=name, x="optimiser step", y=f"loss ({unit})")
        _limit(axes, [value for _, value in [*smoothed, *checked]], [value for _, value in points])
        axes.legend(frameon=False, fontsize=8)
    return figure


def cells_figure(log: RunRows) -> Figure | None:
    """A panel for every modality and task with both languages, over all stages that know cells."""
    rows = [row for row in log.steps if row.get("cells")]
    tokens: dict[str, int] = {}
    for row in rows:
        for cell, (_, count) in row["cells"].items():
            tokens[_topic(cell)] = tokens.get(_topic(cell), 0) + count
    if not tokens:
        return None
    topics = sorted(sorted(tokens, key=lambda topic: -tokens[topic])[:_MOST_TOPICS])
    wide = min(4, len(topics))
    high = math.ceil(len(topics) / wide)
    figure = _figure(1 + 3.1 * wide, 1.0 + 2.3 * high)
    panels = list(figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True).flat)
    starts, total = _starts(rows), sum(tokens.values())
    drawn: list[float] = []
    for axes, topic in zip(panels, topics, strict=False):
        drawn += _draw_topic(axes, topic, rows, starts)
        _dress(axes, title=f"{topic}  ({tokens[topic] / total:.0%} of tokens)")
    for axes in panels[len(topics) :]:
        axes.set_visible(False)
    _limit(panels[0], drawn, drawn)
    figure.supxlabel("optimiser step over all stages (dashed: a new stage)", fontsize=9)
    figure.supylabel("loss (nats per supervised token)", fontsize=9)
    lines = {line.get_label(): line for axes in panels[: len(topics)] for line in axes.get_lines()}
    named = {name: lines[name] for name in _LANGUAGES.values() if name in lines}
    figure.legend(list(named.values()), list(named), loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def mix_figure(log: RunRows, plan: dict[str, dict[str, dict[str, float]]]) -> Figure | None:
    """Share of every cell in the supervised tokens of a stage: trained so far, and as planned."""
    stages = {name: rows for name, rows in _stages(log.steps).items() if any(row.get("cells") for row in rows)}
    if not stages:
        return None
    names = sorted({c for rows in stages.values() for r in rows for c in r.get("cells", {})} | _planned_cells(plan))
    # A topic's languages below one another, English first.
    names.sort(key=lambda name: (_topic(name), name.split("/")[0] != "en"))
    figure = _figure(2.4 + 4.2 * len(stages), 1.6 + 0.24 * len(names))
    for axes, (stage, rows) in zip(
        figure.subplots(1, len(stages), squeeze=False, sharey=True)[0], stages.items(), strict=True
    ):
        trained = _shares(names, _trained(rows))
        colours = [_COLOURS.get(name.split("/")[0], _GREY) for name in names]
        axes.barh(names, trained, color=colours, height=0.7)
        if stage in plan:
            planned = _shares(names, {name: cell["planned"] for name, cell in plan[stage].items()})
            axes.plot(planned, names, "|", color=_DARK, markersize=11, markeredgewidth=2, label="planned")
            axes.legend(frameon=False, fontsize=8, loc="lower right")
        done = "" if rows[-1]["step"] == rows[-1].get("steps") else f", {rows[-1]['step']} of {rows[-1].get('steps')} steps"
        arabic = sum(share for name, share in zip(names, trained, strict=True) if name.startswith("ar/"))
        _dress(axes, title=f"{stage}{done}: {arabic:.1f} % Arabic", x="share of supervised tokens (%), bar: trained")
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=8)
    return figure


def speed_figure(log: RunRows) -> Figure:
    """Tokens per second and memory over all steps."""
    figure = _figure(9, 5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    starts = _starts(log.steps)
    for key, label, colour in (("tokens", "tokens", _DARK), ("supervised", "supervised tokens", "#009E73")):
        for number, rows in enumerate(_stages(log.steps).values()):
            start = starts[rows[0]["stage_index"]]
            timed = [row for row in rows if row.get("seconds") and row.get(key)]
            points = smooth((start + r["step"], r[key] / r["seconds"], r["seconds"]) for r in timed)(_window(rows))
            upper.plot(*_columns(points), color=colour, linewidth=1.5, label=None if number else label)
    memory = [(starts[r["stage_index"]] + r["step"], r["memory_gb"]) for r in log.steps if r.get("memory_gb") is not None]
    lower.plot(*_columns(memory), color=_DARK, linewidth=1.5)
    for axes in (upper, lower):
        _mark_stages(axes, starts)
        axes.set_ylim(bottom=0)
    _dress(upper, y="per second of step")
    upper.legend(frameon=False, fontsize=8)
    _dress(lower, x="optimiser step over all stages (dashed: a new stage)", y="peak memory (GB)")
    return figure


def smooth(points: Iterable[tuple[int, float | None, float | None]]) -> Callable[[int], list[Point]]:
    """Weighted mean over the last ``window`` of (x, value, weight), asked as ``smooth(points)(window)``."""
    found = list(points)

    def over(window: int) -> list[Point]:
        last: deque[tuple[float | None, float | None]] = deque(maxlen=window)
        result = []
        for x, value, weight in found:
            last.append((value, weight))
            mean = weighted(last)
            if mean is not None:
                result.append((x, mean))
        return result

    return over


def _draw_topic(axes: Axes, topic: str, rows: list[Row], starts: dict[int, int]) -> list[float]:
    """Both languages of a topic; returns the values that were drawn."""
    drawn: list[float] = []
    for language, colour in _COLOURS.items():
        cell = f"{language}/{topic}"
        for number, (index, own) in enumerate(_by_index(row for row in rows if cell in row["cells"])):
            points = smooth((starts[index] + row["step"], *row["cells"][cell]) for row in own)(_window(own))
            axes.plot(
                *_columns(points), color=colour, linewidth=1.5, label=_LANGUAGES[language] if not number else "_"
            )
            drawn += [value for _, value in points]
    _mark_stages(axes, starts)
    return drawn


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    # Not pyplot: it would keep figures alive and choose a window system.
    return Figure(figsize=(width, height), layout="constrained")


def _dress(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _limit(axes: Axes, smoothed: list[float], every: list[float]) -> None:
    """Keep one wild step from squeezing the curve flat."""
    if smoothed:
        room = 0.08 * (max(smoothed) - min(smoothed)) or 0.1
        lowest, highest = sorted(every)[len(every) // 100], sorted(every)[-1 - len(every) // 100]
        axes.set_ylim(min([*smoothed, lowest]) - room, max([*smoothed, highest]) + room)


def _mark_stages(axes: Axes, starts: dict[int, int]) -> None:
    for _, start in list(starts.items())[1:]:
        axes.axvline(start, color=_GREY, linestyle="--", linewidth=0.8)


def _stages(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by stage in order; a name that occurs twice gets its number."""
    found: dict[str, list[Row]] = {}
    for index, own in _by_index(rows):
        name = str(own[0]["stage"])
        found[name if name not in found else f"{name} ({index + 1})"] = own
    return found


def _by_index(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["stage_index"], []).append(row)
    yield from found.items()


def _starts(rows: list[Row]) -> dict[int, int]:
    """Number of steps before each stage."""
    lengths = {row["stage_index"]: row["step"] for row in rows}
    starts = {index: 0 for index in lengths}
    for before, index in pairwise(lengths):
        starts[index] = starts[before] + lengths[before]
    return starts


def _window(rows: list[Row]) -> int:
    return max(1, min(100, len(rows) // 20))


def _topic(cell: str) -> str:
    return cell.partition("/")[2]


def _planned_cells(plan: dict[str, dict[str, dict[str, float]]]) -> set[str]:
    return {name for cells in plan.values() for name in cells}


def _trained(rows: list[Row]) -> dict[str, float]:
    tokens: dict[str, float] = {}
    for row in rows:
        for cell, (_, count) in row.get("cells", {}).items():
            tokens[cell] = tokens.get(cell, 0.0) + count
    return tokens


def _shares(names: list[str], tokens: dict[str, float]) -> list[float]:
    """Per cent of each name."""
    total = sum(tokens.values()) or 1.0
    return [100 * tokens.get(name, 0.0) / total for name in names]


def _columns(points: list[Any]) -> tuple[list[Any], list[Any]]:
    return [x for x, _ in points], [y for _, y in points]
