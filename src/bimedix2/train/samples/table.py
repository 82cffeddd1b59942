"""What a plan has to know about every sample, as columns: a row is a sample, its tokens stay on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHAT, PLAIN = 0, 1


@dataclass(frozen=True)
class SampleTable:
    """Columns over N samples, in the order of the records.

    Attributes:
        key: (N,) uint64, :func:`stable_hash` of the record's id.
        group: (N,) uint64; samples with one group are phrasings of one fact in one language, of which an epoch
            uses one.
        pair: (N,) uint64, shared by the translations of a record; splits keep it whole.
        source: (N,) uint16 into ``sources``.
        cell: (N,) uint16 into ``cells``.
        length: (N,) int32, tokens of the conversation, image tokens included.
        prefix: (N,) int32, leading tokens that conversations about the same images share; 0 where none are.
        prefix_key: (N,) uint64, equal exactly where images and prefix tokens are; 0 where ``prefix`` is 0.
        supervised: (N,) int32, tokens that are predicted.
        form: (N,) uint8, :data:`CHAT` or :data:`PLAIN`; a record has a row of each form that some stage trains on.
        image_start: (N + 1,) int64; images of row n are ``image_index[image_start[n]:image_start[n + 1]]``.
        image_index: (M,) int32 into the image store, in the order in which they are shown.
        sources: names of the data sets.
        cells: ``language/modality/task``, such as ``ar/xray/vqa``; the language is that of the last answer.
    """

    key: NDArray[np.uint64]
    group: NDArray[np.uint64]
    pair: NDArray[np.uint64]
    source: NDArray[np.uint16]
    cell: NDArray[np.uint16]
    length: NDArray[np.int32]
    prefix: NDArray[np.int32]
    prefix_key: NDArray[np.uint64]
    supervised: NDArray[np.int32]
    form: NDArray[np.uint8]
    image_start: NDArray[np.int64]
    image_index: NDArray[np.int32]
    sources: tuple[str, ...]
    cells: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.key)

    def images(self, row: int) -> NDArray[np.int32]:
        """Images of a sample, in the order in which they are shown."""
        return self.image_index[self.image_start[row] : self.image_start[row + 1]]

    def image_count(self) -> NDArray[np.int64]:
        """(N,) number of images of every sample."""
        return np.diff(self.image_start)


def stable_hash(*parts: object) -> int:
    """A 64-bit number that depends on its arguments alone, on every machine and in every process."""
    text = "|".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def table_from(
    rows: Sequence[dict[str, object]], sources: Sequence[str], cells: Sequence[str], images: Sequence[Sequence[int]]
) -> SampleTable:
    """A table from one dict per sample with the scalar columns (``form`` may be missing), and the images of each."""
    types = {
        "key": np.uint64, "group": np.uint64, "pair": np.uint64, "prefix_key": np.uint64,
        "source": np.uint16, "cell": np.uint16, "length": np.int32, "prefix": np.int32, "supervised": np.int32,
    }  # fmt: skip
    columns: dict[str, NDArray[np.generic]] = {
        name: np.array([row[name] for row in rows], dtype=kind) for name, kind in types.items()
    }
    starts = np.concatenate([[0], np.cumsum([len(group) for group in images])]).astype(np.int64)
    flat = np.array([image for group in images for image in group], dtype=np.int32)
    columns["form"] = np.array([row.get("form", CHAT) for row in rows], dtype=np.uint8)
    return SampleTable(**columns, image_start=starts, image_index=flat, sources=tuple(sources), cells=tuple(cells))  # type: ignore[arg-type]
