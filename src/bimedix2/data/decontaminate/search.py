"""One batch of training records against the hashes of test sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .hamming import HammingIndex
from .minhash import band_keys, rows_a_band, signatures, similarity
from .pictures import Look
from .prints import MAX_COARSE, MAX_FINE, different_bits
from .runs import RunHasher, joined
from .testset import TestHashes
from .units import Form, Units, key_of

Reason = Literal[
    "image_file", "image_pixels", "image_near", "text_exact", "text_near", "text_covered", "text_answer", "name",
    "split", "embedding", "parent", "pair",
]  # fmt: skip
REASONS: tuple[Reason, ...] = (
    "split", "name", "image_file", "image_pixels", "text_exact", "text_answer", "image_near", "text_near",
    "text_covered", "embedding", "parent", "pair",
)  # fmt: skip
"""The surest first."""


@dataclass(frozen=True)
class SearchSettings:
    """When a training record counts as a test item.

    Attributes:
        similarity: least share of character 5-grams in common (Jaccard) of a near duplicate.
        coverage: least share of a test text's runs of eight words that the training record holds.
        least_runs: and least number of them.
        coarse_bits, fine_bits: most different bits of the perceptual hashes.
    """

    similarity: float = 0.6
    coverage: float = 0.5
    least_runs: int = 6
    coarse_bits: int = MAX_COARSE
    fine_bits: int = MAX_FINE


class Hit(NamedTuple):
    """A training record that matches a test item.

    Attributes:
        row: of the record in its batch.
        item: of the test sets.
        reason: why.
        distance: 0 for the same; different bits of 64 for images; for texts the share that is not in common.
        field: of the record.
    """

    row: int
    item: int
    reason: Reason
    distance: float
    field: str


class Lookup:
    """Sorted keys with what each stands for."""

    def __init__(self, keys: NDArray[Any], places: NDArray[Any]) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._places = keys[order], places[order]

    def find(self, asked: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(place in ``asked``, what it stands for) of every match."""
        starts, ends = np.searchsorted(self._keys, asked, "left"), np.searchsorted(self._keys, asked, "right")
        counts = ends - starts
        one = np.repeat(np.arange(len(asked)), counts)
        within = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
        return one, self._places[np.repeat(starts, counts) + within].astype(np.int64)


class Search:
    """Finds test items; holds an index of their hashes.

    Args:
        hashes: of the test sets.
        settings: thresholds.
    """

    def __init__(self, hashes: TestHashes, settings: SearchSettings | None = None) -> None:
        self.hashes, self.settings = hashes, settings or SearchSettings()
        found = hashes
        self._texts = Lookup(found.long_key, found.long_item)
        self._pairs = Lookup(found.pair_key, found.pair_item)
        self._names = Lookup(found.name_key, found.name_item)
        self._files = Lookup(found.image_file, found.image_item)
        self._pixels = Lookup(found.image_pixels, found.image_item)
        self._runs = Lookup(found.run_key, found.run_long)
        self._run_counts = np.bincount(found.run_long, minlength=len(found.long_key))
        self._rows = rows_a_band(self.settings.similarity)
        places = np.arange(len(found.long_key))
        self._bands = [Lookup(keys, places) for keys in band_keys(found.long_signature, self._rows)]
        self._codes = HammingIndex(found.code_coarse)
        self._hasher = RunHasher()

    def texts(self, batch: Sequence[Units]) -> Iterator[Hit]:
        """Names, equal texts and pairs, near duplicates, and texts that are contained."""
        names = [(row, Form("", -1), key) for row, units in enumerate(batch) for key in units.names]
        yield from self._equal(self._names, names, "name")
        pairs = [(row, form, key_of(form.text)) for row, units in enumerate(batch) for form in units.pairs]
        yield from self._equal(self._pairs, pairs, "text_answer")
        long = [(row, form) for row, units in enumerate(batch) for form in units.long]
        yield from self._equal(self._texts, [(row, form, key_of(form.text)) for row, form in long], "text_exact")
        yield from self._near([(row, form) for row, units in enumerate(batch) for form in units.near])
        yield from self._covered(batch)

    @staticmethod
    def _equal(table: Lookup, asked: list[tuple[int, Form, int]], reason: Reason) -> Iterator[Hit]:
        keys = np.array([key for _, _, key in asked], np.uint64)
        for one, item in zip(*(part.tolist() for part in table.find(keys)), strict=True):
            row, form, _ = asked[one]
            yield Hit(row, item, reason, 0.0, _field(form))

    def _near(self, near: list[tuple[int, Form]]) -> Iterator[Hit]:
        if not near or not len(self.hashes.long_key):
            return
        own = signatures([form.text for _, form in near])
        pairs = [table.find(keys) for table, keys in zip(self._bands, band_keys(own, self._rows), strict=True)]
        one, other = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        one, other = np.divmod(np.unique(one * len(self.hashes.long_key) + other), len(self.hashes.long_key))
        alike = similarity(own[one], self.hashes.long_signature[other])
        for place in np.flatnonzero(alike >= self.settings.similarity):
            row, form = near[one[place]]
            item = int(self.hashes.long_item[other[place]])
            yield Hit(row, item, "text_near", round(1 - float(alike[place]), 3), _field(form))

    def _covered(self, batch: Sequence[Units]) -> Iterator[Hit]:
        """Runs are counted over all turns of a record, for a dialogue may spread a question over several."""
        parts = [[self._hasher.of(form.text) for form in units.turns] for units in batch]
        sizes = [sum(map(len, own)) for own in parts]
        hashes = joined([part for own in parts for part in own])
        if not len(hashes) or not len(self.hashes.run_key):
            return
        at, long = self._runs.find(hashes)
        rows = np.repeat(np.arange(len(batch)), sizes)[at]
        kinds = len(self.hashes.long_key)
        once = np.unique(np.column_stack([rows * kinds + long, hashes[at]]).astype(np.uint64).view("u8,u8"))
        pairs, counts = np.unique(once["f0"].astype(np.int64), return_counts=True)
        rows, long = np.divmod(pairs, kinds)
        share = counts / self._run_counts[long]
        for place in np.flatnonzero((share >= self.settings.coverage) & (counts >= self.settings.least_runs)):
            item = int(self.hashes.long_item[long[place]])
            yield Hit(int(rows[place]), item, "text_covered", round(1 - float(share[place]), 3), "turns")

    def images(self, batch: Sequence[Sequence[Look]]) -> Iterator[Hit]:
        """The same file, the same pixels, or a changed copy."""
        looks = [(row, look) for row, own in enumerate(batch) for look in own]
        tables: tuple[tuple[Reason, Lookup, str], ...] = (
            ("image_file", self._files, "file"),
            ("image_pixels", self._pixels, "pixels"),
        )
        for reason, table, name in tables:
            known = [(row, look, getattr(look, name)) for row, look in looks if getattr(look, name) is not None]
            keys = np.array([key for _, _, key in known], np.uint64)
            for one, item in zip(*(part.tolist() for part in table.find(keys)), strict=True):
                row, look, _ = known[one]
                yield Hit(row, item, reason, 0.0, f"images[{look.place}]")
        yield from self._near_images([(row, look) for row, look in looks if look.codes is not None])

    def _near_images(self, looks: list[tuple[int, Look]]) -> Iterator[Hit]:
        if not looks or not len(self.hashes.code_coarse):
            return
        codes = [look.codes for _, look in looks if look.codes is not None]
        owner = np.repeat(np.arange(len(looks)), [len(own.coarse) for own in codes])
        coarse, fine = (np.concatenate(parts) for parts in zip(*codes, strict=True))
        one, other, bits = self._codes.near(coarse, self.settings.coarse_bits)
        agree = different_bits(fine[one], self.hashes.code_fine[other]) <= self.settings.fine_bits
        best: dict[tuple[int, int], int] = {}
        images = self.hashes.code_image[other[agree]].tolist()
        for look, image, apart in zip(owner[one[agree]].tolist(), images, bits[agree].tolist(), strict=True):
            best[look, image] = min(apart, best.get((look, image), apart))
        for (place, image), apart in best.items():
            row, look = looks[place]
            yield Hit(row, int(self.hashes.image_item[image]), "image_near", float(apart), f"images[{look.place}]")


def _field(form: Form) -> str:
    return f"turns[{form.turn}].text" if form.turn >= 0 else "id"
