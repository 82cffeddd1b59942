"""The common interface of the source adapters: what a source is, and one pass over its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from bimedix2.errors import ConfigError, RecordError
from bimedix2.records import OnError, Record, Step, find_fault
from bimedix2.records.schema import Language, Split, Task

from ._common import INGEST

Row = TypeVar("Row")
DEFAULT_SPLITS: frozenset[Split] = frozenset({"train", "dev"})


class Said(NamedTuple):
    """One thing in English and Arabic."""

    en: str
    ar: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of one source, given as ``--set NAME=VALUE``."""

    name: str
    default: str
    meaning: str
    meaning_ar: str


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """An archive as it is published, and the folder that must be there once it is unpacked (from the data root)."""

    path: str
    folder: str


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a user must know of a public set before its files are read.

    Attributes:
        name: also the name of its folder in the data root, unless ``files`` says otherwise.
        licence: as in ``Record``.
        languages, tasks, splits: of the records it gives.
        files: as published, from the data root; alternatives stand in one entry, with " or " between them.
        notes, notes_ar: what is special about it.
        options: its settings.
        archives: what has to be unpacked.
    """

    name: str
    licence: str
    languages: tuple[Language, ...]
    tasks: tuple[Task, ...]
    splits: tuple[Split, ...]
    files: tuple[str, ...]
    notes: str
    notes_ar: str
    options: tuple[Option, ...] = ()
    archives: tuple[Archive, ...] = ()


@dataclass
class Reading:
    """One pass over a source: what is wanted, and what was left out on the way.

    Attributes:
        root: folder that holds the sources' folders.
        splits: which are wanted.
        on_error: takes the error of each bad row, which is left out; ``None`` raises it.
        options: of the source, defaults filled in.
        encoding: of text files that are not UTF-8.
        pictures: folder for pictures that lie inside a data file; ``None`` leaves those records out.
        peek: a split is only looked at: it is in order that its files are not there, and no picture is written.
        skipped: rows that are no fault but not wanted, by reason.
        files: that were read.
        absent: files of wanted splits that are not there.
        place: file and row of the record that was yielded last.
    """

    root: Path
    splits: frozenset[Split] = DEFAULT_SPLITS
    on_error: OnError | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    pictures: Path | None = None
    peek: bool = False
    skipped: Counter[Said] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)
    absent: list[Path] = field(default_factory=list)
    place: tuple[Path, int] = (Path(), 0)

    def refuse(self, error: RecordError) -> None:
        """Hand the error of a bad row on, or raise it where nobody takes it."""
        if self.on_error is None:
            raise error
        self.on_error(error)

    def skip(self, english: str, arabic: str) -> None:
        """Count a row that is left out on purpose."""
        self.skipped[Said(english, arabic)] += 1

    def flag(self, name: str) -> bool:
        """A yes-or-no option.

        Raises:
            ConfigError: it is neither.
        """
        value = self.options[name]
        if value not in ("yes", "no"):
            raise ConfigError(
                f"--set {name}={value}: must be yes or no.", f"الخيار --set {name}={value}: القيمة yes أو no."
            )
        return value == "yes"

    def relative(self, path: Path) -> str:
        """``path`` from the data root where it lies below it, with forward slashes."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


Read = Callable[[Reading], Iterator[Record]]


class Source(NamedTuple):
    """A set and its reader."""

    info: SourceInfo
    read: Read


def files_of(reading: Reading, info: SourceInfo, by_split: Mapping[Split, Sequence[str]]) -> list[tuple[Split, Path]]:
    """(split, file) of each wanted split.

    Args:
        reading: its ``absent`` gets the splits' files that are not there.
        info: of the source, for the error.
        by_split: patterns from the data root; of several, all files of the first that fits.

    Raises:
        RecordError: none of the wanted files is there.
    """
    found: list[tuple[Split, Path]] = []
    wanted = {split: patterns for split, patterns in by_split.items() if split in reading.splits}
    for split, patterns in wanted.items():
        paths = next((paths for pattern in patterns if (paths := sorted(reading.root.glob(pattern)))), [])
        if not paths:
            reading.absent.append(reading.root / patterns[0])
        found += [(split, path) for path in paths]
    if wanted and not found and not reading.peek:
        raise missing(reading.absent[-len(wanted)], info, reading)
    return found


def missing(path: Path, info: SourceInfo, reading: Reading) -> RecordError:
    """The error of a source whose files are not there."""
    needed, wanted = "; ".join(info.files), ", ".join(sorted(reading.splits))
    test = "test" in info.splits and "test" not in reading.splits
    hint = " Its official test split comes only with --split test." if test else ""
    hint_ar = " لا يأتي قسم الاختبار الرسمي إلا بالخيار --split test." if test else ""
    return RecordError(
        path,
        0,
        "file",
        f"not found. For the splits {wanted}, {info.name} needs below --root: {needed}.{hint}",
        f"غير موجود. للأقسام {wanted} تحتاج {info.name} تحت --root إلى: {needed}.{hint_ar}",
    )


def each(
    reading: Reading,
    path: Path,
    rows: Iterable[tuple[int, Row]],
    make: Callable[[int, Row], Iterable[Record]],
    field_name: Callable[[str], str] = lambda name: name,
) -> Iterator[Record]:
    """The records of each row, all of them or none; a bad row is refused and the next one goes on.

    Args:
        reading: gets file and row of each record.
        path: of the rows.
        rows: (number from 1, row).
        make: records of a row; raises ``RecordError`` for a bad one.
        field_name: from a record's field to the file's, for errors.
    """
    if path not in reading.files:
        reading.files.append(path)
    name = reading.relative(path)
    for number, row in rows:
        try:
            made = [record for record in make(number, row) if record.split in reading.splits]
            for record in made:
                fault = find_fault(record)
                if fault is not None:
                    raise RecordError(path, number, field_name(fault.field), fault.problem, fault.problem_ar)
        except RecordError as error:
            reading.refuse(error)
            continue
        reading.place = (path, number)
        step = msgspec.structs.replace(INGEST, note=f"{name} row {number}")
        for record in made:
            yield stamped(record, step)


def stamped(record: Record, step: Step) -> Record:
    """The record with ``step`` as its ingest step, in the place of a bare one if it has that."""
    kept = record.provenance[1:] if record.provenance[:1] == (INGEST,) else record.provenance
    return msgspec.structs.replace(record, provenance=(step, *kept))
