"""One pass over training records: which are test items, and which are translations or parents of such records.

Memory grows with the records by the keys of their names alone, by which translations are found at the end.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2.data.runner import LocalRunner, Runner, batched, with_batches
from bimedix2.records.schema import Record

from .embed import EmbeddingSearch
from .pictures import Look
from .search import REASONS, Hit, Reason, Search
from .units import key_of, trained_units

BATCH = 1024
MOST_A_RECORD = 3
"""Offences kept of one record, the surest first: a question may stand in several test sets."""
LookAt = Callable[[Sequence[Record]], Sequence[Sequence[Look]]]
Say = Callable[[str, str], None]
_TELL_EVERY, _PART = 50 * BATCH, 1 << 16


class Offence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A training record that may not be trained on.

    Attributes:
        row: of the record in the mix, from 1.
        id: of the record.
        test_set, test_id: the test item; for ``split`` the record itself.
        reason: see ``docs/decontamination.md``.
        distance: 0 for the same; different bits of 64 for images; for texts the share that is not in common.
        field: of the record that matched.
        via: for ``parent`` and ``pair``, the record that has the item itself.
    """

    row: int
    id: str
    test_set: str
    test_id: str
    reason: Reason
    distance: float
    field: str
    via: str = ""


class Findings:
    """What a pass found.

    Attributes:
        records: looked at.
        offences: by row, the surest first.
        unreadable: row -> index of the first image that cannot be read, with the reason in both languages.
        orphans: records in Arabic whose English original was not looked at: only their own words and images were.
    """

    def __init__(self) -> None:
        self.records = 0
        self.offences: dict[int, list[Offence]] = {}
        self.unreadable: dict[int, tuple[int, str, str]] = {}
        self.orphans = 0

    def by_reason(self) -> dict[str, int]:
        """Records by their surest reason."""
        counts = Counter(own[0].reason for own in self.offences.values())
        return {reason: counts[reason] for reason in REASONS if counts[reason]}

    def by_set(self) -> dict[str, int]:
        """Records by test set."""
        counts = Counter(name for own in self.offences.values() for name in {one.test_set for one in own})
        return dict(sorted(counts.items()))

    def rows(self) -> Iterator[Offence]:
        """All offences in order."""
        for row in sorted(self.offences):
            yield from self.offences[row]


class Finder:
    """Looks at training records.

    Args:
        search: index of the test sets.
        look_at: gives the images of records.
        embedding: compares meanings across languages too, if given.
        say: takes progress in English and Arabic.
    """

    def __init__(
        self, search: Search, look_at: LookAt, embedding: EmbeddingSearch | None = None, say: Say | None = None
    ) -> None:
        self._search, self._look_at, self._embedding = search, look_at, embedding
        self._say = say or (lambda english, arabic: None)

    def find(self, records: Iterable[Record], parents: Iterable[Record] = (), runner: Runner | None = None) -> Findings:
        """Look at the records of a mix.

        Args:
            records: the mix.
            parents: originals that are not in the mix; they are looked at so that their translations inherit.
            runner: compares the texts; this process if not given.
        """
        found, links = Findings(), _Links()
        for own, source in ((True, records), (False, parents)):
            batches = batched(source, BATCH)
            for batch, hits in with_batches(runner or LocalRunner(1), partial(_searcher, self._search), batches):
                self._batch(batch, hits, found, links, own)
                if found.records % _TELL_EVERY == 0:
                    self._say(f"{found.records:,} records compared", f"قورن {found.records:,} سجل")
        _inherit(found, links)
        found.orphans = links.orphans()
        found.offences = {row: own for row, own in found.offences.items() if row <= found.records}
        return found

    def _batch(self, batch: list[Record], texts: list[Hit], found: Findings, links: _Links, own: bool) -> None:
        first = links.add(batch)
        found.records += len(batch) * own
        looks = self._look_at(batch)
        hits = [*_test_split(batch), *texts, *self._search.images(looks)]
        if self._embedding is not None:
            hits += self._embedding.hits(batch)
        by_row: dict[int, list[Hit]] = defaultdict(list)
        for hit in hits:
            by_row[hit.row].append(hit)
        for row, mine in by_row.items():
            found.offences[first + row] = self._offences(first + row, batch[row], mine)
        for row, images in enumerate(looks):
            bad = next((look for look in images if look.error is not None), None)
            if bad is not None and bad.error is not None and own and first + row not in found.offences:
                found.unreadable[first + row] = (bad.place, bad.error.message, bad.error.message_ar)

    def _offences(self, row: int, record: Record, hits: list[Hit]) -> list[Offence]:
        """The surest reasons, each test item once."""
        hashes = self._search.hashes
        hits.sort(key=lambda hit: (REASONS.index(hit.reason), hit.distance, hit.item, hit.field))
        kept: dict[int, Offence] = {}
        for hit in hits:
            if hit.item not in kept and len(kept) < MOST_A_RECORD:
                names = (hashes.set_of(hit.item), hashes.ids[hit.item]) if hit.item >= 0 else (record.source, record.id)
                kept[hit.item] = Offence(row, record.id, *names, hit.reason, hit.distance, hit.field)
        return list(kept.values())


def _searcher(search: Search) -> Callable[[Sequence[Record]], list[Hit]]:
    """What a worker does with a batch: its texts against those of the test sets."""
    return lambda batch: list(search.texts([trained_units(record) for record in batch]))


def _test_split(batch: list[Record]) -> Iterator[Hit]:
    """Records that say of themselves that they are for testing."""
    for row, record in enumerate(batch):
        if record.split == "test":
            yield Hit(row, -1, "split", 0.0, "split")


class _Links:
    """Keys of ids, parents and pairs of all records, in the order in which they came; 0 stands for none."""

    def __init__(self) -> None:
        self._keys = {name: array("Q") for name in ("id", "parent", "pair_id")}
        self._arabic = bytearray()

    def add(self, batch: list[Record]) -> int:
        """Take a batch in and return the row of its first record, from 1."""
        first = len(self._arabic) + 1
        for name, keys in self._keys.items():
            values = (getattr(record, name) for record in batch)
            keys.extend(key_of(value) if value else 0 for value in values)
        self._arabic.extend(record.turns[-1].language == "ar" for record in batch)
        return first

    def keys(self, name: str) -> NDArray[Any]:
        """All keys of one kind."""
        return np.frombuffer(self._keys[name], np.uint64)

    def orphans(self) -> int:
        """Arabic records with neither their parent nor another record of their pair here."""
        if not self._arabic:
            return 0
        arabic = np.frombuffer(self._arabic, np.uint8).view(bool)
        pairs = self.keys("pair_id")
        known = _is_in(self.keys("parent"), self.keys("id")) | ((pairs != 0) & _is_in(pairs, pairs[~arabic]))
        return int((arabic & ~known).sum())


def _inherit(found: Findings, links: _Links) -> None:
    """Pass offences on to translations, originals and everything made from them, until nothing changes."""
    ids, parents, pairs = (links.keys(name) for name in ("id", "parent", "pair_id"))
    if not found.offences or not len(ids):
        return
    new = np.array(sorted(found.offences), np.int64)
    while len(new):
        known = np.zeros(len(ids), bool)
        known[np.array(sorted(found.offences), np.int64) - 1] = True
        sources = {name: _first_of(keys, new) for name, keys in (("id", ids), ("pair_id", pairs), ("parent", parents))}
        fresh: list[int] = []
        for name, keys, reason in (
            ("id", parents, "parent"), ("parent", ids, "parent"), ("pair_id", pairs, "pair"),
            ("id", pairs, "pair"), ("pair_id", ids, "pair"),
        ):  # fmt: skip
            at = np.flatnonzero(_is_in(keys, np.fromiter(sources[name], np.uint64)) & (keys != 0) & ~known)
            for place in at.tolist():
                found.offences[place + 1] = _passed_on(found, place + 1, sources[name][int(keys[place])], reason)
                known[place] = True
                fresh.append(place + 1)
        new = np.array(sorted(fresh), np.int64)


def _is_in(keys: NDArray[Any], known: NDArray[Any]) -> NDArray[np.bool_]:
    """``np.isin``, which would need ten times the memory of its arguments."""
    if not len(known):
        return np.zeros(len(keys), bool)
    ordered, found = np.sort(known), np.empty(len(keys), bool)
    for start in range(0, len(keys), _PART):
        part = keys[start : start + _PART]
        at = np.minimum(np.searchsorted(ordered, part), len(ordered) - 1)
        found[start : start + _PART] = ordered[at] == part
    return found


def _first_of(keys: NDArray[Any], rows: NDArray[np.int64]) -> dict[int, int]:
    """Key -> the first of the rows that has it."""
    first: dict[int, int] = {}
    for row in rows.tolist():
        if keys[row - 1]:
            first.setdefault(int(keys[row - 1]), row)
    return first


def _passed_on(found: Findings, row: int, origin: int, reason: Any) -> list[Offence]:
    """Offences of another record as this one's own; its id is filled in when the mix is read again."""
    return [
        msgspec.structs.replace(
            one, row=row, id="", reason=reason, field=reason, via=one.via or one.id or f"row {origin}"
        )
        for one in found.offences[origin]
    ]
