"""Parts of a screen that the live view and ``train status`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from .labels import Labels
from .smooth import by_topic, mean_gap


def duration(seconds: float | None) -> str:
    """``h:mm:ss``, which reads the same in both languages; a dash for ``None``."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def number(value: float | None, pattern: str = ".3f", unit: str = "") -> str:
    """A formatted number, or a dash for ``None``."""
    return "–" if value is None else format(value, pattern) + unit


def rates_text(rates: Mapping[str, float]) -> str:
    """``lora 2.0e-04 · projector 2.0e-05``."""
    return " · ".join(f"{part} {rate:.1e}" for part, rate in rates.items()) or "–"


def facts_table(facts: Sequence[tuple[str, str]], labels: Labels) -> Table:
    """Labels (by key) and values, a line each."""
    table = Table.grid(padding=(0, 2))
    for justify in ("right", "right") if labels.language == "ar" else ("left", "left"):
        table.add_column(justify=justify, overflow="fold")
    for key, value in facts:
        table.add_row(*labels.columns([labels(key), labels.text(value)]))
    return table


def cells_table(
    cells: Mapping[str, float], languages: Mapping[str, float], labels: Labels, most: int | None = None
) -> Table:
    """Loss by topic with both languages side by side.

    Args:
        cells: loss by cell.
        languages: loss by language over all cells.
        labels: words.
        most: rows to show; ``None`` shows all.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    keys = ("cell", "en", "ar", "gap")
    justify = labels.columns(["right" if labels.language == "ar" else "left", *["right"] * 3])
    for key, side in zip(labels.columns(list(keys)), justify, strict=True):
        table.add_column(labels(key), justify=side, no_wrap=True)  # type: ignore[arg-type]
    topics = by_topic(cells)
    shown = list(topics.items())[:most]
    for topic, row in shown:
        values = [number(row.get("en")), number(row.get("ar")), number(row.get("gap"), "+.3f")]
        table.add_row(*labels.columns([topic, *values]))
    if len(shown) < len(topics):
        table.add_row(*labels.columns([f"+ {len(topics) - len(shown)} {labels('more')}", "", "", ""]), style="dim")
    overall = [number(languages.get("en")), number(languages.get("ar")), ""]
    table.add_row(*labels.columns([labels("all"), *overall]), style="bold")
    # A row of its own: the languages have different mixes, so the difference of their means says little.
    if (gap := mean_gap(topics)) is not None:
        table.add_row(*labels.columns([labels("mean_gap"), "", "", f"{gap:+.3f}"]), style="bold")
    return table
