"""Published tables in the layout of their source, with the figures of the runs among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bimedix2.evaluate.controls import ASKED, MODEL

from .content import LANGUAGES, Row, text
from .published import Bilingual, OwnRow, PublishedRow, Table, own_rows, published


def own_name(row: OwnRow) -> Bilingual:
    """The model's name, with what it was asked with; without it where no model answers."""
    if row.condition == MODEL:
        return {"en": row.model, "ar": row.model}
    if row.condition not in ASKED:
        return text(row.condition)
    return {language: f"{row.model}: {text(row.condition)[language]}" for language in LANGUAGES}


def paper_tables(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """Published tables in the layout of their source, with the figures of each run that has some.

    ``heads`` are the titles above the cells and ``rows`` have ``name``, ``cells`` and, where metrics are in rows,
    ``part`` and ``span`` (rows that the part's heading covers, 0 below its first); ``own`` marks ours.
    """
    content = published()
    tables = []
    for table in content.tables:
        own = [row for results in runs for row in own_rows(table, results)]
        lines = [*(_published_line(table, row) for row in table.rows), *(_own_line(table, row) for row in own)]
        tables.append(
            {
                "id": table.id,
                "title": table.title,
                "note": table.note,
                "mode": table.mode,
                "source": content.sources[table.source],
                "own": bool(own),
                "remarks": [remark for row in own for remark in row.remarks],
                "metrics_in_rows": table.metrics_in_rows,
                "parts": table.metrics_in_rows and any(column.part for column in table.columns),
                **(_metrics_in_rows(table, lines) if table.metrics_in_rows else _models_in_rows(table, lines)),
            }
        )
    return tables


def _average_title(table: Table) -> list[Bilingual]:
    return [table.average_title or text("average")] if any(row.average is not None for row in table.rows) else []


def _models_in_rows(table: Table, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    titles = [{language: column.full_title(language) for language in LANGUAGES} for column in table.columns]
    heads = [{"name": title, "own": False} for title in [*titles, *_average_title(table)]]
    return {"heads": heads, "rows": [{**line, "cells": line["cells"][: len(heads)]} for line in lines]}


def _metrics_in_rows(table: Table, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    parts = [column.part for column in table.columns]
    rows = []
    for place, title in enumerate([*(column.title for column in table.columns), *_average_title(table)]):
        part = parts[place] if place < len(parts) else ""
        first = place == 0 or place >= len(parts) or parts[place - 1] != part
        span = (parts.count(part) if part else 1) if first else 0
        cells = [line["cells"][place] for line in lines]
        rows.append({"name": title, "part": part, "span": span, "own": False, "cells": cells})
    return {"heads": [{"name": line["name"], "own": line["own"]} for line in lines], "rows": rows}


def _published_line(table: Table, row: PublishedRow) -> dict[str, Any]:
    """A source's row as text, its average last; what is printed otherwise than the others stands as printed."""
    keys = [column.key for column in table.columns]
    cells = [row.printed.get(key, _number(table, value)) for key, value in zip(keys, row.values, strict=True)]
    return {
        "name": {"en": row.model, "ar": row.model},
        "own": False,
        "cells": [*cells, _number(table, row.average)],
    }


def _own_line(table: Table, row: OwnRow) -> dict[str, Any]:
    name = own_name(row)
    if row.condition == MODEL:
        name = {language: f"{name[language]} ({text('this_run')[language]})" for language in LANGUAGES}
    cells = [_number(table, value) for value in (*row.values, row.average)]
    return {"name": name, "own": row.condition == MODEL, "cells": cells}


def _number(table: Table, value: float | None) -> str:
    return "" if value is None else f"{value:.{table.digits}f}"
