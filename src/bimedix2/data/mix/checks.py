"""What a mix is refused for: ids with two contents, items in two splits, test records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import write_whole
from bimedix2.errors import DataError

from .facts import SPLITS, Facts

Kind = Literal["id", "pair_id", "parent", "image"]
Places = NDArray[np.int64]
_LISTED, _SHOWN = 1000, 5
_PART = 1 << 18  # keys that are sorted at a time
_WHY: dict[Kind, tuple[str, str]] = {
    "id": ("have the same id and different content", "لهما المعرف نفسه ومحتوى مختلف"),
    "pair_id": ("are one pair in different splits", "زوج واحد في قسمين مختلفين"),
    "parent": ("come from one original but are in different splits", "من أصل واحد في قسمين مختلفين"),
    "image": ("show one image but are in different splits", "يعرضان الصورة نفسها في قسمين مختلفين"),
}


class Conflict(msgspec.Struct, frozen=True):
    """Two records that cannot both be as they say."""

    kind: Kind
    file: str
    row: int
    id: str
    split: str
    other_file: str
    other_row: int
    other_id: str
    other_split: str


def conflicts_path(out: Path) -> Path:
    """``mix.jsonl`` has ``mix.conflicts.jsonl``."""
    return out.with_name(f"{out.stem}.conflicts.jsonl")


def require_no_test(facts: Facts) -> None:
    """Raise ``DataError`` ``test_records`` if a record says that it is of a test split."""
    found = np.flatnonzero(facts.rows["split"] == SPLITS.index("test"))
    if not len(found):
        return
    path, row = facts.place(int(found[0]))
    files = sorted({str(facts.files[number].name) for number in np.unique(facts.rows.at("file", found))})
    raise DataError(
        f"{len(found)} records are of a test split and must not be trained on, the first is {path}, row {row}. Files: "
        f"{', '.join(files)}. Ingest them again without --split test.",
        f"{len(found)} من السجلات من قسم الاختبار ولا يجوز التدريب عليها، أولها في {path}، الصف {row}. الملفات: "
        f"{'، '.join(files)}. استوردها من جديد دون --split test.",
        code="test_records",
    )


def once_each(facts: Facts) -> tuple[NDArray[np.bool_], list[tuple[Kind, int, int]]]:
    """Which records stay if those that are there twice count once, and pairs with one id and different content.

    Of copies that differ only in their provenance one is chosen by its hash, so that the order of files is no matter.
    """
    keep = np.ones(len(facts.rows), bool)
    clashes: list[tuple[Kind, int, int]] = []
    places = _repeated(facts.rows["id"])
    if not len(places):
        return keep, clashes
    ids, content, full, file, row = (facts.rows.at(name, places) for name in ("id", "content", "full", "file", "row"))
    order = np.lexsort((row, file, full, content, ids))
    again = ids[order][1:] == ids[order][:-1]
    other = again & (content[order][1:] != content[order][:-1])
    places = places[order]
    keep[places[1:][again]] = False
    return keep, [("id", int(places[at]), int(places[at + 1])) for at in np.flatnonzero(other)]


def _repeated(keys: NDArray[np.uint64]) -> Places:
    """Places of the keys that come more than once."""
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    return np.flatnonzero(np.isin(keys, twice)) if len(twice) else np.empty(0, np.int64)


def split_clashes(facts: Facts, *, shared_images: bool) -> Iterator[tuple[Kind, int, int]]:
    """Records that belong together and are in different splits: two of each group."""
    splits = facts.rows["split"]
    if not len(splits) or splits.min() == splits.max():
        return
    yield from _in_parts("pair_id", [(facts.rows["pair"], None)], splits)
    yield from _in_parts("parent", [(facts.rows["parent"], None), (facts.rows["id"], None)], splits)
    if not shared_images:
        yield from _in_parts("image", [(facts.images["key"], facts.images["record"])], splits)


def _in_parts(
    kind: Kind, tables: list[tuple[NDArray[np.uint64], NDArray[Any] | None]], splits: NDArray[Any]
) -> Iterator[tuple[Kind, int, int]]:
    """The groups of equal keys, a range of keys at a time, so that what is sorted stays small.

    Args:
        kind: of the groups; of ``parent`` the second table has the originals, of which only those count that the first
            one names.
        tables: keys (0: none), and records if they are not the places themselves.
        splits: (N,) of all records.
    """
    parts = max(1, sum(len(keys) for keys, _ in tables) // _PART)
    bounds = [np.uint64((number << 64) // parts) for number in range(parts)]
    for number, low in enumerate(bounds):
        found = []
        for keys, records in tables:
            inside = keys >= max(low, np.uint64(1))
            if number + 1 < parts:
                inside &= keys < bounds[number + 1]
            places = np.flatnonzero(inside)
            found.append((keys[places], places if records is None else records[places].astype(np.int64)))
        if kind == "parent":
            named = np.isin(found[1][0], found[0][0])
            found[1] = found[1][0][named], found[1][1][named]
        yield from _clashes(
            kind, np.concatenate([keys for keys, _ in found]), np.concatenate([own for _, own in found]), splits
        )


def _clashes(kind: Kind, keys: NDArray[Any], members: Places, splits: NDArray[Any]) -> Iterator[tuple[Kind, int, int]]:
    if not len(keys):
        return
    order = np.lexsort((splits[members], keys))
    ordered, split = keys[order], splits[members][order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], len(ordered)) - 1
    for group in np.flatnonzero(split[starts] != split[ends]):
        yield kind, int(members[order[starts[group]]]), int(members[order[ends[group]]])


def refuse(facts: Facts, clashes: list[tuple[Kind, int, int]], out: Path, *, keep_list: bool) -> None:
    """Raise ``DataError`` ``conflicts`` with the first pairs, after listing them all beside the output.

    Args:
        facts: of the records.
        clashes: at least one.
        out: of the mix.
        keep_list: write ``OUT.conflicts.jsonl``.
    """
    listed = _named(facts, clashes[:_LISTED])
    place = conflicts_path(out)
    if keep_list:
        write_whole(place, b"".join(msgspec.json.encode(one) + b"\n" for one in listed))
    lines = "\n".join(_line(one, " row", _WHY[one.kind][0]) for one in listed[:_SHOWN])
    lines_ar = "\n".join(_line(one, " الصف", _WHY[one.kind][1]) for one in listed[:_SHOWN])
    where = f" {place} lists them." if keep_list else ""
    where_ar = f" يسردها {place}." if keep_list else ""
    if all(kind == "image" for kind, _, _ in clashes):
        where += " If questions about one image are meant to be in both train and dev, add --shared-images."
        where_ar += " إن كان المقصود أن تكون أسئلة الصورة الواحدة في train وdev معا فأضف --shared-images."
    raise DataError(
        f"{len(clashes)} pairs of records contradict each other, so nothing was mixed.{where} Correct the splits or "
        f"ids, or leave one of each out.\n{lines}",
        f"عدد أزواج السجلات المتعارضة: {len(clashes)}، فلم يكتب أي خليط.{where_ar} صحح الأقسام أو المعرفات أو اترك أحد "
        f"السجلين.\n{lines_ar}",
        code="conflicts",
    )


def _line(one: Conflict, row: str, why: str) -> str:
    return f"  {one.file}{row} {one.row} {one.id} | {one.other_file}{row} {one.other_row} {one.other_id}: {why}"


def _named(facts: Facts, clashes: list[tuple[Kind, int, int]]) -> list[Conflict]:
    """With ids, which the facts do not hold."""
    wanted = {place for _, one, other in clashes for place in (one, other)}
    ids: dict[int, str] = {}
    place = 0
    for file in facts.files:
        for _, record in file.records():
            if place in wanted:
                ids[place] = record.id
            place += 1
    made, split = [], facts.rows["split"]
    for kind, one, other in clashes:
        (path, row), (path2, row2) = facts.place(one), facts.place(other)
        splits = [SPLITS[int(split[at])] for at in (one, other)]
        made.append(Conflict(kind, str(path), row, ids[one], splits[0], str(path2), row2, ids[other], splits[1]))
    return made
