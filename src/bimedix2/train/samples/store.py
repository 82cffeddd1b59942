"""Tokens and masks of all samples on disk, opened in milliseconds whatever their number.

A finished folder holds ``ids.bin`` (int32), ``supervised.bin`` (one byte a token), ``names.bin`` (record ids, UTF-8),
one ``.npy`` file for each column of :class:`SampleTable`, ``skipped.jsonl`` and ``meta.json``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import write_whole
from bimedix2.errors import DataError

from .encode import Bad, Sample
from .journal import GrowingFolder, load_column, load_flat, save_column, writing
from .table import SampleTable

FORMAT = 2
_MOST_SOURCES = 2**16
_SCALARS = ("key", "group", "pair", "source", "cell", "length", "prefix", "prefix_key", "supervised", "form")
_PLACES = ("token_at", "name_at", "name_size", "record")
_ROW = np.dtype(
    [
        *((name, "<u8") for name in ("key", "group", "pair", "prefix_key")),
        *((name, "<u2") for name in ("source", "cell")),
        ("form", "u1"),
        *((name, "<i4") for name in ("length", "prefix", "supervised", "name_size", "images")),
        *((name, "<i8") for name in ("token_at", "name_at", "record")),
    ]
)


class TokenStore:
    """A finished token store; nothing of it is read before it is asked for.

    Args:
        folder: what :class:`TokenWriter` made.

    Attributes:
        table: what a plan needs to know of every sample.
        name: of the folder; it changes with anything that the tokens depend on.
        record: (N,) int64, place of each sample's record among the records that were given, from 0.
        meta: what was noted when the store was built.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
        columns = {name: load_column(folder / f"{name}.npy") for name in (*_SCALARS, "image_start", "image_index")}
        self.table = SampleTable(**columns, sources=tuple(self.meta["sources"]), cells=tuple(self.meta["cells"]))
        self._token_at, self._name_at, self._name_size, self.record = (
            load_column(folder / f"{name}.npy") for name in _PLACES
        )
        self._ids = load_flat(folder / "ids.bin", np.int32)
        self._supervised = load_flat(folder / "supervised.bin", np.uint8).view(np.bool_)
        self._names = load_flat(folder / "names.bin", np.uint8)

    def __len__(self) -> int:
        return len(self.table)

    def ids(self, row: int) -> NDArray[np.int32]:
        """(length,) token ids, image tokens included; read-only."""
        return self._ids[self._tokens(row)]

    def supervised(self, row: int) -> NDArray[np.bool_]:
        """(length,) True where the token is predicted (not shifted); read-only."""
        return self._supervised[self._tokens(row)]

    def record_id(self, row: int) -> str:
        """Id of the record that a sample was made from."""
        start = int(self._name_at[row])
        return self._names[start : start + int(self._name_size[row])].tobytes().decode()

    def skipped(self) -> list[tuple[int, Bad]]:
        """Records that are not in the store: place among the records, and why; in the order of the records."""
        with (self.folder / "skipped.jsonl").open(encoding="utf-8") as file:
            return [_skipped(line) for line in file]

    def _tokens(self, row: int) -> slice:
        start = int(self._token_at[row])
        return slice(start, start + int(self.table.length[row]))


class TokenWriter:
    """Builds a token store in chunks; made again after a kill, it goes on after the last committed chunk.

    Args:
        target: the finished folder.

    Attributes:
        done: records taken care of, samples and skipped ones.
    """

    def __init__(self, target: Path) -> None:
        files = ("ids.bin", "supervised.bin", "names.bin", "rows.bin", "images.bin", "skipped.log")
        self._out = GrowingFolder(target, files)
        state = self._out.state
        self.done: int = state.get("done", 0)
        self._tokens: int = state.get("tokens", 0)
        self._name_bytes: int = state.get("name_bytes", 0)
        self._sources: dict[str, int] = {name: code for code, name in enumerate(state.get("sources", []))}
        self._cells: dict[str, int] = {name: code for code, name in enumerate(state.get("cells", []))}

    def add(self, *samples: Sample) -> None:
        """Take the samples of the next record, one of each form.

        Raises:
            DataError: ``too_many_sources``.
        """
        for sample in samples:
            self._append(sample)
        self.done += 1

    def _append(self, sample: Sample) -> None:
        name = sample.record_id.encode()
        row = np.zeros((), _ROW)
        for column in ("key", "group", "pair", "prefix", "prefix_key", "form"):
            row[column] = getattr(sample, column)
        code = self._sources.setdefault(sample.source, len(self._sources))
        if len(self._sources) > _MOST_SOURCES:
            raise DataError(
                f"The records name more than {_MOST_SOURCES} sources. A source is a data set, not a sample: correct "
                f"the field source (the last one is {sample.source!r}).",
                f"تذكر السجلات أكثر من {_MOST_SOURCES} مصدر. المصدر مجموعة بيانات وليس عينة: صحح الحقل source "
                f"(آخرها {sample.source!r}).",
                code="too_many_sources",
            )
        row["source"] = code
        row["cell"] = self._cells.setdefault(sample.cell, len(self._cells))
        row["length"], row["supervised"] = len(sample.ids), np.count_nonzero(sample.supervised)
        row["token_at"], row["name_at"] = self._tokens, self._name_bytes
        row["name_size"], row["images"], row["record"] = len(name), len(sample.images), self.done
        for file, data in (
            ("ids.bin", sample.ids.astype("<i4").tobytes()),
            ("supervised.bin", sample.supervised.astype(np.uint8).tobytes()),
            ("names.bin", name),
            ("images.bin", np.array(sample.images, "<i4").tobytes()),
            ("rows.bin", row.tobytes()),
        ):
            self._out.append(file, data)
        self._tokens += len(sample.ids)
        self._name_bytes += len(name)

    def skip(self, bad: Bad) -> None:
        """Leave the next record out, and say why."""
        self._out.append("skipped.log", _line(self.done, bad))
        self.done += 1

    def commit(self) -> None:
        """Make everything so far survive a kill."""
        self._out.commit(
            {
                "done": self.done,
                "tokens": self._tokens,
                "name_bytes": self._name_bytes,
                "sources": list(self._sources),
                "cells": list(self._cells),
            }
        )

    def close(self) -> None:
        """Stop; a later writer goes on after the last commit."""
        self._out.close()

    def skipped(self) -> list[tuple[int, Bad]]:
        """Committed records that were left out, with their place."""
        with (self._out.folder / "skipped.log").open(encoding="utf-8") as file:
            return [_skipped(line) for line in file]

    def samples_with(self, images: Collection[int]) -> list[tuple[int, int, int]]:
        """Committed samples that show one of these images: their row, their record's place, and the first such."""
        rows, flat = self._rows()
        owner = np.repeat(np.arange(len(rows)), rows["images"])
        hits = np.flatnonzero(np.isin(flat, list(images)))
        owners, first = np.unique(owner[hits], return_index=True)
        return [
            (int(row), int(rows["record"][row]), int(flat[hits[at]])) for row, at in zip(owners, first, strict=True)
        ]

    def finish(
        self, meta: dict[str, Any], skipped: Sequence[tuple[int, Bad]], drop: Collection[int] = frozenset()
    ) -> None:
        """Write the columns and give the folder its final name; a kill on the way leaves nothing done twice.

        Args:
            meta: kept in ``meta.json``.
            skipped: places of all records that were left out, and why.
            drop: rows that are left out after all; their tokens stay in the file, where nothing points to them.
        """
        rows, flat = self._rows()
        keep = np.ones(len(rows), bool)
        keep[list(drop)] = False
        counts, folder = rows["images"][keep].astype(np.int64), self._out.folder
        for name in (*_SCALARS, *_PLACES):
            save_column(folder / f"{name}.npy", rows[name][keep])
        save_column(folder / "image_start.npy", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
        save_column(folder / "image_index.npy", flat[np.repeat(keep, rows["images"])])
        content = {"format": FORMAT, "sources": list(self._sources), "cells": list(self._cells), **meta}
        with writing(folder):
            write_whole(folder / "skipped.jsonl", b"".join(_line(place, bad) for place, bad in skipped))
            write_whole(folder / "meta.json", json.dumps(content, indent=1, ensure_ascii=False).encode())
        self._out.finish(remove=("rows.bin", "images.bin", "skipped.log"))

    def _rows(self) -> tuple[NDArray[Any], NDArray[Any]]:
        folder = self._out.folder
        rows = load_flat(folder / "rows.bin", np.uint8).view(_ROW)
        return rows, load_flat(folder / "images.bin", np.int32)


def _line(place: int, bad: Bad) -> bytes:
    return json.dumps({"place": place, **asdict(bad)}, ensure_ascii=False).encode() + b"\n"


def _skipped(line: str) -> tuple[int, Bad]:
    fields = json.loads(line)
    return fields.pop("place"), Bad(**fields)
