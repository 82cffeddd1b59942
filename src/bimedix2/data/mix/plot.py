"""A picture of a mix: bars a cell of what was there, planned and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .settings import CellCounts, Tell

# Okabe and Ito's palette: told apart by colour-blind readers too.
_COLOURS = {"there": "#BBBBBB", "planned": "#E69F00", "mixed": "#0072B2"}
_LABELS = {"there": "there", "planned": "planned", "mixed": "mixed"}
_MOST = 60


def draw_mix(cells: Sequence[CellCounts], counted_by: str, path: Path, tell: Tell) -> bool:
    """Draw the cells into ``.png``, ``.svg`` or ``.pdf``; without matplotlib tell so and return False."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        tell(
            f"{path} was not drawn: matplotlib is not installed. Run: pip install matplotlib",
            f"لم يرسم {path} لأن matplotlib غير مثبت. شغل: pip install matplotlib",
        )
        return False
    shown = sorted(cells, key=lambda cell: (-cell.available_size, cell.cell))[:_MOST]
    figure = Figure(figsize=(9, 1.4 + 0.42 * len(shown)), layout="constrained")
    axes: Any = figure.subplots()
    for place, name in enumerate(_COLOURS):
        values = [_value(cell, name) for cell in shown]
        rows = [row + (place - 1) * 0.27 for row in range(len(shown))]
        axes.barh(rows, values, height=0.25, color=_COLOURS[name], label=_LABELS[name])
    axes.set_yticks(range(len(shown)), [cell.cell for cell in shown])
    axes.invert_yaxis()
    axes.set_xlabel(counted_by)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}.partial{path.suffix}")
    figure.savefig(scratch, dpi=110)
    scratch.replace(path)
    return True


def _value(cell: CellCounts, name: str) -> float:
    return {"there": cell.available_size, "planned": cell.planned_size, "mixed": cell.size}[name]
