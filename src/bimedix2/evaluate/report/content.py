"""What a report says, as plain data: the HTML page and the Markdown file are two ways to print it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bimedix2.evaluate.controls import CONDITIONS, MODEL
from bimedix2.evaluate.registry import all_families, all_tasks
from bimedix2.records.schema import Language
from bimedix2.text import isolate_ltr, strip_bidi_controls

from .published import Bilingual
from .strings import TEXTS

Row = Mapping[str, Any]
LANGUAGES: tuple[Language, ...] = ("en", "ar")
_COPIED = ("task", "language", "split", "mode", "n", "unparsed", "refused", "errors")
_MEAN: Bilingual = {"en": "Mean", "ar": "المتوسط"}


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
    """``0.512 [0.470, 0.551]``, or a dash where there is no value; a line may break before the interval alone."""
    if metric is None or metric.get("value") is None:
        return "–"
    if metric.get("low") is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} [{metric['low']:.3f},\N{NO-BREAK SPACE}{metric['high']:.3f}]"


def overview(results: Row) -> tuple[list[str], list[dict[str, Any]]]:
    """Conditions that occur, and one line per task, language and mode."""
    used = {row["condition"] for row in results["rows"]}
    conditions = [condition for condition in CONDITIONS if condition in used]
    lines = []
    for own, by_condition in grouped(results):
        headline = shown_headline(own)
        lines.append(
            {
                **{key: own[key] for key in _COPIED},
                "title": task_title(own["task"]),
                "metric": metric_title(own["family"], headline),
                "cells": {c: cell(metric_of(by_condition.get(c), headline)) for c in conditions},
            }
        )
    return conditions, lines


def shown_headline(own: Row) -> str:
    """The headline metric, or the first with a value in a mode that does not have the headline."""
    known = [name for name, metric in own["metrics"].items() if metric["value"] is not None]
    headline = str(own["headline"])
    return headline if headline in known or not known else known[0]


def grouped(results: Row) -> Iterator[tuple[Row, dict[str, Row]]]:
    """(a row that stands for them, condition -> row) of each task, language and mode."""
    keys = dict.fromkeys((row["task"], row["language"], row["mode"]) for row in results["rows"])
    for key in keys:
        rows = [row for row in results["rows"] if (row["task"], row["language"], row["mode"]) == key]
        by_condition = {row["condition"]: row for row in rows}
        yield by_condition.get(MODEL, rows[0]), by_condition


def metric_of(row: Row | None, name: str) -> Row | None:
    """A metric of a row, if there is such a row and it has the metric."""
    return row["metrics"].get(name) if row else None


def details(results: Row) -> list[dict[str, Any]]:
    """Every metric of every task, by condition, with categories and what is not available."""
    parts = []
    for own, by_condition in grouped(results):
        conditions = [condition for condition in CONDITIONS if condition in by_condition]
        lacking = own.get("unavailable", {})
        lines = [
            {
                "metric": metric_title(own["family"], name),
                "cells": [cell(metric_of(by_condition[c], name)) for c in conditions],
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
                "lines": lines,
                "unavailable": [
                    {"metric": metric_title(own["family"], name), "reason": reason} for name, reason in lacking.items()
                ],
                **_groups(own),
                **_judging(own),
            }
        )
    return parts


def _groups(own: Row) -> dict[str, Any]:
    """Figures of every category, without the metrics that none of them has."""
    groups = own["by_group"]
    names = [name for name in own["metrics"] if any(_has(part["metrics"].get(name)) for part in groups.values())]
    return {
        "group_metrics": [metric_title(own["family"], name) for name in names],
        "groups": [
            {
                "name": strip_bidi_controls(group),
                "n": part["n"],
                "cells": [cell(part["metrics"].get(name)) for name in names],
            }
            for group, part in groups.items()
        ],
    }


def _has(metric: Row | None) -> bool:
    return metric is not None and metric.get("value") is not None


def _judging(own: Row) -> dict[str, Any]:
    """Who judged and how that went, for the families that need a judge."""
    judge = own.get("judge", {})
    facts = [
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in judge.items()
        if key != "notes" and value not in (None, "", [], {})
    ]
    return {
        "judge": [strip_bidi_controls(fact) for fact in facts],
    }


def control_comparisons(results: Row) -> list[dict[str, Any]]:
    """Paired differences of the headline figures between the model and its controls."""
    return [
        {
            **_compared(row, family),
            "language": row["language"],
            "a": text(row["a"]),
            "b": text(row["b"]),
        }
        for row, family in _headline_comparisons(results, "control")
    ]


def language_gap(results: Row) -> list[dict[str, Any]]:
    """Headline figures of both languages on the same items, and Arabic minus English."""
    return [
        {**_compared(row, family), "en": f"{row['a_value']:.3f}", "ar": f"{row['b_value']:.3f}"}
        for row, family in _headline_comparisons(results, "language")
    ]


def _headline_comparisons(results: Row, kind: str) -> Iterator[tuple[Row, str]]:
    headlines = {row["task"]: (row["headline"], row["family"]) for row in results["rows"]}
    for row in results["comparisons"]:
        headline, family = headlines[row["task"]]
        if row["kind"] == kind and row["metric"] == headline:
            yield row, family


def _compared(row: Row, family: str) -> dict[str, Any]:
    return {
        "title": task_title(row["task"]),
        "mode": row["mode"],
        "metric": metric_title(family, row["metric"]),
        "cell": f"{row['difference']:+.3f} [{row['low']:+.3f},\N{NO-BREAK SPACE}{row['high']:+.3f}]",
        "p": f"{row['p']:.4f}",
        "n": row["n"],
    }


def left_out(results: Row) -> list[dict[str, Any]]:
    """Data sets that were skipped and bad rows, paths kept in their own order in Arabic."""
    lines = [
        {**item, "reason": shown_reason(item["reason"]["en"], item["reason"]["ar"])}
        for item in results.get("skipped", [])
    ]
    for item in results.get("bad_rows", []):
        texts = [f"{item['n']} {text('bad_rows')[language]}: {item['first'][0]}" for language in LANGUAGES]
        lines.append({**item, "reason": shown_reason(*texts)})
    return lines


def shown_reason(english: str, arabic: str) -> Bilingual:
    """A message that may quote anything; in Arabic, paths and names keep their own order."""
    return {"en": strip_bidi_controls(english), "ar": isolate_ltr(arabic, "rtl")}
