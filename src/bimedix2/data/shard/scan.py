"""First pass over a mix: every image looked at once, records with unusable images set aside, everything counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.data.image_files import ImageFiles
from bimedix2.data.quarantine import Quarantine
from bimedix2.errors import DataError, RecordError
from bimedix2.images.sniff import HEAD_BYTES, sniff
from bimedix2.records import ImageRef, Record, read_records
from bimedix2.records.cells import cell_of

from .settings import ShardSettings, Tell
from .state import Look, State

_ENDINGS = {"jpeg": "jpg", "png": "png", "webp": "webp", "dicom": "dcm"}
_TELL_EVERY = 50_000


class Scan(NamedTuple):
    """What a mix holds.

    Attributes:
        records: without those set aside.
        left_out: rows set aside, by code.
        content_sha256: over the canonical lines of all records as the mix has them, as in the mix's own report.
        counts: by split, language, task, modality, source, licence and cell.
    """

    records: int
    left_out: dict[str, int]
    content_sha256: str
    counts: dict[str, dict[str, int]]


class Scanner:
    """Looks at the images of records.

    Args:
        settings: of the shards.
        state: keeps what was found.
    """

    def __init__(self, settings: ShardSettings, state: State) -> None:
        self._settings, self._state = settings, state
        self._files = ImageFiles(settings.data, settings.mix.parent)

    def scan(self, quarantine: Quarantine, tell: Tell) -> Scan:
        """Look at everything.

        Raises:
            DataError: ``repeated_id``: two records of the mix have one id.
        """
        digest, kept = hashlib.sha256(), 0
        counts = {
            name: Counter[str]() for name in ("split", "task", "modality", "source", "licence", "language", "cell")
        }
        self._state.begin_scan()
        for row, record in enumerate(read_records(self._settings.mix, unique_ids=False), start=1):
            digest.update(msgspec.json.encode(record) + b"\n")
            error = self._fault(row, record)
            if error is not None:
                quarantine.add(*error, record.id)
            else:
                kept += 1
                self._count(counts, record)
                for image in record.images:
                    self._state.add_picture(image.path, self.look(image))
            if row % _TELL_EVERY == 0:
                tell(f"{row:,} records looked at", f"فُحص {row:,} سجل")
        by = {name: dict(sorted(own.items())) for name, own in counts.items()}
        return Scan(kept, dict(sorted(quarantine.counts.items())), digest.hexdigest(), by)

    def usable(self) -> Iterator[Record]:
        """The records that the scan kept, with the names that their images have in the shards."""
        for row, record in enumerate(read_records(self._settings.mix, unique_ids=False), start=1):
            if self._fault(row, record) is None:
                yield self._renamed(record)

    def _renamed(self, record: Record) -> Record:
        images = []
        for image in record.images:
            look = self.look(image)
            name = self._state.name_of(look.sha256)
            images.append(msgspec.structs.replace(image, path=f"images/{name}", sha256=look.sha256))
        return msgspec.structs.replace(record, images=tuple(images)) if images else record

    def look(self, image: ImageRef) -> Look:
        """Hash and kind of an image, and whether it shows writing; each file is opened once."""
        path = self._settings.data / image.path
        facts, frame = path.stat(), image.frame or 0
        known = self._state.seen(image.path, frame, facts.st_size, facts.st_mtime_ns)
        wants_notes = self._settings.phi != "allow"
        if known is not None and (known.notes is not None or not wants_notes):
            return known
        with path.open("rb") as file:
            kind = sniff(file.read(HEAD_BYTES))
        ending = _ENDINGS.get(kind or "") or _plain(path.suffix)
        look = Look(sha256_file(path), ending, facts.st_size, _notes(path, image.frame) if wants_notes else None)
        self._state.keep(image.path, frame, facts.st_mtime_ns, look)
        return look

    def _fault(self, row: int, record: Record) -> tuple[RecordError, str] | None:
        """Why a record cannot be taken, with a code."""
        fault = self._files.fault_of(record)
        if fault is not None:
            error = RecordError(self._settings.mix, row, fault.field, fault.problem, fault.problem_ar)
            return error, f"{fault.kind}_image"
        for index, image in enumerate(record.images):
            look = self.look(image)
            if image.sha256 is not None and image.sha256 != look.sha256:
                problem = f"{image.path} is not the file that the record means: its SHA-256 differs; get it again"
                problem_ar = f"{image.path} ليس الملف الذي يعنيه السجل: بصمة SHA-256 مختلفة؛ نزله من جديد"
                return RecordError(
                    self._settings.mix, row, f"images[{index}].sha256", problem, problem_ar
                ), "other_image"
            if look.notes:
                problem = f"{image.path} may show who it is: {', '.join(look.notes)}; look at the picture"
                problem_ar = f"قد تظهر في {image.path} هوية المريض: {'، '.join(look.notes)}؛ افحص الصورة"
                return RecordError(
                    self._settings.mix, row, f"images[{index}].path", problem, problem_ar
                ), "marked_image"
        return None

    @staticmethod
    def _count(counts: dict[str, Counter[str]], record: Record) -> None:
        for name in ("split", "task", "modality", "source", "licence"):
            counts[name][getattr(record, name)] += 1
        counts["language"][record.turns[-1].language] += 1
        counts["cell"][cell_of(record)] += 1


def _plain(suffix: str) -> str:
    """A file's own ending if it is short and plain, else ``bin``."""
    ending = suffix.removeprefix(".").lower()
    return ending if ending.isascii() and ending.isalnum() and len(ending) <= 8 else "bin"


def _notes(path: Path, frame: int | None) -> tuple[str, ...]:
    from bimedix2.data.privacy.burned_in import picture_notes

    return picture_notes(path, frame)


def require_usable(scan: Scan, quarantine: Quarantine, settings: ShardSettings, listed: Path) -> None:
    """Raise ``DataError`` for records set aside that the settings do not allow to leave out."""
    marked, first = scan.left_out.get("marked_image", 0), quarantine.first
    missing = sum(scan.left_out.values()) - marked
    if first is not None and missing and not settings.skip_missing:
        raise DataError(
            f"{missing} records have images that cannot be used; {listed} lists them. First row {first.row}: "
            f"{first.reason}. Give the right --data, or leave these records out with --skip-missing.",
            f"عدد السجلات التي لا تصلح صورها: {missing}، يسردها {listed}. أولها الصف {first.row}: {first.reason_ar}. "
            "أعط --data الصحيح أو اترك هذه السجلات بالخيار --skip-missing.",
            code="missing_images",
        )
    if marked and settings.phi == "refuse":
        raise DataError(
            f"The images of {marked} records may show who the patient is; {listed} lists them. Look at them, "
            "then leave them out with --phi skip or take them with --phi allow.",
            f"قد تظهر هوية المريض في صور {marked} سجل؛ يسردها {listed}. افحصها ثم اتركها بالخيار --phi skip أو خذها "
            "بالخيار --phi allow.",
            code="marked_images",
        )
