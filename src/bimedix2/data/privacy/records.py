"""Records screened and, if wanted, redacted; rows tell where and of what shape, never the value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from bimedix2 import __version__
from bimedix2.data.locks import only_one
from bimedix2.errors import ConfigError
from bimedix2.images.sniff import HEAD_BYTES, sniff
from bimedix2.records import Record, Step, read_records, write_records

from .patterns import Kind
from .text import redact, scan_text, shape

ImageKind = Literal["burned_in", "unreadable"]
Take = Callable[["PhiRow"], None]


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


def scan_records(path: Path, take: Take, root: Path | None = None) -> dict[str, Any]:
    """Screen a file of records.

    Args:
        path: ``.jsonl`` or ``.parquet``.
        take: gets each finding as it comes.
        root: folder that image paths start from; without it images are not looked at.

    Returns:
        Counts: ``records``, ``with_findings``, ``findings`` by kind.
    """
    records = hit = 0
    counts: Counter[str] = Counter()
    for records, record in enumerate(read_records(path, unique_ids=False), start=1):
        rows = list(record_rows(str(path), records, record))
        if root is not None:
            rows += image_rows(str(path), records, record, root)
        hit += bool(rows)
        counts.update(row.kind for row in rows)
        for row in rows:
            take(row)
    return {"records": records, "with_findings": hit, "findings": dict(sorted(counts.items()))}


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


def redact_records(path: Path, out: Path) -> int:
    """Write all records with labels in the place of what identifies, and return their number.

    Raises:
        ConfigError: ``out`` is the file itself.
        RecordError: a row is bad.
    """
    _other(path, out)
    with only_one(out):
        return write_records(out, map(redacted, read_records(path, unique_ids=False)))


def _other(path: Path, out: Path) -> None:
    if out.absolute() == path.absolute():
        raise ConfigError("--out must not be the file itself.", "يجب ألا يكون --out الملف نفسه.")


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content."""
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES)) == "dicom"
