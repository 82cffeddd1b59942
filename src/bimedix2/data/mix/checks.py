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
    files = sorted({str(facts.files[number].name) for number in np.unique(facts.rows["file"][found])})
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
    rows = facts.rows
    order = np.lexsort((rows["row"], rows["file"], rows["full"], rows["content"], rows["id"]))
    ids, content = rows["id"][order], rows["content"][order]
    again = np.zeros(len(order), bool)
    again[1:] = ids[1:] == ids[:-1]
    other = again.copy()
    other[1:] &= content[1:] != content[:-1]
    keep = np.ones(len(rows), bool)
    keep[order[again]] = False
    clashes: list[tuple[Kind, int, int]] = [("id", int(order[at - 1]), int(order[at])) for at in np.flatnonzero(other)]
    return keep, clashes


def split_clashes(facts: Facts, *, shared_images: bool) -> Iterator[tuple[Kind, int, int]]:
    """Records that belong together and are in different splits: two of each group."""
    rows, everyone = facts.rows, np.arange(len(facts.rows))
    paired = np.flatnonzero(rows["pair"])
    yield from _clashes("pair_id", rows["pair"][paired], paired, rows["split"])
    made = np.flatnonzero(rows["parent"])
    originals = everyone[np.isin(rows["id"], rows["parent"][made])] if len(made) else made
    keys = np.concatenate([rows["parent"][made], rows["id"][originals]])
    yield from _clashes("parent", keys, np.concatenate([made, originals]), rows["split"])
    if not shared_images:
        yield from _clashes("image", facts.images["key"], facts.images["record"].astype(np.int64), rows["split"])


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
    made = []
    for kind, one, other in clashes:
        (path, row), (path2, row2) = facts.place(one), facts.place(other)
        splits = [SPLITS[int(facts.rows["split"][at])] for at in (one, other)]
        made.append(Conflict(kind, str(path), row, ids[one], splits[0], str(path2), row2, ids[other], splits[1]))
    return made
