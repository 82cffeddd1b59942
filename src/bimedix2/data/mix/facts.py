"""First pass: a few numbers a record, on disk, read a column at a time: memory hardly grows with the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import BiMediX2Error, RecordError
from bimedix2.records import Record, Split, read_records
from bimedix2.records.cells import cell_of

from .count import Counter
from .hashes import key_of
from .settings import Tell

SPLITS: tuple[Split, ...] = get_args(Split)
_FACT = np.dtype(
    [
        ("id", "<u8"), ("content", "<u8"), ("full", "<u8"), ("pair", "<u8"), ("parent", "<u8"),
        ("size", "<u4"), ("bytes", "<u4"), ("row", "<u4"), ("file", "<u2"), ("cell", "u1"), ("split", "u1"),
    ]
)  # fmt: skip
_IMAGE = np.dtype([("record", "<u4"), ("key", "<u8")])
_TELL_EVERY, _BUFFERED = 100_000, 4096
OnBad = Callable[[RecordError, str, str | None], None]


class Input(NamedTuple):
    """A file to read.

    Attributes:
        path: the input, or a clean copy of it.
        name: of the input, for messages.
        left_out: rows of the input that the copy lacks.
    """

    path: Path
    name: Path
    left_out: frozenset[int] = frozenset()

    def records(self, on_bad: OnBad | None = None) -> Iterator[tuple[int, Record]]:
        """Usable records with their row in the input, counted from 1 with the bad ones."""
        bad: list[int] = []

        def refuse(error: RecordError) -> None:
            bad.append(1)
            if on_bad is not None:
                on_bad(error, "bad_row", None)

        shift = 0
        for row, record in enumerate(read_records(self.path, on_error=refuse, unique_ids=False), start=1):
            while row + len(bad) + shift in self.left_out:
                shift += 1
            yield row + len(bad) + shift, record


class Columns:
    """A table on disk, a file a column; ``table["id"]`` reads one.

    Args:
        path: the files' common beginning.
        kind: structured type of a row.
    """

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self._path, self._kind = path, kind
        self._length = self._file(str(kind.names[0])).stat().st_size // kind[0].itemsize if kind.names else 0

    def _file(self, name: str) -> Path:
        return self._path.with_name(f"{self._path.name}-{name}")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.fromfile(self._file(name), self._kind[name])

    def __setitem__(self, name: str, values: NDArray[Any]) -> None:
        values.astype(self._kind[name], copy=False).tofile(self._file(name))

    def at(self, name: str, places: NDArray[Any]) -> NDArray[Any]:
        """Some values of a column; memory grows with their number alone."""
        if not len(self):
            return np.empty(0, self._kind[name])
        return np.array(np.memmap(self._file(name), self._kind[name], "r")[places])


class Facts(NamedTuple):
    """Of N records with M images, in reading order.

    Attributes:
        rows: (N,) keys of id, content, whole record, pair and parent (0: none); size, bytes, row from 1, places in the
            files, ``cells`` and ``SPLITS``.
        images: (M,) place of the record, key of the image.
        cells: sorted names.
        files: what was read.
    """

    rows: Columns
    images: Columns
    cells: tuple[str, ...]
    files: tuple[Input, ...]

    def place(self, record: int) -> tuple[Path, int]:
        """File and row of a record."""
        own = np.array([record])
        return self.files[int(self.rows.at("file", own)[0])].name, int(self.rows.at("row", own)[0])


def gather(files: Sequence[Input], counter: Counter, work: Path, on_bad: OnBad, tell: Tell) -> Facts:
    """Read all records once.

    Args:
        files: inputs.
        counter: gives sizes.
        work: folder for the facts, which stay in it.
        on_bad: takes the error, code and id of a record that cannot be used.
        tell: takes progress.

    Raises:
        RecordError: a file is missing or damaged as a whole.
    """
    names: dict[str, int] = {}
    count = 0
    with _Writer(work / "facts", _FACT) as rows, _Writer(work / "images", _IMAGE) as images:
        for number, file in enumerate(files):
            for row, record in file.records(on_bad):
                size = _size(file.name, row, record, counter, on_bad)
                cell = names.setdefault(cell_of(record), len(names))
                fact, shown = _facts(record, (count, number, row, cell, size))
                rows.add([fact])
                images.add(shown)
                count += 1
                if count % _TELL_EVERY == 0:
                    tell(f"{count:,} records read", f"قُرئ {count:,} سجل")
    return _opened(Columns(work / "facts", _FACT), Columns(work / "images", _IMAGE), names, tuple(files))


def _size(path: Path, row: int, record: Record, counter: Counter, on_bad: OnBad) -> int:
    """Size of a record; 0 for one that cannot be counted, and a size of 0 is never taken."""
    try:
        size = counter.of(record)
    except BiMediX2Error as error:
        on_bad(RecordError(path, row, "turns", error.message, error.message_ar), "bad_text", record.id)
        return 0
    if size < 1:
        on_bad(RecordError(path, row, "turns", "has nothing to learn", "لا شيء للتعلم منه"), "bad_text", record.id)
    return size


class _Writer:
    """Writes rows as columns; a context manager."""

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self._kind, self._rows = kind, list[tuple[int, ...]]()
        self._files = {name: path.with_name(f"{path.name}-{name}").open("wb") for name in kind.names or ()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._write()
        for file in self._files.values():
            file.close()

    def add(self, rows: Iterable[tuple[int, ...]]) -> None:
        self._rows += rows
        if len(self._rows) >= _BUFFERED:
            self._write()

    def _write(self) -> None:
        table = np.array(self._rows, self._kind)
        for name, file in self._files.items():
            file.write(table[name].tobytes())
        self._rows.clear()


def _facts(record: Record, place: tuple[int, int, int, int, int]) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """The row of a record, and those of its images."""
    count, number, row, cell, size = place
    whole = msgspec.json.encode(record)
    content = msgspec.json.encode(msgspec.structs.replace(record, provenance=()))
    pair, parent = (
        key_of(f"{kind}:{name}") if name else 0 for kind, name in (("p", record.pair_id), ("i", record.parent))
    )
    fact = (
        key_of(f"i:{record.id}"), _key(content), _key(whole), pair, parent,
        size, len(whole), row, number, cell, SPLITS.index(record.split),
    )  # fmt: skip
    # By both, for another file may state only one of them. A study is one image, whichever frame is shown.
    shown = [f"path:{image.path}" for image in record.images]
    shown += [f"sha:{image.sha256}" for image in record.images if image.sha256]
    return fact, [(count, key_of(name)) for name in dict.fromkeys(shown)]


def _key(content: bytes) -> int:
    from hashlib import blake2b

    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _opened(rows: Columns, images: Columns, names: dict[str, int], files: tuple[Input, ...]) -> Facts:
    """The facts; cells get their places in sorted order, whatever the files' order."""
    cells = sorted(names)
    if len(rows):
        new = np.zeros(len(cells), np.uint8)
        new[[names[cell] for cell in cells]] = np.arange(len(cells))
        rows["cell"] = new[rows["cell"]]
    return Facts(rows, images, tuple(cells), files)
