"""Random access to the records of a JSON-lines file by their ids, at 16 bytes a record."""

from __future__ import annotations

from array import array
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from bimedix2.data.decontaminate.units import key_of
from bimedix2.records import Record


class OffsetIndex:
    """Where each record of a file begins; a context manager.

    Args:
        path: JSON lines as ``write_jsonl`` makes them.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._decoder = msgspec.json.Decoder(Record)
        keys, offsets, at = array("Q"), array("q"), 0
        for line in self._file:
            if line.strip():
                keys.append(key_of(self._decoder.decode(line).id))
                offsets.append(at)
            at += len(line)
        order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
        self._keys = np.frombuffer(keys, np.uint64)[order]
        del keys
        self._offsets = np.frombuffer(offsets, np.int64)[order]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, record_id: str) -> bool:
        return self.get(record_id) is not None

    def get(self, record_id: str) -> Record | None:
        """The record of this id."""
        key = np.uint64(key_of(record_id))
        at = int(np.searchsorted(self._keys, key))
        while at < len(self._keys) and self._keys[at] == key:
            self._file.seek(int(self._offsets[at]))
            record = self._decoder.decode(self._file.readline())
            if record.id == record_id:
                return record
            at += 1
        return None
