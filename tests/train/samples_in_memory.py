"""Samples without files: what the planner and the forward pass need, from plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bimedix2.train.samples.table import SampleTable, stable_hash, table_from


@dataclass
class MemoryTokens:
    """A token store in memory."""

    table: SampleTable
    rows: list[tuple[list[int], list[bool]]]

    def ids(self, row: int) -> NDArray[np.int32]:
        return np.array(self.rows[row][0], dtype=np.int32)

    def supervised(self, row: int) -> NDArray[np.bool_]:
        return np.array(self.rows[row][1], dtype=np.bool_)

    def record_id(self, row: int) -> str:
        return f"row{row}"


def make_tokens(samples: Sequence[dict[str, object]]) -> MemoryTokens:
    """A store from dicts with ``ids``, ``supervised`` and optionally ``images``, ``prefix``, ``cell``, ``group``…"""
    sources = sorted({str(sample.get("source", "s")) for sample in samples})
    cells = sorted({str(sample.get("cell", "en/ct/vqa")) for sample in samples})
    rows, images, columns = [], [], []
    for number, sample in enumerate(samples):
        ids: list[int] = list(sample["ids"])  # type: ignore[call-overload]
        supervised = list(sample.get("supervised", [False] * len(ids)))  # type: ignore[call-overload]
        shown = tuple(sample.get("images", ()))  # type: ignore[arg-type]
        prefix = int(sample.get("prefix", 0))  # type: ignore[call-overload]
        name = str(sample.get("id", number))
        rows.append(
            {
                "key": stable_hash(name),
                "group": stable_hash(sample.get("group", name)),
                "pair": stable_hash(sample.get("pair", name)),
                "source": sources.index(str(sample.get("source", "s"))),
                "cell": cells.index(str(sample.get("cell", "en/ct/vqa"))),
                "length": len(ids),
                "prefix": prefix,
                "prefix_key": stable_hash(shown, ids[:prefix]) if prefix else 0,
                "supervised": sum(supervised),
            }
        )
        images.append(shown)
        columns.append((ids, supervised))
    table = table_from(rows, sources, cells, images)
    return MemoryTokens(table, columns)
