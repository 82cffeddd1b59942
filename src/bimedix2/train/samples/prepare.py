"""Records to a token store and an image store; what cannot be trained on is named, counted and left out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import DataError, RecordError
from bimedix2.records.schema import Record
from bimedix2.train.progress import Tell, silent

from .encode import KINDS, Bad, Sample, SampleEncoder, settings
from .files import ImageFiles, find_images, manifest_hash
from .images import ImageFormat, ImageStore, store_name
from .journal import sole_builder
from .store import FORMAT, TokenStore, TokenWriter
from .table import CHAT, stable_hash

if TYPE_CHECKING:
    from bimedix2.model import Bundle

# More bad samples than this mean that the data, the data root or the limits are wrong, not single samples.
MOST_SKIPPED = 0.05
_FEW_RECORDS = 100
_CHUNK = 2000


@dataclass(frozen=True)
class Skipped:
    """A record that is not trained on.

    Attributes:
        record_id: its id.
        file_or_row: where it is, for people: ``train.jsonl, row 12``.
        field: path of the field, such as ``images[0].path``.
        reason, reason_ar: what is wrong, in English and Arabic.
        file, row: where it is, for programs; records count from 1.
        kind: one of :data:`bimedix2.train.samples.encode.KINDS`.
    """

    record_id: str
    file_or_row: str
    field: str
    reason: str
    reason_ar: str
    file: str
    row: int
    kind: str

    def error(self) -> RecordError:
        """The same as an exception."""
        return RecordError(
            self.file,
            self.row,
            self.field,
            f"{self.reason} (record {self.record_id})",
            f"{self.reason_ar} (السجل {self.record_id})",
        )


@dataclass(frozen=True)
class Prepared:
    """Data ready to be trained on.

    Attributes:
        store: tokens and table.
        images: the pictures; ``None`` where no record has any.
        skipped: records that were left out, in order.
        manifest_hash: digest of the text and images of all records that were given.
    """

    store: TokenStore
    images: ImageStore | None
    skipped: list[Skipped]
    manifest_hash: str

    def count(self, rows: NDArray[np.int64] | slice = slice(None)) -> int:
        """Records among ``rows``, all without an argument; a record may have a row of each form."""
        return int((self.store.table.form[rows] == CHAT).sum())


def prepare(
    records: Sequence[Record],
    root: Path,
    bundle: Bundle,
    folder: Path,
    *,
    max_tokens: int,
    policy: Literal["skip", "stop"] = "skip",
    max_images: int = 0,
    plain: bool = False,
    image_format: ImageFormat = "raw",
    workers: int = 0,
    files: Sequence[tuple[str, int]] = (),
    say: Tell = silent,
) -> Prepared:
    """Tokenise records and store their images, once; later calls open what is there.

    A call that was killed is taken up by the next one with the same arguments. Processes that call it at the same
    time wait for the first.

    Args:
        records: conversations; gone through several times, so also a sequence that reads them from disk.
        root: folder that relative image paths start from.
        bundle: gives tokenizer, template, image token and image policy.
        folder: where the stores are kept.
        max_tokens: longest sample; a longer one is bad, never cut.
        policy: ``skip`` leaves bad samples out, ``stop`` ends at the first.
        max_images: most images of a sample; 0 sets no bound.
        plain: add the plain form of every record that has one.
        image_format: see :class:`ImageStore`.
        workers: images decoded at a time; 0 takes the number of processors, 8 at most.
        files: name and number of records of each file that the records came from, in order, for messages.
        say: receives progress lines.

    Raises:
        RecordError: a bad sample, with ``policy="stop"``.
        DataError: ``too_many_bad_samples`` or ``no_samples``.
        AssetError: the disk is full or not writable.
    """
    found = find_images(records, root, folder, say)
    job = _Job(records, found, SampleEncoder(bundle, max_tokens, max_images, plain), policy, files, say)
    image_name = store_name(found.items, bundle.image_policy, image_format) if found.items else ""

    def build_images() -> ImageStore | None:
        if not found.items:
            return None
        return ImageStore.build(folder, found.items, bundle.image_policy, format=image_format, workers=workers, say=say)

    target = folder / f"tokens-{job.digest(image_name)}"
    if not target.is_dir():
        with sole_builder(target):
            if not target.is_dir():
                job.build(target, build_images, image_name)
    store = TokenStore(target)
    skipped = job.judge(store.skipped())
    return Prepared(store, build_images(), skipped, store.meta["manifest_hash"])


def open_prepared(folder: Path, name: str, files: Sequence[tuple[str, int]] = ()) -> Prepared:
    """What :func:`prepare` made, without the records: for the other processes of a run.

    Args:
        folder: the one given to ``prepare``.
        name: of the token store, ``Prepared.store.name``.
        files: see :func:`prepare`.
    """
    store = TokenStore(folder / name)
    names, image_name = store.meta["skipped_ids"], store.meta["images"]
    skipped = [
        _located(record_id, place, bad, files) for record_id, (place, bad) in zip(names, store.skipped(), strict=True)
    ]
    images = ImageStore(folder / image_name) if image_name else None
    return Prepared(store, images, skipped, store.meta["manifest_hash"])


@dataclass(frozen=True)
class _Job:
    """One call of :func:`prepare`."""

    records: Sequence[Record]
    found: ImageFiles
    encoder: SampleEncoder
    policy: str
    files: Sequence[tuple[str, int]]
    say: Tell

    def digest(self, image_name: str) -> str:
        """Key of the token store: all that its content depends on."""
        from bimedix2 import __version__

        parts = {"format": FORMAT, "version": __version__, "images": image_name, **settings(self.encoder)}
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        for record in self.records:
            digest.update(msgspec.json.encode(record))
            # Equal records show other pictures once a missing file has come back.
            digest.update(repr([self.found.place(image) for image in record.images]).encode())
        return digest.hexdigest()[:16]

    def build(self, target: Path, build_images: Callable[[], ImageStore | None], image_name: str) -> None:
        """Tokens first: they take minutes where images take hours, and most faults are found on the way."""
        writer = TokenWriter(target)
        try:
            self._tokenise(writer)
            skipped = writer.skipped()
            self.judge(skipped)
            images = build_images()
            broken = images.broken if images is not None else {}
            drop = [(row, place, self._broken(place, image, broken[image].message, broken[image].message_ar))
                    for row, place, image in writer.samples_with(broken)]  # fmt: skip
            # Both forms of a record show the same pictures; it is left out once.
            skipped = sorted([*skipped, *{place: bad for _, place, bad in drop}.items()], key=lambda pair: pair[0])
            self.judge(skipped)
            meta = {
                "manifest_hash": manifest_hash(self.records, list(self.found.digests.values())),
                "images": image_name,
                "records": len(self.records),
                "skipped_ids": [self.records[place].id for place, _ in skipped],
            }
            writer.finish(meta, skipped, [row for row, _, _ in drop])
        finally:
            writer.close()

    def _tokenise(self, writer: TokenWriter) -> None:
        repeated = _repeated(self.records)
        total = len(self.records)
        while writer.done < total:
            for place in range(writer.done, min(total, writer.done + _CHUNK)):
                outcome = _DUPLICATE if repeated[place] else self._encode(self.records[place])
                if not isinstance(outcome, Bad):
                    writer.add(*outcome)
                elif self.policy == "stop":
                    raise _located(self.records[place].id, place, outcome, self.files).error()
                else:
                    writer.skip(outcome)
            writer.commit()
            done = writer.done
            self.say(f"samples tokenised: {done} of {total}", f"العينات المرمزة: {done} من {total}")

    def _encode(self, record: Record) -> list[Sample] | Bad:
        places = [self.found.place(image) for image in record.images]
        if None in places:
            at = places.index(None)
            path = self.found.path(record.images[at])
            reason = f"{path} does not exist or cannot be read; correct the path or --data"
            reason_ar = f"الصورة {path} غير موجودة أو لا يمكن قراءتها؛ صحح المسار أو --data"
            return Bad("image_missing", f"images[{at}].path", reason, reason_ar)
        shown = [place for place in places if place is not None]
        sample = self.encoder.encode(record, shown)
        if isinstance(sample, Bad):
            return sample
        plain = self.encoder.encode_plain(record, shown)
        return [sample] if plain is None else [sample, plain]

    def _broken(self, place: int, image: int, message: str, message_ar: str) -> Bad:
        places = [self.found.place(reference) for reference in self.records[place].images]
        return Bad("image_broken", f"images[{places.index(image)}].path", message, message_ar)

    def judge(self, skipped: Sequence[tuple[int, Bad]]) -> list[Skipped]:
        """The bad samples with their places, unless they mean that training must not start."""
        rows = [_located(self.records[place].id, place, bad, self.files) for place, bad in skipped]
        if rows and self.policy == "stop":
            raise rows[0].error()
        total = len(self.records)
        if len(rows) == total:
            raise _refusal("no_samples", "No record can be trained on", "لا يصلح أي سجل للتدريب", rows)
        if total >= _FEW_RECORDS and len(rows) > MOST_SKIPPED * total:
            raise _refusal(
                "too_many_bad_samples",
                f"{len(rows)} of {total} records cannot be trained on, so the data or the settings are probably wrong",
                f"{len(rows)} من {total} سجل لا تصلح للتدريب، والأرجح أن البيانات أو الإعدادات خاطئة",
                rows,
            )
        return rows


_DUPLICATE = Bad("duplicate_id", "id", "another record before it has the same id", "المعرف مستخدم في سجل سابق")


def _repeated(records: Sequence[Record]) -> NDArray[np.bool_]:
    """(N,) True where an earlier record has the same id."""
    keys = np.fromiter((stable_hash(record.id) for record in records), np.uint64, len(records))
    again = np.ones(len(records), bool)
    again[np.unique(keys, return_index=True)[1]] = False
    return again


def _located(record_id: str, place: int, bad: Bad, files: Sequence[tuple[str, int]]) -> Skipped:
    file, row = "records", place + 1
    for name, count in files:
        file = name
        if row <= count:
            break
        row -= count
    return Skipped(record_id, f"{file}, row {row}", bad.field, bad.reason, bad.reason_ar, file, row, bad.kind)


def _refusal(code: str, message: str, message_ar: str, rows: Sequence[Skipped]) -> DataError:
    counts = Counter(row.kind for row in rows).most_common()
    first = rows[0] if rows else None
    english = "; ".join(f"{KINDS[kind][0]}: {count}" for kind, count in counts)
    arabic = "؛ ".join(f"{KINDS[kind][1]}: {count}" for kind, count in counts)
    if first is None:
        return DataError(f"{message}: there are none.", f"{message_ar}: لا توجد سجلات.", code=code)
    return DataError(
        f"{message} ({english}). The first is {first.file_or_row}, field {first.field}: {first.reason}.",
        f"{message_ar} ({arabic}). أولها {first.file}، الصف {first.row}، الحقل {first.field}: {first.reason_ar}.",
        code=code,
    )
