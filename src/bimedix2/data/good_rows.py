"""The usable rows of a file that is read several times, and the rows of the file that they are in."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.records import Record, read_records


class GoodRows:
    """Records of a file without its bad rows, which stop nothing.

    Args:
        path: ``.jsonl`` or ``.parquet``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shifted = array("q")

    def records(self, on_bad: Callable[[RecordError], object] | None = None) -> Iterator[Record]:
        """All usable records; ``on_bad`` takes the errors of the others where they are met."""
        self._shifted = array("q")

        def take(error: RecordError) -> None:
            self._shifted.append(error.row - len(self._shifted))
            if on_bad is not None:
                on_bad(error)

        yield from read_records(self.path, on_error=take, unique_ids=False)

    @property
    def bad(self) -> int:
        """Bad rows that the last pass met."""
        return len(self._shifted)

    def row(self, place: int) -> int:
        """Row in the file of the usable record at ``place``, both from 1, which a pass must have come to.

        Where the bad rows are 2 and 3, the second usable record is in row 4.
        """
        return place + bisect_right(self._shifted, place)
