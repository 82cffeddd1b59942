"""Published figures (``published.json``) and the same cells of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from bimedix2.evaluate.controls import CONDITIONS, MODEL
from bimedix2.evaluate.registry import all_tasks
from bimedix2.records.schema import Language

Bilingual = dict[Language, str]
Values = tuple[float | None, ...]


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a published table.

    Attributes:
        key: unique in its table.
        title: in both languages.
        part: heading above several columns, such as the name of a data set.
        task, metric, group: where our figure for it is; ``metric`` is empty where ours cannot be put beside it.
    """

    key: str
    title: Bilingual
    part: str = ""
    task: str = ""
    metric: str = ""
    group: str = ""

    def full_title(self, language: Language) -> str:
        """Heading and title in one line."""
        return f"{self.part} {self.title[language]}".strip()


class PublishedRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model in a published table.

    Attributes:
        model: its name in the source.
        values: one per column; ``None`` where the source has no figure, or not just one.
        average: as printed.
        printed: column key -> the source's text where it is not the value at the table's number of digits.
    """

    model: str
    values: Values
    average: float | None = None
    printed: dict[str, str] = {}


class OwnRow(NamedTuple):
    """A run's figures in the columns of a table.

    Attributes:
        model, condition: whose figures.
        values: one per column, at the table's scale.
        average: see :func:`own_rows`.
        remarks: what is not the published setting.
    """

    model: str
    condition: str
    values: Values
    average: float | None
    remarks: tuple[str, ...]


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
        average_title: of the average's column, where it is not the plain mean of the others.
        metrics_in_rows: the source has the models side by side and a row for each of ``columns``.
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
    average_title: Bilingual = {}
    metrics_in_rows: bool = False

    @property
    def digits(self) -> int:
        """Digits after the point that the source prints."""
        return 1 if self.scale == 100 else 3


class Source(msgspec.Struct, frozen=True):
    """Where figures come from."""

    title: str
    url: str


class Published(msgspec.Struct, frozen=True):
    """The whole file."""

    about: str
    sources: dict[str, Source]
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """The table with an id."""
        return next(table for table in self.tables if table.id == name)


@cache
def published() -> Published:
    """The figures that ship with the package."""
    content = files(__package__).joinpath("published.json").read_bytes()
    return msgspec.json.decode(content, type=Published)


def own_rows(table: Table, results: Mapping[str, Any]) -> list[OwnRow]:
    """A run's figures in the columns of a table, the model's first and then its controls'.

    The average is the plain mean of the columns, as in the paper, and only where every column has a figure;
    a judged benchmark's is its overall score. Conditions without any figure are left out, and with them the
    controls of a run that has no figure of the model itself.
    """
    found = []
    for condition in CONDITIONS:
        rows = [row for row in results["rows"] if row["condition"] == condition and row["language"] == table.language]
        values = tuple(_own_value(table, column, rows) for column in table.columns)
        if all(value is None for value in values):
            continue
        average = _overall(table, rows) if table.family == "judged" else mean_of(values)
        remarks = _remarks(table, rows, results) if condition == MODEL else ()
        found.append(OwnRow(results["model"], condition, values, average, remarks))
    return found if any(row.condition == MODEL for row in found) else []


def _overall(table: Table, rows: Sequence[Mapping[str, Any]]) -> float | None:
    return _own_value(table, msgspec.structs.replace(table.columns[0], group=""), rows)


def _remarks(table: Table, rows: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> tuple[str, ...]:
    """``task split, n = …`` for every task that was not asked on the whole published split, in the usual way."""
    limited = results["partial"] or "limit none" not in results["signature"]
    remarks = []
    for name in dict.fromkeys(column.task for column in table.columns):
        row = next((row for row in rows if _fits(table, name, row)), None)
        task = all_tasks().get(name)
        if row is None or task is None:
            continue
        if limited or row["split"] != task.splits[0]:
            remarks.append(f"{name} {row['split']}, n = {row['n']}")
        if row["request"] != task.request:
            remarks.append(f"{name}: request {row['request']}")
    return tuple(remarks)


def _fits(table: Table, task: str, row: Mapping[str, Any]) -> bool:
    return row["task"] == task and (not table.mode or row["mode"] == table.mode)


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
