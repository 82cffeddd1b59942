"""What a task file outside this package is written with; see ``docs/adding-a-task.md``."""

from __future__ import annotations

from bimedix2.errors import RecordError
from bimedix2.records.schema import Language

from .schema import Family, Reply, Sample, Scored, Task
from .tasks._choice import choice_sample, key_index
from .tasks._files import csv_rows, each, existing, field, json_rows, parquet_rows

__all__ = [
    "Family",
    "Language",
    "RecordError",
    "Reply",
    "Sample",
    "Scored",
    "Task",
    "choice_sample",
    "csv_rows",
    "each",
    "existing",
    "field",
    "json_rows",
    "key_index",
    "parquet_rows",
]
