"""From a public set's original files to records: streaming, whole or not at all, bad rows set aside with reasons.

Memory does not grow with the number of records. A run that is interrupted leaves the old output as it was; the next
run starts again, but pictures that were written and images that were hashed are not done twice.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from bimedix2.errors import ConfigError, DataError, RecordError
from bimedix2.records import Record, write_records
from bimedix2.records.schema import Split

from .archives import require_unpacked
from .image_files import ImageFiles
from .ingest_report import already_done, new_report, report_path, write_report
from .locks import only_one
from .quarantine import Quarantine, quarantine_path
from .seen import Place, Seen
from .sources._reading import DEFAULT_SPLITS, Reading, Source
from .sources.registry import find_source, settings_of

SPLITS: tuple[Split, ...] = get_args(Split)
Say = Callable[[str, str], None]
_TELL_EVERY = 50_000


@dataclass(frozen=True)
class IngestSettings:
    """How to ingest.

    Attributes:
        splits: wanted; the official test split only where it is named.
        options: of the source.
        encoding: of text files.
        keep_missing_images: take records whose images are not there.
        hash_images: put the SHA-256 of each image into its records.
        pictures: folder for pictures that lie inside data files; ``None`` is ``pictures`` beside the output.
        unpack: unpack archives that are not.
        strict: a bad row ends the run.
        force: do it again though nothing changed.
    """

    splits: frozenset[Split] = DEFAULT_SPLITS
    options: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    keep_missing_images: bool = False
    hash_images: bool = False
    pictures: Path | None = None
    unpack: bool = False
    strict: bool = False
    force: bool = False


def ingest(
    name: str, root: Path, out: Path, settings: IngestSettings | None = None, say: Say | None = None
) -> dict[str, Any]:
    """Write the records of a source and return the report that stands beside them in ``OUT.ingest.json``.

    Args:
        name: of the source.
        root: folder that holds the sources' folders.
        out: ``.jsonl`` or ``.parquet``. ``OUT.quarantine.jsonl`` gets the rows that were not taken.
        settings: how.
        say: takes progress, in English and Arabic.

    Returns:
        The report; its ``reused`` says whether an earlier run had done the same already.

    Raises:
        ConfigError: no such source, split, option or encoding.
        DataError: an archive is damaged or packed, no record came out, or another process writes ``out``.
        RecordError: a file is missing or damaged as a whole; with ``strict`` also any bad row.
    """
    settings = settings or IngestSettings()
    source = find_source(name)
    _check_settings(source, settings)
    options = settings_of(source.info, settings.options)
    request = _request(name, root, settings, options)
    with only_one(out):
        earlier = None if settings.force else already_done(out, request)
        if earlier is not None:
            return earlier | {"reused": True}
        if not settings.keep_missing_images:
            for archive in source.info.archives:
                require_unpacked(root / archive.path, root / archive.folder, unpack=settings.unpack)
        run = _Run(source, root, out, settings, options, say or (lambda english, arabic: None))
        return run.go(request) | {"reused": False}


def _check_settings(source: Source, settings: IngestSettings) -> None:
    wanted, known = settings.splits, source.info.splits
    if not wanted & set(known):
        raise ConfigError(
            f"{source.info.name} has the splits {', '.join(known)}; add --split {known[-1]}.",
            f"أقسام {source.info.name} هي {'، '.join(known)}؛ أضف --split {known[-1]}.",
        )
    try:
        "".encode(settings.encoding)
    except LookupError as error:
        raise ConfigError(
            f"--encoding {settings.encoding}: not known; for Arabic Windows files it is cp1256.",
            f"--encoding {settings.encoding}: غير معروف؛ لملفات ويندوز العربية استخدم cp1256.",
        ) from error


def _request(name: str, root: Path, settings: IngestSettings, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "source": name,
        "root": str(root.absolute()),
        "splits": sorted(settings.splits),
        "options": dict(options),
        "encoding": settings.encoding,
        "keep_missing_images": settings.keep_missing_images,
        "hash_images": settings.hash_images,
    }


class _Run:
    """One run over one source."""

    def __init__(
        self, source: Source, root: Path, out: Path, settings: IngestSettings, options: Mapping[str, str], say: Say
    ) -> None:
        self.source, self.root, self.out, self.settings, self.say = source, root, out, settings, say
        self.pictures = (settings.pictures or out.parent / "pictures").absolute()
        self.quarantine = Quarantine(quarantine_path(out))
        hashes = out.with_name(f".{out.name}.hashes.sqlite") if settings.hash_images else None
        self.images = ImageFiles(root, self.pictures, hashes)
        self.reading = Reading(root, settings.splits, self._refuse, options, settings.encoding, pictures=self.pictures)
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("split", "language", "task", "modality", "source", "licence")
        }
        self.numbers: Counter[str] = Counter()
        self._missing = False

    def go(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write the output, then the quarantine, then the report that says it is complete."""
        started, done = time.monotonic(), False
        try:
            with Seen() as seen:
                several = self._note_test_items(seen)
                written = write_records(self.out, self._records(seen, several))
            done = True
        finally:
            self.quarantine.close(keep=done)
            self.images.close(done=done)
        report = new_report(request, self.source.info, self.out, self.reading, self.quarantine)
        report |= {
            "records": written,
            "by": {name: dict(sorted(counts.items())) for name, counts in self.counts.items()},
            "numbers": dict(sorted(self.numbers.items())),
            "seconds": round(time.monotonic() - started, 3),
        }
        write_report(self.out, report)
        return report

    def _refuse(self, error: RecordError) -> None:
        if self.settings.strict:
            raise error
        self.quarantine.add(error)

    def _note_test_items(self, seen: Seen) -> bool:
        """Put the items of an official test split on record before any other is read; is there more than one split?

        A row that stands in train and in test is found only if the test rows are known first.
        """
        known = set(self.source.info.splits)
        if "part" in self.reading.options:  # a file of the user's own: all of its rows are of one split
            return False
        if "test" in known - self.settings.splits:
            test = Reading(
                self.root, frozenset({"test"}), lambda error: None, self.reading.options, self.settings.encoding,
                pictures=self.pictures, peek=True,
            )  # fmt: skip
            for record in self.source.read(test):
                self._note(seen, record, 0)
        return len(known) > 1

    def _note(self, seen: Seen, record: Record, row: int) -> tuple[str, Place] | None:
        """Keep a record's keys; the first that belongs to another split, with the place."""
        kind, found = SPLITS.index(record.split), None
        for what, key in (("item", _item_key(record)), ("source_id", f"s:{record.source}:{record.source_id}")):
            place = seen.first(key, kind, row)
            if place is not None and place.kind != kind:
                found = found or (what, place)
        return found

    def _records(self, seen: Seen, several: bool) -> Iterator[Record]:
        for row, record in enumerate(self.source.read(self.reading), start=1):
            if row % _TELL_EVERY == 0:
                self.say(f"{row:,} records read", f"قُرئ {row:,} سجل")
            fault = self._fault(seen, several, row, record)
            if fault is not None:
                self._set_aside(record, *fault)
                continue
            record = self.images.hashed(record) if not self._missing else record
            self._count(record)
            yield record
        self._require_some()
        # From here on the old output is replaced, and its report with it.
        report_path(self.out).unlink(missing_ok=True)

    def _fault(self, seen: Seen, several: bool, row: int, record: Record) -> tuple[str, str, str, str] | None:
        """(code, field, problem, problem in Arabic) of a record that cannot be taken."""
        image = self.images.fault_of(record)
        self._missing = image is not None
        if image is not None and not (self.settings.keep_missing_images and image.kind == "missing"):
            return "bad_image", image.field, image.problem, image.problem_ar
        if (first := seen.first(f"i:{record.id}", 0, row)) is not None:
            where = f"{record.id!r} is the id of record {first.row} too"
            return "duplicate_id", "id", where, f"المعرف {record.id!r} مكرر، سبق في السجل {first.row}"
        clash = self._note(seen, record, row) if several else None
        if clash is not None:
            what, place = clash
            other = SPLITS[place.kind]
            return (
                "contradictory_split",
                "split" if what == "item" else what,
                f"the same {what} is in {other} too; this copy in {record.split} is left out",
                f"العنصر نفسه في قسم {other} أيضا؛ تركت هذه النسخة من {record.split}",
            )
        return None

    def _set_aside(self, record: Record, code: str, name: str, problem: str, problem_ar: str) -> None:
        path, row = self.reading.place
        error = RecordError(path, row, name, problem, problem_ar)
        if self.settings.strict:
            raise error
        self.quarantine.add(error, code, record.id)

    def _count(self, record: Record) -> None:
        for name in ("split", "task", "modality", "source", "licence"):
            self.counts[name][getattr(record, name)] += 1
        self.counts["language"][record.turns[-1].language] += 1
        self.numbers["with_images"] += bool(record.images)
        self.numbers["images_missing"] += self._missing
        self.numbers["paired"] += record.pair_id is not None
        self.numbers["turns"] += len(record.turns)

    def _require_some(self) -> None:
        if self.counts["split"]:
            return
        first = self.quarantine.first
        why = f" The first reason: {first.file}, row {first.row}, field {first.field}: {first.reason}." if first else ""
        why_ar = f" أول سبب: {first.file}، الصف {first.row}: {first.reason_ar}." if first else ""
        raise DataError(
            f"{self.source.info.name}: no record came out, so nothing was written.{why}",
            f"{self.source.info.name}: لم ينتج أي سجل فلم يكتب شيء.{why_ar}",
            code="no_records",
        )


def _item_key(record: Record) -> str:
    """What makes two records the same question: the images and the user's words, whatever case and spacing."""
    words = " ".join(" ".join(turn.text for turn in record.turns if turn.role == "user").casefold().split())
    images = "\x1f".join(image.path for image in record.images)
    return f"q:{images}\x1e{hashlib.blake2b(words.encode(), digest_size=16).hexdigest()}"
