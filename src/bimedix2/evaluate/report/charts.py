"""Charts as SVG text. A browser sets the labels, so Arabic is shaped and ordered as everywhere else on the page.

Colours are classes (``s0`` … ``s6``, ``own``) whose values the page's style sheet has for light and dark grounds.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

from bimedix2.text import direction_of, strip_bidi_controls

COLOURS = 7
_RINGS, _LETTER, _LABEL_LINE, _NAME = 4, 7.6, 14, 34
_ROW, _BAR, _TOP, _VALUE = 26, 18, 4, 64
Anchor = Literal["start", "middle", "end"]
_MIRRORED: dict[Anchor, Anchor] = {"start": "end", "middle": "middle", "end": "start"}
Point = tuple[float, float]


class Series(NamedTuple):
    """One line of a radar chart: a name, a value per axis (``None`` leaves a gap), and whether it is ours."""

    name: str
    values: Sequence[float | None]
    own: bool = False


class Bar(NamedTuple):
    """One bar or dot, with its interval if there is one; ``own`` makes it stand out."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    own: bool = False


def radar(axes: Sequence[str], series: Sequence[Series], top: float, *, size: int = 340) -> str:
    """A radar chart from 0 to ``top``; a missing value leaves its line open instead of dropping to 0.

    Args:
        axes: names, at least three, clockwise from the top.
        series: what to draw, the most important last.
        top: value of the outermost ring.
        size: width and height in pixels, without the labels at the sides.

    Raises:
        ValueError: there are fewer than three axes.
    """
    if len(axes) < 3:
        raise ValueError("a radar chart needs three axes")
    middle, radius = size / 2, size / 2 - 40
    labels = [_lines(axis) for axis in axes]
    margin = max(0.0, max(len(line) for label in labels for line in label) * _LETTER - 16)
    what = "; ".join(f"{line.name}: {_listed(axes, line.values)}" for line in series)
    parts = [_open(size, size, what, margin=margin)]
    for ring in range(1, _RINGS + 1):
        points = [_at(middle, radius * ring / _RINGS, index, len(axes)) for index in range(len(axes))]
        parts.append(f'<polygon class="ring" points="{_points(points)}"/>')
        y = middle - radius * ring / _RINGS + 11
        parts.append(f'<text class="tick" x="{middle + 3:.1f}" y="{y:.1f}">{top * ring / _RINGS:g}</text>')
    for index, label in enumerate(labels):
        x, y = _at(middle, radius, index, len(axes))
        parts.append(f'<line class="ring" x1="{middle:g}" y1="{middle:g}" x2="{x:.1f}" y2="{y:.1f}"/>')
        parts.append(_axis_label(label, middle, radius + 16, index, len(axes)))
    for number, line in enumerate(series):
        found = [
            None if value is None else _at(middle, radius * min(max(value, 0.0) / top, 1.0), index, len(axes))
            for index, value in enumerate(line.values)
        ]
        parts.append(_radar_line(axes, line, found, number))
    return "".join([*parts, "</svg>"])


def _radar_line(axes: Sequence[str], line: Series, points: Sequence[Point | None], number: int) -> str:
    """The line with a dot at every value. Every second line is dashed: colour alone tells nobody enough."""
    style = "own" if line.own else f"s{number % COLOURS}" + (" dashed" if number % 2 else "")
    known = [point for point in points if point is not None]
    if len(known) == len(points):
        shape = f'<polygon class="line" points="{_points(known)}"/>'
    else:
        pairs = zip(points, [*points[1:], points[0]], strict=True)
        path = "".join(f"M{_points([a])}L{_points([b])}" for a, b in pairs if a is not None and b is not None)
        shape = f'<path class="line" d="{path}"/>' if path else ""
    dots = "".join(
        f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3"><title>{_safe(line.name)}, {_safe(axis)}: '
        f"{value:.4g}</title></circle>"
        for axis, point, value in zip(axes, points, line.values, strict=True)
        if point is not None
    )
    return f'<g class="{style}">{shape}{dots}</g>'


def bars(items: Sequence[Bar], top: float, *, digits: int = 3, width: int = 460) -> str:
    """Horizontal bars from 0 to ``top`` with their intervals as whiskers."""
    left = _name_room(items)
    scale = (width - left - _VALUE) / top
    parts = [_open(width, _ROW * len(items) + 6, _told(items, digits))]
    for number, item in enumerate(items):
        y = _ROW * number + _TOP
        length = max(item.value, 0.0) * scale
        parts.append(_label(item.name, left - 8, y + 14, "end"))
        kind = "bar own" if item.own else "bar"
        parts.append(f'<rect class="{kind}" x="{left:g}" y="{y}" width="{length:.1f}" height="{_BAR}"/>')
        end = left + length
        if item.low is not None and item.high is not None:
            low, high = (left + max(value, 0.0) * scale for value in (item.low, item.high))
            parts.append(_whisker(low, high, y + 9))
            end = max(end, high)
        parts.append(f'<text class="tick" x="{end + 6:.1f}" y="{y + 14}">{item.value:.{digits}f}</text>')
    return "".join([*parts, "</svg>"])


def differences(items: Sequence[Bar], *, width: int = 460) -> str:
    """Dots left and right of a line at 0, with their intervals: what lies across the line may be chance."""
    left = _name_room(items)
    reach = max([0.01, *(abs(value) for item in items for value in (item.value, item.low, item.high) if value)])
    middle, scale = left + (width - left - _VALUE) / 2, (width - left - _VALUE) / 2 / reach
    height = _ROW * len(items) + 24
    parts = [_open(width, height, _told(items, 3, sign="+"))]
    parts.append(f'<line class="zero" x1="{middle:.1f}" y1="0" x2="{middle:.1f}" y2="{height - 18}"/>')
    for value in (-reach, 0.0, reach):
        x, label = middle + value * scale, f"{value:+.2f}" if value else "0"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 4}" text-anchor="middle">{label}</text>')
    for number, item in enumerate(items):
        y = _ROW * number + _TOP + 9
        parts.append(_label(item.name, left - 8, y + 5, "end"))
        if item.low is not None and item.high is not None:
            parts.append(_whisker(middle + item.low * scale, middle + item.high * scale, y))
        parts.append(f'<circle class="dot" cx="{middle + item.value * scale:.1f}" cy="{y}" r="5"/>')
        parts.append(f'<text class="tick" x="{width - _VALUE + 8}" y="{y + 5}">{item.value:+.3f}</text>')
    return "".join([*parts, "</svg>"])


def _whisker(low: float, high: float, y: float) -> str:
    return f'<path class="whisker" d="M{low:.1f} {y}H{high:.1f}M{low:.1f} {y - 4}v8M{high:.1f} {y - 4}v8"/>'


def _name_room(items: Sequence[Bar]) -> float:
    return 16 + _LETTER * min(_NAME, max(len(item.name) for item in items))


def _told(items: Sequence[Bar], digits: int, sign: str = "") -> str:
    """What a chart shows, for those who do not see it."""
    told = []
    for item in items:
        interval = "" if item.low is None else f" [{item.low:{sign}.{digits}f}, {item.high:{sign}.{digits}f}]"
        told.append(f"{item.name} {item.value:{sign}.{digits}f}{interval}")
    return "; ".join(told)


def _listed(axes: Sequence[str], values: Sequence[float | None]) -> str:
    return ", ".join(f"{axis} {value:.4g}" for axis, value in zip(axes, values, strict=True) if value is not None)


def _open(width: float, height: float, label: str, *, margin: float = 0) -> str:
    # The charts run left to right in both languages: the direction of a scale is no text.
    return (
        f'<svg role="img" aria-label="{_safe(label)}" direction="ltr" '
        f'viewBox="{-margin:g} 0 {width + 2 * margin:g} {height:g}" '
        f'width="{width + 2 * margin:g}" height="{height:g}" xmlns="http://www.w3.org/2000/svg">'
    )


def _lines(axis: str) -> list[str]:
    return textwrap.wrap(strip_bidi_controls(axis), _LABEL_LINE) or [axis]


def _axis_label(lines: Sequence[str], middle: float, radius: float, index: int, count: int) -> str:
    """The name of an axis outside its end; the lines grow away from the chart."""
    x, y = _at(middle, radius, index, count)
    side: Anchor = "middle" if abs(x - middle) < 12 else "start" if x > middle else "end"
    first = y + 4 - 14 * (len(lines) - 1) * (1 if y < middle - 1 else 0.5 if y < middle + radius / 2 else 0)
    return "".join(_label(line, x, first + 14 * place, side) for place, line in enumerate(lines))


def _label(text: str, x: float, y: float, anchor: Anchor) -> str:
    """A text with its own direction; in a right-to-left text "start" is its right side."""
    direction = direction_of(text)
    if direction == "rtl":
        anchor = _MIRRORED[anchor]
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" direction="{direction}"'
    short = text if len(text) <= _NAME else text[: _NAME - 1] + "…"
    return f'<text class="axis" {place}>{_safe(short)}</text>'


def _safe(text: str) -> str:
    return escape(strip_bidi_controls(text))


def _at(middle: float, radius: float, index: int, count: int) -> Point:
    angle = 2 * math.pi * index / count - math.pi / 2
    return middle + radius * math.cos(angle), middle + radius * math.sin(angle)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
