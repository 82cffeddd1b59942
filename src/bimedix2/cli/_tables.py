"""Results of an evaluation as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def cell(metric: Mapping[str, Any] | None) -> str:
    """``.512 [.470, .551]``, or a dash where there is no value."""
    if metric is None or metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def results_table(results: Mapping[str, Any]) -> Table:
    """The headline figure of every row with its interval, and what did not parse."""
    title = f"{results['model']}{' (partial)' if results['partial'] else ''}"
    table = Table(title=title, box=None, title_justify="left")
    for name in ("task", "lang", "split", "mode", "answerer", "figure", "value [95 % interval]", "n"):
        table.add_column(name)
    for name in ("unparsed", "refused", "errors"):
        table.add_column(name, justify="right")
    for row in results["rows"]:
        table.add_row(
            row["task"],
            row["language"],
            row["split"],
            row["mode"],
            row["condition"],
            row["headline"],
            cell(row["metrics"].get(row["headline"])),
            str(row["n"]),
            str(row["unparsed"]),
            str(row["refused"]),
            str(row["errors"]),
        )
    return table


def metrics_table(title: str, summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Metrics (rows) by column name, such as a language."""
    table = Table(title=title, box=None, title_justify="left")
    table.add_column("metric")
    for name in summaries:
        table.add_column(name)
    metrics = dict.fromkeys(metric for summary in summaries.values() for metric in summary)
    for metric in metrics:
        table.add_row(metric, *(cell(summary.get(metric)) for summary in summaries.values()))
    return table


def comparison_table(rows: list[dict[str, Any]]) -> Table:
    """Paired differences with their p-values."""
    table = Table(box=None)
    for name in ("task", "lang", "mode", "metric", "A", "B", "B − A [95 % interval]", "p", "p (Holm)", "n"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["task"],
            row["language"],
            row["mode"],
            row["metric"],
            f"{row['a_value']:.3f}",
            f"{row['b_value']:.3f}",
            f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
            f"{row['p']:.4f}",
            f"{row['p_holm']:.4f}",
            str(row["n"]),
        )
    return table
