"""Records screened and, if wanted, redacted; rows tell where and of what shape, never the value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from bimedix2 import __version__
from bimedix2.data.locks import only_one
from bimedix2.data.runner import LocalRunner, Runner, batched, with_batches
from bimedix2.errors import ConfigError
from bimedix2.images.sniff import HEAD_BYTES, sniff
from bimedix2.records import Record, Step, read_records, write_records

from .patterns import Kind
from .text import redact, scan_text, shape

ImageKind = Literal["burned_in", "unreadable"]
Take = Callable[["PhiRow"], None]
BATCH = 256  # records that go to a worker together


class PhiRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding.

    Attributes:
        file: where it is.
        row: of the record, from 1; of a text file its line.
        id: of the record; masked, for ids may be names of patients.
        field: such as ``turns[0].text`` or ``source_id``.
        kind: see ``patterns.KINDS``; of an image ``burned_in``.
        start, end: offsets in the field, in characters.
        shape: of the value: runs of capitals, letters and digits as one sign each.
        notes: of an image, why.
    """

    file: str
    row: int
    id: str
    field: str
    kind: Kind | ImageKind
    start: int = 0
    end: int = 0
    shape: str = ""
    notes: tuple[str, ...] = ()


def record_rows(file: str, row: int, record: Record) -> Iterator[PhiRow]:
    """Findings in the texts and names of a record."""
    texts = [(f"turns[{index}].text", turn.text) for index, turn in enumerate(record.turns)]
    texts += [("id", record.id), ("source_id", record.source_id)]
    texts += [(f"images[{index}].path", image.path) for index, image in enumerate(record.images)]
    for field, text in texts:
        yield from text_rows(file, row, redact(record.id), field, text)


def text_rows(file: str, row: int, name: str, field: str, text: str) -> Iterator[PhiRow]:
    """Findings in one text."""
    for found in scan_text(text):
        value = shape(text[found.start : found.end])
        yield PhiRow(file, row, name, field, found.kind, found.start, found.end, value)


def image_rows(file: str, row: int, record: Record, root: Path) -> Iterator[PhiRow]:
    """Images of a record that may have names or dates written into them: DICOM by its attributes, all by their pixels.

    A file that cannot be read is told, for nobody knows what it shows.
    """
    from .burned_in import picture_notes

    for index, image in enumerate(record.images):
        notes = picture_notes(root / image.path, image.frame)
        if notes:
            kind: ImageKind = "unreadable" if notes == ("unreadable",) else "burned_in"
            yield PhiRow(file, row, redact(record.id), f"images[{index}]", kind, notes=notes)


def scan_records(path: Path, take: Take, root: Path | None = None, runner: Runner | None = None) -> dict[str, Any]:
    """Screen a file of records.

    Args:
        path: ``.jsonl`` or ``.parquet``.
        take: gets each finding as it comes, in the order of the file.
        root: folder that image paths start from; without it images are not looked at.
        runner: does the work; this process if not given.

    Returns:
        Counts: ``records``, ``with_findings``, ``findings`` by kind.
    """
    runner, records, hit = runner or LocalRunner(1), 0, 0
    counts: Counter[str] = Counter()
    numbered = enumerate(read_records(path, unique_ids=False), start=1)
    for batch in runner.map_batches(partial(_scanner, str(path), root), batched(numbered, BATCH)):
        for rows in batch:
            records += 1
            hit += bool(rows)
            counts.update(row.kind for row in rows)
            for row in rows:
                take(row)
    return {"records": records, "with_findings": hit, "findings": dict(sorted(counts.items()))}


def _scanner(file: str, root: Path | None) -> Callable[[Sequence[tuple[int, Record]]], list[list[PhiRow]]]:
    def scan(batch: Sequence[tuple[int, Record]]) -> list[list[PhiRow]]:
        found = []
        for row, record in batch:
            rows = list(record_rows(file, row, record))
            found.append(rows if root is None else [*rows, *image_rows(file, row, record, root)])
        return found

    return scan


def redacted(record: Record) -> Record:
    """The record with labels in its turns, and a step that counts them; unchanged where nothing is found.

    Ids and paths stay, for other files refer to them.
    """
    counts: Counter[str] = Counter()
    turns = []
    for turn in record.turns:
        found = scan_text(turn.text)
        counts.update(one.kind for one in found)
        turns.append(msgspec.structs.replace(turn, text=redact(turn.text, found)) if found else turn)
    if not counts:
        return record
    note = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    step = Step(name="redact", tool="bimedix2", version=__version__, note=note)
    return msgspec.structs.replace(record, turns=tuple(turns), provenance=(*record.provenance, step))


def redact_all(records: Iterable[Record], runner: Runner | None = None) -> Iterator[Record]:
    """``redacted`` of each record, in order."""
    for batch in (runner or LocalRunner(1)).map_batches(_redacter, batched(records, BATCH)):
        yield from batch


def _redacter() -> Callable[[Sequence[Record]], list[Record]]:
    return lambda batch: list(map(redacted, batch))


def marked(records: Iterable[Record], runner: Runner | None = None) -> Iterator[tuple[Record, bool]]:
    """Each record, and whether its turns hold anything that may identify a person."""
    for batch, marks in with_batches(runner or LocalRunner(1), _marker, batched(records, BATCH)):
        yield from zip(batch, marks, strict=True)


def _marker() -> Callable[[Sequence[Record]], list[bool]]:
    return lambda batch: [any(scan_text(turn.text) for turn in record.turns) for record in batch]


def redact_records(path: Path, out: Path, runner: Runner | None = None) -> int:
    """Write all records with labels in the place of what identifies, and return their number.

    Raises:
        ConfigError: ``out`` is the file itself.
        RecordError: a row is bad.
    """
    _other(path, out)
    with only_one(out):
        return write_records(out, redact_all(read_records(path, unique_ids=False), runner))


def _other(path: Path, out: Path) -> None:
    if out.absolute() == path.absolute():
        raise ConfigError("--out must not be the file itself.", "يجب ألا يكون --out الملف نفسه.")


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content."""
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES)) == "dicom"
