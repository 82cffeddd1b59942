"""The charts of a report: the run's own, and the figures of the paper with ours among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bimedix2.evaluate.controls import CONDITIONS, MODEL

from .charts import COLOURS, Bar, Series, bars, differences, radar
from .content import LANGUAGES, Row, grouped, metric_of, metric_title, task_title, text
from .published import Bilingual, OwnRow, Table, mean_of, own_rows, published
from .tables import own_name

Chart = dict[str, Any]
"""``title`` (both languages), ``svg`` (by language of the page), and perhaps ``note`` and ``legend``."""


def run_charts(results: Row) -> list[Chart]:
    """Headline figures of all tasks, the language gap, and each task beside its controls."""
    found = [_headline_radar(results), _language_gap(results)]
    return [chart for chart in found if chart is not None] + _task_bars(results)


def published_charts(runs: Sequence[Row]) -> list[Chart]:
    """Figure 1 of the paper in both languages; figures 3 and 4 where a run has figures for them."""
    tables = published()
    charts = [_mbench_radar(tables.table(name), runs) for name in ("3", "4")]
    charts += [chart for name in ("2", "figure-4") if (chart := _published_bars(tables.table(name), runs)) is not None]
    return charts


def _headline_radar(results: Row) -> Chart | None:
    values: dict[str, dict[str, float]] = {}
    for own, by_condition in grouped(results):
        metric = metric_of(by_condition.get(MODEL), own["headline"])
        if metric and metric["value"] is not None and 0 <= metric["value"] <= 1:
            values.setdefault(own["task"], {}).setdefault(own["language"], metric["value"])
    if len(values) < 3:
        return None
    lines = [
        (text(name), Series(name, [by.get(language) for by in values.values()]))
        for language, name in (("en", "english"), ("ar", "arabic"))
    ]
    drawn = [(name, line) for name, line in lines if any(value is not None for value in line.values)]
    return _radar(text("radar"), [task_title(task) for task in values], drawn, 1.0)


def _language_gap(results: Row) -> Chart | None:
    """Arabic minus English of every headline figure, in the first mode of each task."""
    headlines = {row["task"]: row["headline"] for row in results["rows"]}
    rows: dict[str, Row] = {}
    for row in results["comparisons"]:
        if row["kind"] == "language" and row["metric"] == headlines[row["task"]]:
            rows.setdefault(row["task"], row)
    if not rows:
        return None
    return {
        "title": text("language_gap"),
        "note": text("language_gap_chart"),
        "svg": {
            language: differences(
                [
                    Bar(task_title(task)[language], row["difference"], row["low"], row["high"])
                    for task, row in rows.items()
                ]
            )
            for language in LANGUAGES
        },
    }


def _task_bars(results: Row) -> list[Chart]:
    """One chart a task and language in the first mode: the model beside its controls."""
    charts: dict[tuple[str, str], Chart] = {}
    for own, by_condition in grouped(results):
        key = own["task"], own["language"]
        values = {c: metric_of(by_condition.get(c), own["headline"]) for c in CONDITIONS}
        known = {c: value for c, value in values.items() if value and value["value"] is not None}
        if key in charts or not known:
            continue
        top = max(1.0, *(float(value["high"] or value["value"]) for value in known.values()))
        parts = task_title(own["task"]), text("arabic" if own["language"] == "ar" else "english")
        title = joined(*parts, metric_title(own["family"], own["headline"]), {"en": own["mode"], "ar": own["mode"]})
        charts[key] = {"title": title, "svg": {language: _control_bars(known, top, language) for language in LANGUAGES}}
    return list(charts.values())


def _control_bars(values: Mapping[str, Row], top: float, language: Any) -> str:
    return bars([Bar(text(c)[language], v["value"], v["low"], v["high"], c == MODEL) for c, v in values.items()], top)


def joined(*parts: Bilingual) -> Bilingual:
    """Several texts in one line."""
    return {language: " · ".join(part[language] for part in parts) for language in LANGUAGES}


def _mbench_radar(table: Table, runs: Sequence[Row]) -> Chart:
    """BiMed-MBench by category: all public rows of one language and, where there are any, ours."""
    own = [row for results in runs for row in own_rows(table, results) if row.condition == MODEL]
    lines = [(_same(row.model), Series(row.model, row.values)) for row in table.rows]
    lines += [(own_name(row), Series(row.model, row.values, own=place == 0)) for place, row in enumerate(own)]
    highest = max(value or 0.0 for _, line in lines for value in line.values)
    chart = _radar(table.title, [column.title for column in table.columns], lines, 20.0 * -(-highest // 20.0))
    return chart if own else {**chart, "note": text("no_own_figure")}


def _published_bars(table: Table, runs: Sequence[Row]) -> Chart | None:
    """Means over those columns of a table that the runs have, for everybody, highest first."""
    own = [row for results in runs for row in own_rows(table, results)]
    places = [
        place
        for place in range(len(table.columns))
        if any(row.condition == MODEL for row in own)
        and all(row.values[place] is not None for row in own if row.condition == MODEL)
    ]
    if not places:
        return None
    found = [(_same(row.model), _mean_at(row.values, places), False) for row in table.rows]
    found += [(own_name(row), _mean_at(row.values, places), row.condition == MODEL) for row in own]
    known = sorted(((name, value, ours) for name, value, ours in found if value is not None), key=lambda row: -row[1])
    items = {language: [Bar(name[language], value, own=ours) for name, value, ours in known] for language in LANGUAGES}
    return {
        "title": table.title,
        **_noted(_columns_note(table, places, own)),
        "svg": {language: bars(items[language], float(table.scale), digits=table.digits) for language in LANGUAGES},
    }


def _mean_at(values: Sequence[float | None], places: Sequence[int]) -> float | None:
    return mean_of([values[place] for place in places])


def _columns_note(table: Table, places: Sequence[int], own: Sequence[OwnRow]) -> Bilingual:
    remarks = "; ".join(remark for row in own for remark in row.remarks)
    note: Bilingual = {}
    for language in LANGUAGES:
        names = ("، " if language == "ar" else ", ").join(table.columns[place].title[language] for place in places)
        share = text("mean_over")[language].format(n=len(places), of=len(table.columns))
        said = [f"{share}: {names}."] if len(table.columns) > 1 else []
        said += [f"{text('not_the_published_setting')[language]}: {remarks}."] if remarks else []
        note[language] = " ".join(said)
    return note


def _noted(note: Bilingual) -> dict[str, Bilingual]:
    return {"note": note} if note["en"] else {}


def _same(name: str) -> Bilingual:
    return {"en": name, "ar": name}


def _radar(title: Bilingual, axes: Sequence[Bilingual], lines: Sequence[tuple[Bilingual, Series]], top: float) -> Chart:
    return {
        "title": title,
        "legend": [
            {"name": name, "style": "own" if line.own else f"s{i % COLOURS}" + (" dashed" if i % 2 else "")}
            for i, (name, line) in enumerate(lines)
        ],
        "svg": {
            language: radar(
                [axis[language] for axis in axes],
                [line._replace(name=name[language]) for name, line in lines],
                top,
            )
            for language in LANGUAGES
        },
    }
