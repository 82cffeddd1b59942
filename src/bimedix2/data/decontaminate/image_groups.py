"""Images of one set by what they show: equal pixels and re-encoded or resized copies get one number."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bimedix2.data.good_rows import GoodRows
from bimedix2.data.runner import batched
from bimedix2.errors import RecordError
from bimedix2.records.schema import ImageRef, Record

from .hamming import HammingIndex
from .pictures import Look, Pictures
from .prints import MAX_FINE, Codes, different_bits

MAX_COARSE = 6
"""Fewer bits than for test items: a copy that escapes costs little here, a film taken for another costs a sample."""
_ASKED, _BATCH = 512, 1024


class ImageGroups:
    """Numbers the images of a set; a context manager. Paths lie in a temporary file, some 150 bytes an image in memory.

    Args:
        root: folder that paths start from.
        opened: whether to look at pixels; else equal paths are equal images.
    """

    def __init__(self, root: Path, *, opened: bool) -> None:
        self._stack = ExitStack()
        self._pictures = self._stack.enter_context(Pictures(root, mirrored=False)) if opened else None
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("CREATE TABLE images (path TEXT PRIMARY KEY, number INTEGER, pixels TEXT)")
        self._base.execute("CREATE INDEX by_pixels ON images (pixels)")
        self._base.execute("BEGIN")
        self._codes = array("Q")  # five numbers a variant: the coarse hash and the four of the fine one
        self._owner = array("I")
        self._group: NDArray[np.int64] = np.empty(0, np.int64)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()
        self._stack.close()

    def look(self, rows: GoodRows) -> None:
        """Look at all images of a set; does nothing where they are not opened.

        Raises:
            RecordError: an image cannot be read.
        """
        if self._pictures is None:
            return
        place = 1
        for batch in batched(rows.records(), _BATCH):
            fresh = [record for record in batch if any(self._number(one) is None for one in record.images)]
            for record, looks in zip(fresh, self._pictures.looks(fresh), strict=True):
                self._take(rows.path, rows.row(place + batch.index(record)), record, looks)
            place += len(batch)
        self._find_groups()

    def _take(self, file: Path, row: int, record: Record, looks: Sequence[Look]) -> None:
        for look, reference in zip(looks, record.images, strict=True):
            if look.codes is None or look.error is not None:
                english, arabic = (look.error.message, look.error.message_ar) if look.error else ("", "")
                raise RecordError(file, row, f"images[{look.place}].path", english, arabic)
            if self._number(reference) is None:
                self._add(reference, str(look.pixels), look.codes.coarse, look.codes.fine)

    def _number(self, reference: ImageRef) -> int | None:
        found = self._base.execute("SELECT number FROM images WHERE path = ?", (_path(reference),)).fetchone()
        return None if found is None else int(found[0])

    def _add(self, reference: ImageRef, pixels: str, coarse: Codes, fine: Codes) -> None:
        same = self._base.execute("SELECT number FROM images WHERE pixels = ? LIMIT 1", (pixels,)).fetchone()
        number = int(same[0]) if same else self._count
        self._base.execute("INSERT INTO images VALUES (?, ?, ?)", (_path(reference), number, pixels))
        if not same:
            self._codes.extend(np.column_stack([coarse, fine]).ravel().tolist())
            self._owner.extend([self._count] * len(coarse))
            self._count += 1

    def _find_groups(self) -> None:
        """Each image joins the earliest one that it is a copy of."""
        self._group = np.arange(self._count)
        if not self._count:
            return
        codes = np.frombuffer(self._codes, np.uint64).reshape(-1, 5)
        coarse, fine, owner = np.ascontiguousarray(codes[:, 0]), codes[:, 1:], np.array(self._owner, np.int64)
        index = HammingIndex(coarse)
        for start in range(0, len(coarse), _ASKED):
            one, other, _ = index.near(coarse[start : start + _ASKED], MAX_COARSE)
            one = one + start
            near = (owner[other] < owner[one]) & (different_bits(fine[one], fine[other]) <= MAX_FINE)
            np.minimum.at(self._group, owner[one[near]], owner[other[near]])
        for number in range(self._count):  # in order, so that each ends at one that stands for itself
            self._group[number] = self._group[self._group[number]]

    def key(self, record: Record) -> str:
        """What a record shows: the numbers of its images in order, or their paths."""
        if self._pictures is None:
            return "\x1f".join(_path(reference) for reference in record.images)
        numbers = (self._number(reference) for reference in record.images)
        return ",".join(str(self._group[number]) for number in numbers if number is not None)


def _path(reference: ImageRef) -> str:
    return f"{reference.path}|{reference.frame}|{reference.window}"
