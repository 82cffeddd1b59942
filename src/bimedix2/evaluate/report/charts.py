"""Charts as SVG text. A browser sets the labels, so Arabic is shaped and ordered as everywhere else on the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

from bimedix2.text import direction_of

COLOURS = ("#0b6e99", "#c2571a", "#4f7a28", "#7a4fa3", "#8a6d00", "#a3335a", "#555d66")
_RINGS, _LABEL_ROOM = 4, 110
Anchor = Literal["start", "middle", "end"]
_MIRRORED: dict[Anchor, Anchor] = {"start": "end", "middle": "middle", "end": "start"}


class Series(NamedTuple):
    """One line of a radar chart: a name and a value per axis (``None`` is drawn at the centre)."""

    name: str
    values: Sequence[float | None]


class Bar(NamedTuple):
    """One bar, with its interval if there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def radar(axes: Sequence[str], series: Sequence[Series], top: float, *, size: int = 420) -> str:
    """A radar chart from 0 to ``top``.

    Args:
        axes: names, at least three, clockwise from the top.
        series: what to draw, the most important last.
        top: value of the outermost ring.
        size: width and height in pixels.

    Raises:
        ValueError: there are fewer than three axes.
    """
    if len(axes) < 3:
        raise ValueError("a radar chart needs three axes")
    middle, radius = size / 2, size / 2 - 40
    parts = [_open(size, size, ", ".join(axes), margin=_LABEL_ROOM)]
    for ring in range(1, _RINGS + 1):
        points = [_at(middle, radius * ring / _RINGS, index, len(axes)) for index in range(len(axes))]
        parts.append(f'<polygon class="ring" points="{_points(points)}"/>')
        label = f"{top * ring / _RINGS:g}"
        parts.append(
            f'<text class="tick" x="{middle + 3:.1f}" y="{middle - radius * ring / _RINGS + 11:.1f}">{label}</text>'
        )
    for index, axis in enumerate(axes):
        x, y = _at(middle, radius, index, len(axes))
        lx, ly = _at(middle, radius + 18, index, len(axes))
        anchor: Anchor = "middle" if abs(lx - middle) < 12 else "start" if lx > middle else "end"
        parts.append(f'<line class="ring" x1="{middle}" y1="{middle}" x2="{x:.1f}" y2="{y:.1f}"/>')
        parts.append(_label(axis, lx, ly + 4, anchor))
    for number, line in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            _at(middle, radius * min(max(value or 0.0, 0.0) / top, 1.0), index, len(axes))
            for index, value in enumerate(line.values)
        ]
        parts.append(
            f'<polygon points="{_points(points)}" fill="{colour}" fill-opacity=".08" stroke="{colour}" '
            f'stroke-width="2"><title>{escape(line.name)}</title></polygon>'
        )
    return "".join([*parts, "</svg>"])


def bars(items: Sequence[Bar], top: float, *, width: int = 520) -> str:
    """Horizontal bars from 0 to ``top`` with their intervals as whiskers; the first one stands out."""
    row, left, right = 26, 150, 60
    scale = (width - left - right) / top
    parts = [_open(width, row * len(items) + 6, ", ".join(item.name for item in items))]
    for number, item in enumerate(items):
        y = row * number + 4
        colour = COLOURS[0] if number == 0 else COLOURS[-1]
        length = max(item.value, 0.0) * scale
        parts.append(_label(item.name, left - 8, y + 14, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="18" fill="{colour}"/>')
        if item.low is not None and item.high is not None:
            low, high = (left + max(value, 0.0) * scale for value in (item.low, item.high))
            parts.append(
                f'<path class="whisker" d="M{low:.1f} {y + 9}H{high:.1f}M{low:.1f} {y + 5}v8M{high:.1f} {y + 5}v8"/>'
            )
        end = max(length, ((item.high or 0.0) * scale)) + left + 6
        parts.append(f'<text class="tick" x="{end:.1f}" y="{y + 14}">{item.value:.3f}</text>')
    return "".join([*parts, "</svg>"])


def _open(width: float, height: float, label: str, *, margin: float = 0) -> str:
    # The charts run left to right in both languages: the direction of a scale is no text.
    return (
        f'<svg role="img" aria-label="{escape(label)}" direction="ltr" '
        f'viewBox="{-margin:g} 0 {width + 2 * margin:g} {height:g}" '
        f'width="{width + 2 * margin:g}" height="{height:g}" xmlns="http://www.w3.org/2000/svg">'
    )


def _label(text: str, x: float, y: float, anchor: Anchor) -> str:
    """A text with its own direction; in a right-to-left text "start" is its right side."""
    direction = direction_of(text)
    if direction == "rtl":
        anchor = _MIRRORED[anchor]
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" direction="{direction}"'
    return f'<text class="axis" {place}>{escape(text)}</text>'


def _at(middle: float, radius: float, index: int, count: int) -> tuple[float, float]:
    angle = 2 * math.pi * index / count - math.pi / 2
    return middle + radius * math.cos(angle), middle + radius * math.sin(angle)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
