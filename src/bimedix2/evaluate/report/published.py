"""Published figures (``published.json``) and the same cells of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from bimedix2.evaluate.controls import MODEL
from bimedix2.evaluate.registry import all_tasks
from bimedix2.records.schema import Language

Bilingual = dict[Language, str]


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a published table.

    Attributes:
        key: unique in its table.
        title: in both languages.
        task, metric, group: where our figure for it is; ``metric`` is empty where ours cannot be put beside it.
    """

    key: str
    title: Bilingual
    task: str = ""
    metric: str = ""
    group: str = ""


class PublishedRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model in a published table; ``None`` where the source has no figure."""

    model: str
    values: tuple[float | None, ...]
    average: float | None = None


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """A published table.

    Attributes:
        id: number in the paper, or a name.
        title, note: in both languages.
        source: key of its source.
        family: that scores our figures for it; empty where ours do not belong beside it.
        language: of the questions.
        scale: 100 where the table is in per cent.
        mode: our scoring mode that is comparable; the family's default if empty.
        columns, rows: the figures.
    """

    id: str
    title: Bilingual
    source: str
    family: str
    language: Language
    scale: int
    columns: tuple[Column, ...]
    rows: tuple[PublishedRow, ...]
    mode: str = ""
    note: Bilingual = {}


class Source(msgspec.Struct, frozen=True):
    """Where figures come from."""

    title: str
    url: str


class Published(msgspec.Struct, frozen=True):
    """The whole file."""

    sources: dict[str, Source]
    tables: tuple[Table, ...]


@cache
def published() -> Published:
    """The figures that ship with the package."""
    content = files(__package__).joinpath("published.json").read_bytes()
    return msgspec.json.decode(content, type=Published)


def own_row(table: Table, results: Mapping[str, Any]) -> PublishedRow | None:
    """A run's figures in the columns of a table, at the table's scale; ``None`` if it has none of them.

    The average is the plain mean of the columns, as in the paper, and only where every column has a figure;
    a judged benchmark's is its overall score. What is not the published test set is said behind the model's name.
    """
    values = tuple(_own_value(table, column, results["rows"]) for column in table.columns)
    if all(value is None for value in values):
        return None
    if table.family == "judged":
        whole = msgspec.structs.replace(table.columns[0], group="")
        average = _own_value(table, whole, results["rows"])
    else:
        average = mean_of(values)
    remarks = _remarks(table, results)
    return PublishedRow(results["model"] + (f" [{'; '.join(remarks)}]" if remarks else ""), values, average)


def _remarks(table: Table, results: Mapping[str, Any]) -> list[str]:
    """``task split, first n`` for every task that was not asked on the whole published split."""
    limited = "limit none" not in results["signature"]
    remarks = []
    for name in dict.fromkeys(column.task for column in table.columns):
        row = next((row for row in results["rows"] if _fits(table, name, row)), None)
        task = all_tasks().get(name)
        other = row is not None and task is not None and row["split"] != task.splits[0]
        if row is not None and (limited or other):
            remarks.append(f"{name} {row['split']}, n = {row['n']}")
    return remarks


def _fits(table: Table, task: str, row: Mapping[str, Any]) -> bool:
    same = (row["task"], row["language"], row["condition"]) == (task, table.language, MODEL)
    return same and (not table.mode or row["mode"] == table.mode)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Plain mean, or ``None`` if a value is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _own_value(table: Table, column: Column, rows: Sequence[Mapping[str, Any]]) -> float | None:
    for row in rows:
        if not column.metric or not _fits(table, column.task, row):
            continue
        part = row["by_group"].get(column.group, {}) if column.group else row
        value = part.get("metrics", {}).get(column.metric, {}).get("value")
        if value is not None:
            return float(value) * table.scale
    return None
