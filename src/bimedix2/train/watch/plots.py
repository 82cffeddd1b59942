"""Pictures of a run: loss, cells, mix, speed. Names of cells and stages are the only words from the data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import BiMediX2Error, ConfigError
from bimedix2.train.progress import Tell

from .curves import Point, by_index, by_stage, shares, smooth, stage_starts, topic_of, trained_tokens, window_of
from .lines import Row
from .log import RunRows, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS = {"en": "#0072B2", "ar": "#D55E00"}
_LANGUAGES = {"en": "English", "ar": "Arabic"}
_GREY, _DARK = "#9a9a9a", "#222222"
_MOST_TOPICS = 12
_DPI = 110
_FEW = 10


def save_plots(run: Path, say: Tell) -> list[Path]:
    """Draw what the run's files allow; what keeps a picture from being drawn is said and ends nothing.

    Returns:
        The pictures' paths.
    """
    try:
        return draw_plots(run)
    except BiMediX2Error as error:
        say(error.message, error.message_ar)
    except OSError as error:
        say(f"the plots could not be written: {error}", f"تعذرت كتابة الرسوم: {error}")
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
        raise ConfigError(
            f"{run}: no step is logged yet, so there is nothing to draw.", f"{run}: لا خطوة في السجل بعد."
        )
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
    stages = by_stage(log.steps)
    figure = _figure(1.5 + 4.5 * len(stages), 3.8)
    for axes, (name, rows) in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages.items(), strict=True):
        points = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
        window = window_of(rows)
        smoothed = smooth(((row["step"], row.get("loss"), row.get("supervised")) for row in rows), window)
        if window > 1:
            _line(axes, points, color=_GREY, linewidth=0.6, alpha=0.6, label="step")
        label = f"mean of {window} steps" if window > 1 else "step"
        _line(axes, smoothed, color=_DARK, linewidth=1.8, label=label)
        checked = [
            (row["step"], row["validation"]["loss"])
            for row in log.validations
            if row["stage_index"] == rows[0]["stage_index"] and row["validation"].get("loss") is not None
        ]
        if checked:
            axes.plot(*zip(*checked, strict=True), "o", color="#009E73", markersize=5, label="validation")
        # A words stage counts by image and has no tokens.
        unit = "nats per supervised token" if any(row.get("tokens") for row in rows) else "nats per image"
        _dress(axes, title=name, x="optimiser step", y=f"loss ({unit})")
        _limit(axes, [value for _, value in [*smoothed, *checked]], [value for _, value in points])
        axes.legend(frameon=False, fontsize=8)
    return figure


def cells_figure(log: RunRows) -> Figure | None:
    """A panel for every modality and task with both languages, over all stages that know cells."""
    rows = [row for row in log.steps if row.get("cells")]
    tokens: dict[str, float] = {}
    for cell, count in trained_tokens(rows).items():
        tokens[topic_of(cell)] = tokens.get(topic_of(cell), 0.0) + count
    if not tokens:
        return None
    topics = sorted(sorted(tokens, key=lambda topic: -tokens[topic])[:_MOST_TOPICS])
    wide = min(4, len(topics))
    high = math.ceil(len(topics) / wide)
    figure = _figure(1 + 3.1 * wide, 1.0 + 2.3 * high)
    panels = list(figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True).flat)
    starts, total = stage_starts(rows), sum(tokens.values())
    drawn: list[float] = []
    for axes, topic in zip(panels, topics, strict=False):
        drawn += _draw_topic(axes, topic, rows, starts)
        _dress(axes, title=f"{topic}  ({tokens[topic] / total:.0%} of tokens)")
    for number in range(len(topics), len(panels)):
        panels[number].set_visible(False)
        panels[number - wide].tick_params(labelbottom=True)
    _limit(panels[0], drawn, drawn)
    figure.supxlabel("optimiser step over all stages (dashed: a new stage)", fontsize=9)
    figure.supylabel("loss (nats per supervised token)", fontsize=9)
    lines = {line.get_label(): line for axes in panels[: len(topics)] for line in axes.get_lines()}
    named = {name: lines[name] for name in _LANGUAGES.values() if name in lines}
    figure.legend(list(named.values()), list(named), loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def mix_figure(log: RunRows, plan: dict[str, dict[str, dict[str, float]]]) -> Figure | None:
    """Share of every cell in the supervised tokens of a stage: trained so far, and as planned."""
    stages = {name: rows for name, rows in by_stage(log.steps).items() if any(row.get("cells") for row in rows)}
    if not stages:
        return None
    names = sorted(
        {c for rows in stages.values() for r in rows for c in r.get("cells", {})}
        | {name for cells in plan.values() for name in cells}
    )
    # A topic's languages below one another, English first.
    names.sort(key=lambda name: (topic_of(name), name.split("/")[0] != "en"))
    figure = _figure(2.4 + 4.2 * len(stages), 1.6 + 0.24 * len(names))
    for axes, (stage, rows) in zip(
        figure.subplots(1, len(stages), squeeze=False, sharey=True)[0], stages.items(), strict=True
    ):
        trained = shares(names, trained_tokens(rows))
        colours = [_COLOURS.get(name.split("/")[0], _GREY) for name in names]
        axes.barh(names, trained, color=colours, height=0.7)
        if stage in plan:
            planned = shares(names, {name: cell["planned"] for name, cell in plan[stage].items()})
            axes.plot(planned, names, "|", color=_DARK, markersize=11, markeredgewidth=2, label="planned")
            axes.legend(frameon=False, fontsize=8, loc="lower right")
        done = (
            ""
            if rows[-1]["step"] == rows[-1].get("steps")
            else f", {rows[-1]['step']} of {rows[-1].get('steps')} steps"
        )
        arabic = sum(share for name, share in zip(names, trained, strict=True) if name.startswith("ar/"))
        _dress(axes, title=f"{stage}{done}: {arabic:.1f} % Arabic", x="share of supervised tokens (%), bar: trained")
        axes.grid(visible=False, axis="y")
    figure.axes[0].invert_yaxis()  # shared: once for all panels
    return figure


def speed_figure(log: RunRows) -> Figure:
    """Tokens per second and memory over all steps."""
    figure = _figure(9, 5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    starts = stage_starts(log.steps)
    for key, label, colour in (("tokens", "tokens", _DARK), ("supervised", "supervised tokens", "#009E73")):
        timed = by_index(row for row in log.steps if row.get("seconds") and row.get("tokens"))
        for number, (index, rows) in enumerate(timed.items()):
            found = ((starts[index] + row["step"], row[key] / row["seconds"], row["seconds"]) for row in rows)
            points = smooth(found, window_of(rows))
            _line(upper, points, color=colour, linewidth=1.5, label="_" if number else label)
    memory = [
        (starts[r["stage_index"]] + r["step"], r["memory_gb"]) for r in log.steps if r.get("memory_gb") is not None
    ]
    _line(lower, memory, color=_DARK, linewidth=1.5)
    for axes in (upper, lower):
        _mark_stages(axes, starts)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    _dress(upper, y="per second of step")
    if upper.get_legend_handles_labels()[0]:
        upper.legend(frameon=False, fontsize=8)
    _dress(lower, x="optimiser step over all stages (dashed: a new stage)", y="peak memory (GB)")
    return figure


def _draw_topic(axes: Axes, topic: str, rows: list[Row], starts: dict[int, int]) -> list[float]:
    """Both languages of a topic; returns the values that were drawn."""
    drawn: list[float] = []
    for language, colour in _COLOURS.items():
        cell = f"{language}/{topic}"
        own_rows = by_index(row for row in rows if cell in row["cells"])
        for number, (index, own) in enumerate(own_rows.items()):
            points = smooth(((starts[index] + row["step"], *row["cells"][cell]) for row in own), window_of(own))
            _line(axes, points, color=colour, linewidth=1.5, label=_LANGUAGES[language] if not number else "_")
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


def _line(axes: Axes, points: list[Point], **style: Any) -> None:
    """A line; a curve of a few points shows them, for one alone would be invisible."""
    axes.plot([x for x, _ in points], [y for _, y in points], marker="." if len(points) < _FEW else None, **style)
