"""What a report says, as plain data: the HTML page and the Markdown file are two ways to print it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bimedix2.evaluate.controls import CONDITIONS, MODEL
from bimedix2.evaluate.registry import all_families, all_tasks
from bimedix2.records.schema import Language
from bimedix2.text import isolate_ltr

from .charts import COLOURS, Bar, Series, bars, radar
from .published import Bilingual, PublishedRow, Table, own_row, published
from .strings import TEXTS

Row = Mapping[str, Any]
LANGUAGES: tuple[Language, ...] = ("en", "ar")
_COPIED = ("task", "language", "split", "mode", "n", "unparsed", "refused", "errors")
_MEAN: Bilingual = {"en": "Mean", "ar": "المتوسط"}
_RADAR_MODELS = ("LLaVA-Med", "BiMediX2 8B", "BiMediX2 8B(-Bi)")


def text(key: str) -> Bilingual:
    """A fixed text in both languages."""
    english, arabic = TEXTS[key]
    return {"en": english, "ar": arabic}


def task_title(name: str) -> Bilingual:
    """Title of a task; its name where it is no longer known."""
    task = all_tasks().get(name)
    title = task.title if task else {}
    return {"en": title.get("en", name), "ar": title.get("ar", name)}


def metric_title(family: str, name: str) -> Bilingual:
    """Title of a metric or composite."""
    known = all_families().get(family)
    found = known.metrics.get(name) if known else None
    if found is not None:
        return {"en": found["en"], "ar": found["ar"]}
    return _MEAN if name == "mean" else {"en": name, "ar": name}


def cell(metric: Row | None) -> str:
    """``.512 [.470, .551]``, or a dash where there is no value."""
    if metric is None or metric.get("value") is None:
        return "–"
    if metric.get("low") is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def overview(results: Row) -> tuple[list[str], list[dict[str, Any]]]:
    """Conditions that occur, and one line per task, language and mode."""
    used = {row["condition"] for row in results["rows"]}
    conditions = [condition for condition in CONDITIONS if condition in used]
    lines = []
    for own, by_condition in _grouped(results):
        headline = own["headline"]
        lines.append(
            {
                **{
                    key: own[key] for key in ("task", "language", "split", "mode", "n", "unparsed", "refused", "errors")
                },
                "title": task_title(own["task"]),
                "metric": metric_title(own["family"], headline),
                "cells": {c: cell(_metric(by_condition.get(c), headline)) for c in conditions},
            }
        )
    return conditions, lines


def _grouped(results: Row) -> Iterator[tuple[Row, dict[str, Row]]]:
    """(a row that stands for them, condition -> row) of each task, language and mode."""
    keys = dict.fromkeys((row["task"], row["language"], row["mode"]) for row in results["rows"])
    for key in keys:
        rows = [row for row in results["rows"] if (row["task"], row["language"], row["mode"]) == key]
        by_condition = {row["condition"]: row for row in rows}
        yield by_condition.get(MODEL, rows[0]), by_condition


def _metric(row: Row | None, name: str) -> Row | None:
    return row["metrics"].get(name) if row else None


def details(results: Row) -> list[dict[str, Any]]:
    """Every metric of every task, by condition, with categories and what is not available."""
    parts = []
    for own, by_condition in _grouped(results):
        conditions = [condition for condition in CONDITIONS if condition in by_condition]
        lacking = own.get("unavailable", {})
        lines = [
            {
                "metric": metric_title(own["family"], name),
                "cells": [cell(_metric(by_condition[c], name)) for c in conditions],
            }
            for name in own["metrics"]
        ]
        lines += [
            {"metric": metric_title(own["family"], name), "cells": ["–"] * len(conditions)}
            for name in lacking
            if name not in own["metrics"]
        ]
        parts.append(
            {
                "title": task_title(own["task"]),
                "language": own["language"],
                "mode": own["mode"],
                "conditions": conditions,
                "headline": metric_title(own["family"], own["headline"]),
                "lines": lines,
                "unavailable": [
                    {"metric": metric_title(own["family"], name), "reason": reason} for name, reason in lacking.items()
                ],
                "groups": [
                    {"name": name, "n": part["n"], "cell": cell(part["metrics"].get(own["headline"]))}
                    for name, part in own["by_group"].items()
                ],
            }
        )
    return parts


def comparisons(results: Row) -> list[dict[str, Any]]:
    """Paired differences of the headline figures."""
    headlines = {row["task"]: (row["headline"], row["family"]) for row in results["rows"]}
    lines = []
    for row in results["comparisons"]:
        headline, family = headlines[row["task"]]
        if row["metric"] != headline:
            continue
        names = {"en": "english", "ar": "arabic"}
        lines.append(
            {
                "title": task_title(row["task"]),
                "language": row.get("language", ""),
                "mode": row["mode"],
                "metric": metric_title(family, headline),
                "a": names.get(row["a"], row["a"]),
                "b": names.get(row["b"], row["b"]),
                "cell": f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]",
                "p": f"{row['p']:.4f}",
                "n": row["n"],
            }
        )
    return lines


def paper_tables(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """Published tables with a row for each run that has figures for them."""
    content = published()
    tables = []
    for table in content.tables:
        own = [row for results in runs if (row := own_row(table, results)) is not None]
        rows = [*((row, False) for row in table.rows), *((row, True) for row in own)]
        digits = 1 if table.scale == 100 else 3
        tables.append(
            {
                "id": table.id,
                "title": table.title,
                "note": table.note,
                "mode": table.mode,
                "source": content.sources[table.source],
                "columns": [column.title for column in table.columns],
                "has_average": any(row.average is not None for row in table.rows),
                "own": bool(own),
                "rows": [_printed(row, is_own, digits) for row, is_own in rows],
            }
        )
    return tables


def _printed(row: PublishedRow, own: bool, digits: int) -> dict[str, Any]:
    values = ["" if value is None else f"{value:.{digits}f}" for value in row.values]
    average = "" if row.average is None else f"{row.average:.{digits}f}"
    return {"model": row.model, "own": own, "cells": values, "average": average}


def left_out(results: Row) -> list[dict[str, Any]]:
    """Data sets that were skipped and bad rows, paths kept in their own order in Arabic."""
    lines = []
    for item in results.get("skipped", []):
        lines.append({**item, "reason": {"en": item["reason"]["en"], "ar": isolate_ltr(item["reason"]["ar"], "rtl")}})
    for item in results.get("bad_rows", []):
        reason = {language: f"{item['n']} {text('bad_rows')[language]}: {item['first'][0]}" for language in LANGUAGES}
        lines.append({**item, "reason": {"en": reason["en"], "ar": isolate_ltr(reason["ar"], "rtl")}})
    return lines


def bar_charts(results: Row) -> list[dict[str, Any]]:
    """One chart a task and language in the first mode: the model beside its controls."""
    charts = []
    seen: set[tuple[str, str]] = set()
    for own, by_condition in _grouped(results):
        if (own["task"], own["language"]) in seen:
            continue
        seen.add((own["task"], own["language"]))
        values = {c: _metric(by_condition.get(c), own["headline"]) for c in CONDITIONS}
        known = {c: value for c, value in values.items() if value and value["value"] is not None}
        if not known:
            continue
        top = max(1.0, *(float(value["high"] or value["value"]) for value in known.values()))
        charts.append(
            {
                "title": task_title(own["task"]),
                "metric": metric_title(own["family"], own["headline"]),
                "language": own["language"],
                "mode": own["mode"],
                "svg": {
                    language: bars(
                        [Bar(text(c)[language], v["value"], v["low"], v["high"]) for c, v in known.items()], top
                    )
                    for language in LANGUAGES
                },
            }
        )
    return charts


def radar_charts(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """The first figure of the paper with ours, and every task's headline in both languages."""
    charts = [_mbench_radar(runs)]
    own = _headline_radar(runs[0])
    return [own, *charts] if own else charts


def _headline_radar(results: Row) -> dict[str, Any] | None:
    values: dict[str, dict[str, float]] = {}
    for own, by_condition in _grouped(results):
        metric = _metric(by_condition.get(MODEL), own["headline"])
        if metric and metric["value"] is not None and 0 <= metric["value"] <= 1:
            values.setdefault(own["task"], {}).setdefault(own["language"], metric["value"])
    if len(values) < 3:
        return None
    lines = [
        (text(name), Series(name, [by.get(language) for by in values.values()]))
        for language, name in (("en", "english"), ("ar", "arabic"))
    ]
    return _radar("radar", [task_title(task) for task in values], lines, 1.0)


def _mbench_radar(runs: Sequence[Row]) -> dict[str, Any]:
    """BiMed-MBench by category: the paper's strongest rows in both languages and, where there are any, ours."""
    lines: list[tuple[Bilingual, Series]] = []
    tables = [table for table in published().tables if table.family == "judged"]
    for table in tables:
        name = text("english" if table.language == "en" else "arabic")
        rows = [row for row in table.rows if row.model in _RADAR_MODELS]
        rows += [row for results in runs if (row := own_row(table, results)) is not None]
        for row in rows:
            both: Bilingual = {language: f"{row.model}, {name[language]}" for language in LANGUAGES}
            lines.append((both, Series(row.model, row.values)))
    return _radar("radar_mbench", [column.title for column in tables[0].columns], lines, _top(tables, lines))


def _top(tables: Sequence[Table], lines: Sequence[tuple[Bilingual, Series]]) -> float:
    highest = max(value or 0.0 for _, line in lines for value in line.values)
    return 20.0 * -(-highest // 20.0) if tables else 100.0


def _radar(
    title: str, axes: Sequence[Bilingual], lines: Sequence[tuple[Bilingual, Series]], top: float
) -> dict[str, Any]:
    return {
        "title": title,
        "legend": [{"name": name, "colour": COLOURS[i % len(COLOURS)]} for i, (name, _) in enumerate(lines)],
        "svg": {
            language: radar([axis[language] for axis in axes], [line for _, line in lines], top)
            for language in LANGUAGES
        },
    }
