"""Near duplicates within one set: of records that say nearly the same about the same images the first stays.

Records are compared as whole conversations. Two count as near duplicates only if, beside their words, these agree
exactly: language, images (equal pixels or a re-encoded or resized copy; crops and mirror images are other images),
short answers, numbers, sides and negations. "Right effusion" and "left effusion" are no duplicates however alike.

Signatures lie in a file on disk, which is read once a band; only keys of the records are held in memory.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2 import __version__
from bimedix2.data.good_rows import GoodRows
from bimedix2.data.locks import only_one
from bimedix2.data.quarantine import Quarantine, quarantine_path
from bimedix2.data.runner import LocalRunner, Runner, batched
from bimedix2.errors import ConfigError, RecordError
from bimedix2.records import Record, Step, write_records
from bimedix2.text.canonical import canonical

from .find import BATCH
from .image_groups import ImageGroups
from .minhash import NUMBERS, band_keys, rows_a_band, signatures, similarity
from .units import is_long, key_of

Images = Literal["near", "path"]
Say = Callable[[str, str], None]
Why = Literal["exact", "near", "parent"]
_GUARDED = re.compile(
    r"\d+|\b(?:left|right|bilateral|both|upper|lower|anterior|posterior|medial|lateral|proximal|distal|no|not|without|"
    r"absent|never|none|negative|positive|normal|abnormal|increased?|decreased?)\b|"
    r"(?<!\w)[وفبكل]{0,2}(?:ال)?(?:ايمن|يمين|يمني|ايسر|يسار|يسري|ثنايي|علوي|سفلي|امامي|خلفي|لا|لم|لن|ليس|ليست|غير|بدون|دون|"
    r"عدم|سلبي|ايجابي|طبيعي|زياده|نقص)(?:ه)?(?!\w)"
)
_HAMZA = str.maketrans({"ئ": "ي", "ؤ": "و"})
_ROW = np.dtype([("exact", "<u8"), ("context", "<u8"), ("parent", "<u8"), ("id", "<u8"), ("near", "?")])


@dataclass(frozen=True)
class DedupSettings:
    """How to look for duplicates.

    Attributes:
        similarity: least share of character 5-grams in common (Jaccard); 1 takes only equal texts.
        images: ``near`` opens them; ``path`` compares their paths.
        data: folder that image paths start from.
        runner: describes the texts; this process if not given.
    """

    similarity: float = 0.85
    images: Images = "near"
    data: Path = Path("data")
    runner: Runner | None = None


class Dropped(NamedTuple):
    """Why a record goes: like an earlier one, or made from one that goes."""

    first: int
    why: Why
    distance: float


def dedup(path: Path, out: Path, settings: DedupSettings | None = None, say: Say | None = None) -> dict[str, Any]:
    """Write the records of a set without near duplicates; ``OUT.quarantine.jsonl`` has the others, with reasons.

    Args:
        path: ``.jsonl`` or ``.parquet``.
        out: ``.jsonl`` or ``.parquet``.
        settings: how.
        say: takes progress in English and Arabic.

    Returns:
        Counts: ``records``, ``written``, ``dropped`` by reason, ``bad_rows``, which are in the quarantine file too.

    Raises:
        ConfigError: ``out`` is the set itself.
        RecordError: the file is missing or damaged as a whole, or an image cannot be read.
    """
    settings = settings or DedupSettings()
    say = say or (lambda english, arabic: None)
    if out.absolute() == path.absolute():
        raise ConfigError("--out must not be the set itself.", "يجب ألا يكون --out ملف المجموعة نفسه.")
    with ExitStack() as stack:
        stack.enter_context(only_one(out))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent)))
        groups = stack.enter_context(ImageGroups(settings.data, opened=settings.images == "near"))
        rows = GoodRows(path)
        groups.look(rows)
        count = _describe(rows, scratch, groups, settings.runner or LocalRunner(1))
        say(f"{count:,} records described", f"وصف {count:,} سجل")
        dropped = _dropped(scratch, count, settings)
        written = _write(rows, out, dropped, settings)
    why = dict(Counter(one.why for one in dropped.values()))
    return {"records": count, "written": written, "dropped": why, "bad_rows": rows.bad}


def _describe(rows: GoodRows, scratch: Path, groups: ImageGroups, runner: Runner) -> int:
    """Put the keys and the signature of each record on disk and return their number."""
    count = 0
    shown = ((record, groups.key(record)) for record in rows.records())
    with (scratch / "rows").open("wb") as keys, (scratch / "signatures").open("wb") as signs:
        for number, own_keys, own_signs in runner.map_batches(_describer, batched(shown, BATCH)):
            keys.write(own_keys)
            signs.write(own_signs)
            count += number
    return count


def _describer() -> Callable[[Sequence[tuple[Record, str]]], tuple[int, bytes, bytes]]:
    return _described


def _described(batch: Sequence[tuple[Record, str]]) -> tuple[int, bytes, bytes]:
    """Number, keys and signatures of records with the numbers of their images."""
    found = np.zeros(len(batch), _ROW)
    texts: list[str] = []
    for place, (record, images) in enumerate(batch):
        turns = [canonical(turn.text) for turn in record.turns]
        short = [
            text for turn, text in zip(record.turns, turns, strict=True) if turn.role != "user" and not is_long(text)
        ]
        whole, shown = "\x1e".join(turns), f"{record.turns[-1].language}\x1d{images}"
        context = "\x1d".join([shown, "\x1e".join(short), *guarded(whole)])
        parent, own = (key_of(name) if name else 0 for name in (record.parent, record.id))
        found[place] = (key_of(f"{shown}\x1d{whole}"), key_of(context), parent, own, is_long(whole))
        texts.append(" ".join(turns).strip() or " ")
    return len(batch), found.tobytes(), signatures(texts).tobytes()


def guarded(text: str) -> list[str]:
    """What may not differ between near duplicates of a canonical text: numbers, sides, negations and the like.

    >>> guarded("no effusion on the left 12 mm"), guarded("لا انصباب في الجانب الايمن")
    (['12', 'left', 'no'], ['الايمن', 'لا'])
    """
    return sorted(_GUARDED.findall(text.translate(_HAMZA)))


def _dropped(scratch: Path, count: int, settings: DedupSettings) -> dict[int, Dropped]:
    """Place of every record that goes, from 0."""
    if not count:
        return {}
    rows = np.memmap(scratch / "rows", _ROW, "r", shape=(count,))
    gone = {int(row): Dropped(int(first), "exact", 0.0) for row, first in _equal(np.asarray(rows["exact"]))}
    if settings.similarity < 1:
        _add_near(rows, scratch / "signatures", settings.similarity, gone)
    _add_children(rows, gone)
    return gone


def _equal(keys: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """(place, place of the first with the same key) of all but the first."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    first = np.repeat(order[starts], np.diff(np.append(starts, len(keys))))
    again = order != first
    yield from zip(order[again].tolist(), first[again].tolist(), strict=True)


def _add_near(rows: Any, path: Path, threshold: float, gone: dict[int, Dropped]) -> None:
    """A record goes if it is like an earlier one that stays; in order, so that likeness does not chain."""
    compared = np.array(rows["near"])
    compared[list(gone)] = False
    places = np.flatnonzero(compared)
    context = np.asarray(rows["context"])[places]
    signs = np.memmap(path, np.uint8, "r", shape=(len(rows), NUMBERS))
    pairs: dict[int, list[tuple[int, float]]] = {}
    size = rows_a_band(threshold)
    for band in range(NUMBERS // size):
        keys = _keys_of_band(path, places, band * size, size) ^ context
        for one, other, alike in _alike_in_band(keys, places, signs, threshold):
            pairs.setdefault(one, []).append((other, alike))
    for one in sorted(pairs):
        kept = [(-alike, other) for other, alike in pairs[one] if other not in gone]
        if kept:
            alike, other = min(kept)
            gone[one] = Dropped(other, "near", round(1 + alike, 3))


def _keys_of_band(path: Path, places: NDArray[Any], first: int, size: int) -> NDArray[Any]:
    """(P,) keys of one band of the signatures at these places, read in parts: mapped, the whole file would be held."""
    found = []
    for part in np.array_split(places, max(1, len(places) // 65536)):
        low, high = (int(part[0]), int(part[-1]) + 1) if len(part) else (0, 0)
        block = np.fromfile(path, np.uint8, (high - low) * NUMBERS, offset=low * NUMBERS).reshape(-1, NUMBERS)
        found.append(band_keys(np.ascontiguousarray(block[part - low, first : first + size]), size)[0])
    return np.concatenate(found)


def _alike_in_band(
    keys: NDArray[Any], places: NDArray[Any], signs: Any, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """(later, earlier, similarity) of records with equal keys; each is compared with the leaders before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else np.empty(0, int)
    sizes = np.diff(np.append(starts, len(keys)))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        members = places[order[start : start + size]]
        own = np.asarray(signs[members])
        leaders: list[int] = []
        for at in range(size):
            if leaders:
                alike = similarity(own[leaders], own[at])
                best = int(alike.argmax())
                if alike[best] >= threshold:
                    yield int(members[at]), int(members[leaders[best]]), float(alike[best])
                    continue
            if len(leaders) < _LEADERS:
                leaders.append(at)


_LEADERS = 256  # of records that agree in a band but are not alike; bounds the work on set phrases


def _add_children(rows: Any, gone: dict[int, Dropped]) -> None:
    """What was made from a record that goes, goes too: a translation would have lost its original."""
    ids, parents = np.asarray(rows["id"]), np.asarray(rows["parent"])
    new = list(gone)
    kept_ids = None
    while new:
        first = {int(ids[place]): place for place in new}
        if kept_ids is None:  # an id that stays under another row keeps its children
            kept_ids = np.delete(ids, new)
        keys = np.setdiff1d(np.fromiter(first, np.uint64), kept_ids)
        found = np.flatnonzero(np.isin(parents, keys) & (parents != 0))
        new = [place for place in found.tolist() if place not in gone]
        for place in new:
            gone[place] = Dropped(first[int(parents[place])], "parent", 0.0)
        kept_ids = np.delete(ids, list(gone))


def _write(rows: GoodRows, out: Path, dropped: dict[int, Dropped], settings: DedupSettings) -> int:
    quarantine, done = Quarantine(quarantine_path(out)), False
    firsts = {one.first for one in dropped.values()}
    names: dict[int, str] = {}
    note = f"similarity {settings.similarity:g}, images by {settings.images}"
    step = Step(name="dedup", tool="bimedix2", version=__version__, note=note)

    def kept() -> Iterator[Record]:
        for place, record in enumerate(rows.records()):
            if place in firsts:
                names[place] = record.id
            if place not in dropped:
                yield msgspec.structs.replace(record, provenance=(*record.provenance, step))

    try:
        written = write_records(out, kept())
        for place, record in enumerate(rows.records(quarantine.add)):
            if place in dropped:
                _set_aside(
                    quarantine, rows.path, rows.row(place + 1), record.id, dropped[place], names[dropped[place].first]
                )
        done = True
    finally:
        quarantine.close(keep=done)
    return written


_WHY: dict[Why, tuple[str, str]] = {
    "exact": ("says the same about the same images as {first}", "يطابق {first} نصا وصورا"),
    "near": (
        "says nearly the same about the same images as {first}, distance {distance:g}",
        "يكاد يطابق {first} عن الصور نفسها، المسافة {distance:g}",
    ),
    "parent": ("was made from {first}, which is a duplicate", "مأخوذ من {first} وهو مكرر"),
}


def _set_aside(quarantine: Quarantine, path: Path, row: int, own: str, why: Dropped, first: str) -> None:
    english, arabic = (text.format(first=first, distance=why.distance) for text in _WHY[why.why])
    field = "parent" if why.why == "parent" else "turns"
    quarantine.add(RecordError(path, row, field, english, arabic), f"duplicate_{why.why}", own)
