"""First pass: a few numbers a record, on disk, so that memory hardly grows with the number of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, get_args

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
_TELL_EVERY = 100_000
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


class Facts(NamedTuple):
    """Of N records with M images, in reading order.

    Attributes:
        rows: (N,) structured: keys of id, content, whole record, pair and parent (0: none); size, bytes, row from 1,
            places in the files, ``cells`` and ``SPLITS``.
        images: (M,) structured: place of the record, key of the image.
        cells: sorted names.
        files: what was read.
    """

    rows: NDArray[Any]
    images: NDArray[Any]
    cells: tuple[str, ...]
    files: tuple[Input, ...]

    def place(self, record: int) -> tuple[Path, int]:
        """File and row of a record."""
        return self.files[int(self.rows["file"][record])].name, int(self.rows["row"][record])


def gather(files: Sequence[Input], counter: Counter, work: Path, on_bad: OnBad, tell: Tell) -> Facts:
    """Read all records once.

    Args:
        files: inputs.
        counter: gives sizes.
        work: folder for the facts; they stay open in it.
        on_bad: takes the error, code and id of a record that cannot be used.
        tell: takes progress.

    Raises:
        RecordError: a file is missing or damaged as a whole.
    """
    names: dict[str, int] = {}
    count = 0
    with (work / "facts").open("wb") as rows, (work / "images").open("wb") as images:
        for number, file in enumerate(files):
            for row, record in file.records(on_bad):
                size = _size(file.name, row, record, counter, on_bad)
                cell = names.setdefault(cell_of(record), len(names))
                _put(rows, images, (count, number, row, cell, size), record)
                count += 1
                if count % _TELL_EVERY == 0:
                    tell(f"{count:,} records read", f"قُرئ {count:,} سجل")
    return _opened(work, names, tuple(files))


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


def _put(rows: IO[bytes], images: IO[bytes], place: tuple[int, int, int, int, int], record: Record) -> None:
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
    rows.write(np.array(fact, _FACT).tobytes())
    for image in record.images:
        # By both, for another file may state only one of them. A study is one image, whichever frame is shown.
        for key in {f"path:{image.path}", f"sha:{image.sha256}" if image.sha256 else f"path:{image.path}"}:
            images.write(np.array((count, key_of(key)), _IMAGE).tobytes())


def _key(content: bytes) -> int:
    from hashlib import blake2b

    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _opened(work: Path, names: dict[str, int], files: tuple[Input, ...]) -> Facts:
    """The facts as arrays over the files; cells get their places in sorted order, whatever the files' order."""
    cells = sorted(names)
    rows = _mapped(work / "facts", _FACT)
    if len(rows):
        new = np.zeros(len(cells), np.uint8)
        new[[names[cell] for cell in cells]] = np.arange(len(cells))
        rows["cell"] = new[rows["cell"]]
    return Facts(rows, _mapped(work / "images", _IMAGE), tuple(cells), files)


def _mapped(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    return np.memmap(path, kind, "r+") if path.stat().st_size else np.empty(0, kind)
