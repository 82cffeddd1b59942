"""Second pass: the chosen records, shuffled by hash, through files of a few megabytes each.

The place of a record in the mix depends on the seed and its id alone. Records are dealt to files by the first bits of
their rank; each file is then sorted in memory, one after the other.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2 import __version__
from bimedix2.errors import DataError
from bimedix2.records import Record, Step, write_records

from .facts import Facts
from .hashes import key_of, ranks
from .plan import Plan
from .settings import MixSettings

_BUCKET_BYTES, _MOST_BUCKETS = 16 << 20, 200
_HEAD = struct.Struct("<QI")
_STEP_BYTES = 200


class Written(NamedTuple):
    """What came out; ``counts`` by source and by licence."""

    records: int
    content_sha256: str
    counts: dict[str, dict[str, int]]


def write_mix(facts: Facts, plan: Plan, settings: MixSettings, counted_by: str, work: Path) -> Written:
    """Write the mix; it appears whole or not at all.

    Raises:
        DataError: ``changed``: an input is not what it was in the first pass.
    """
    total = int(np.dot(plan.uses.astype(np.float64), facts.rows["bytes"] + float(_STEP_BYTES)))
    buckets = [work / f"bucket-{number:03d}" for number in range(min(_MOST_BUCKETS, 1 + total // _BUCKET_BYTES))]
    counts = _deal(facts, plan, settings, counted_by, buckets)
    digest = hashlib.sha256()
    written = write_records(settings.out, _sorted(buckets, digest))
    return Written(written, digest.hexdigest(), {name: dict(sorted(own.items())) for name, own in counts.items()})


def _deal(
    facts: Facts, plan: Plan, settings: MixSettings, counted_by: str, buckets: list[Path]
) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {"source": Counter(), "licence": Counter()}
    step = Step(name="mix", tool="bimedix2", version=__version__, note=_note(settings, counted_by))
    ids = facts.rows["id"]
    first = ranks(ids, settings.seed, "order")
    known = np.sort(ids) if int(plan.uses.max(initial=0)) > 1 else None
    place = 0
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in buckets]
        for file in facts.files:
            for _, record in file.records():
                if place >= len(plan.uses) or key_of(f"i:{record.id}") != int(ids[place]):
                    raise changed(file.name)
                uses = int(plan.uses[place])
                for copy in range(1, uses + 1):
                    rank = int(first[place]) if copy == 1 else int(_again(first[place : place + 1], copy)[0])
                    made = _copied(record, copy, step)
                    if copy > 1 and known is not None:
                        _require_new(made.id, known, file.name)
                    _put(files, rank, made)
                if uses:
                    counts["source"][record.source] += uses
                    counts["licence"][record.licence] += uses
                place += 1
    if place != len(plan.uses):
        raise changed(facts.files[-1].name)
    return counts


def changed(path: Path) -> DataError:
    """An input is not what it was."""
    return DataError(
        f"{path} was changed while it was being mixed. Mix again when it is complete.",
        f"تغير الملف {path} أثناء الخلط. أعد الخلط بعد اكتماله.",
        code="changed",
    )


def _note(settings: MixSettings, counted_by: str) -> str:
    targets = ", ".join(f"{pattern} {amount:g}" for pattern, amount in settings.targets.items())
    return f"seed {settings.seed}, {counted_by}" + (f": {targets}" if targets else "")


def _again(rank: NDArray[np.uint64], copy: int) -> NDArray[np.uint64]:
    return ranks(rank, copy, "copy")


def _copied(record: Record, copy: int, step: Step) -> Record:
    """A record of the mix. A second copy is made from the first: it names it as its parent, where it has no other.

    Copies are pairs of their own: training takes one conversation of a pair and language an epoch.
    """
    record = msgspec.structs.replace(record, provenance=(*record.provenance, step))
    if copy == 1:
        return record
    return msgspec.structs.replace(
        record,
        id=f"{record.id}~{copy}",
        parent=record.parent or record.id,
        pair_id=f"{record.pair_id}~{copy}" if record.pair_id else None,
    )


def _require_new(name: str, ids: NDArray[np.uint64], path: Path) -> None:
    key = np.uint64(key_of(f"i:{name}"))
    place = int(np.searchsorted(ids, key))
    if place < len(ids) and ids[place] == key:
        raise DataError(
            f"{path}: a copy would get the id {name}, which another record has. Mix from the originals, not from a mix "
            "with copies.",
            f"{path}: ستأخذ نسخة المعرف {name} وهو لسجل آخر. اخلط من الأصول لا من خليط فيه نسخ.",
            code="conflicts",
        )


def _put(files: Sequence[IO[bytes]], rank: int, record: Record) -> None:
    line = msgspec.json.encode(record)
    file = files[rank * len(files) >> 64]
    file.write(_HEAD.pack(rank, len(line)))
    file.write(line)


def _sorted(buckets: list[Path], digest: hashlib._Hash) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(Record)
    for path in buckets:
        for _, line in sorted(_entries(path.read_bytes())):
            digest.update(line)
            digest.update(b"\n")
            yield decoder.decode(line)
        path.unlink()


def _entries(content: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(content):
        rank, length = _HEAD.unpack_from(content, start)
        start += _HEAD.size
        yield rank, content[start : start + length]
        start += length
