"""How often every record is used: quotas of the patterns, parts of the strata, then units in the order of their draw.

A unit is a record, or all records of a pair where pairs stay together. Worked example: 6 English and 2 Arabic records,
``{"ar/*/*": 0.5}``, at most 2 uses: the mix keeps its size of 8, so each Arabic record is used twice and 4 of the 6
English ones once. With a limit of 1 the largest mix has 2 of each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ConfigError, DataError
from bimedix2.records.cells import first_match

from .facts import SPLITS, Facts
from .hashes import ranks
from .infeasible import require_feasible
from .settings import MixSettings
from .solve import Floats, largest_total, parts
from .targets import are_shares

Places = NDArray[np.int64]
_CHUNK = 1 << 16


class Plan(NamedTuple):
    """What a mix takes.

    Attributes:
        uses: (N,) of every record.
        taken: (N,) bool, the records that could be used.
        patterns: of the targets, then "" for the rest.
        pattern_of: (cells,) place in ``patterns``.
        quota: (P,) planned size of every pattern.
        planned: (cells,) planned size.
        whole_pairs: units of more than one record that are taken.
    """

    uses: NDArray[np.int32]
    taken: NDArray[np.bool_]
    patterns: tuple[str, ...]
    pattern_of: Places
    quota: Floats
    planned: Floats
    whole_pairs: int


class _Units(NamedTuple):
    """(U,) units: their keys in order, strata, sizes, whether they have several records; (N',) unit of every usable
    record; (S, P) sizes of strata by pattern."""

    key: NDArray[np.uint64]
    stratum: NDArray[np.int32]
    size: NDArray[np.uint32]
    several: NDArray[np.bool_]
    of_record: NDArray[np.int32]
    by_pattern: Floats


def make_plan(facts: Facts, keep: NDArray[np.bool_], settings: MixSettings) -> Plan:
    """Decide.

    Args:
        facts: of all records.
        keep: (N,) without repeated ones.
        settings: of the mix.

    Raises:
        ConfigError: targets that contradict each other or name cells that hold nothing.
        DataError: ``no_records``; ``infeasible``: a target cannot be met.
    """
    wanted = np.array([split in settings.splits for split in SPLITS])
    taken = keep & wanted[facts.rows["split"]] & (facts.rows["size"] > 0)
    if not taken.any():
        raise DataError(
            "The inputs hold no record that could be mixed.", "لا سجل في الملفات يصلح للخليط.", code="no_records"
        )
    patterns = (*settings.targets, "")
    own = [first_match(cell, settings.targets) for cell in facts.cells]
    pattern_of = np.array([place if place >= 0 else len(patterns) - 1 for place in own], np.int64)
    units = _units(facts, taken, pattern_of, len(patterns), together=settings.pairs_together)
    quota = _quotas(units.by_pattern, patterns, facts.cells, settings)
    part, got = parts(units.by_pattern, quota, settings.upsample_limit)
    require_feasible(units.by_pattern, quota, got, patterns, settings)
    by_unit = _uses(units, part, settings)
    uses = np.zeros(len(taken), np.int32)
    uses[taken] = by_unit[units.of_record]
    if not by_unit.any():
        raise _nothing(settings)
    cell, size = facts.rows["cell"][taken], facts.rows["size"][taken]
    weights = size * part[units.stratum[units.of_record]]
    planned = np.bincount(cell, weights=weights, minlength=len(facts.cells)).astype(np.float64)
    return Plan(uses, taken, patterns, pattern_of, quota, planned, int((units.several & (by_unit > 0)).sum()))


def _nothing(settings: MixSettings) -> DataError:
    """The largest mix with these shares is empty: pairs that stay together may not allow any other share."""
    together = settings.pairs_together
    way, way_ar = ("leave --pairs-together out, or ", "احذف --pairs-together أو ") if together else ("", "")
    return DataError(
        f"No mix of these records has these shares, not even a small one: {way}choose other shares.",
        f"لا يوجد خليط من هذه السجلات بهذه الحصص ولو صغيرا: {way_ar}اختر حصصا أخرى.",
        code="infeasible",
    )


def _units(facts: Facts, taken: NDArray[np.bool_], pattern_of: Places, patterns: int, *, together: bool) -> _Units:
    """Columns come and go one after the other: at a million records each of them takes megabytes."""
    names = facts.rows["id"][taken]
    if together:
        pairs = facts.rows["pair"][taken]
        np.copyto(names, pairs, where=pairs > 0)
        del pairs
    key = np.unique(names)
    of_record = np.empty(len(names), np.int32)
    for start in range(0, len(names), _CHUNK):
        of_record[start : start + _CHUNK] = np.searchsorted(key, names[start : start + _CHUNK])
    del names
    cell, sizes = facts.rows["cell"][taken], facts.rows["size"][taken]
    stratum = _strata(of_record, cell, len(key), len(facts.cells))
    strata = int(stratum.max(initial=-1)) + 1
    by_pattern = np.zeros(strata * patterns)
    for start in range(0, len(cell), _CHUNK):
        own = slice(start, start + _CHUNK)
        place = stratum[of_record[own]].astype(np.int64) * patterns + pattern_of[cell[own]]
        by_pattern += np.bincount(place, weights=sizes[own], minlength=strata * patterns)
    size, count = np.zeros(len(key), np.uint32), np.zeros(len(key), np.uint32)
    np.add.at(size, of_record, sizes)
    np.add.at(count, of_record, np.uint32(1))
    return _Units(key, stratum, size, count > 1, of_record, by_pattern.reshape(strata, patterns))


def _strata(of_record: NDArray[np.int32], cell: NDArray[np.uint8], units: int, cells: int) -> NDArray[np.int32]:
    """(U,) Units that count towards the same cells are one stratum: its name is the sum of its cells' hashes."""
    names = ranks(np.arange(cells, dtype=np.uint64), 0, "cells")
    signature = np.zeros(units, np.uint64)
    for number in range(cells):
        signature[np.unique(of_record[cell == number])] += names[number]
    known = np.unique(np.concatenate([np.unique(part) for part in _parts_of(signature)]))
    return np.concatenate([np.searchsorted(known, part).astype(np.int32) for part in _parts_of(signature)])


def _parts_of(values: NDArray[Any]) -> list[NDArray[Any]]:
    return np.array_split(values, max(1, len(values) // _CHUNK))


def _quotas(size: Floats, patterns: tuple[str, ...], cells: tuple[str, ...], settings: MixSettings) -> Floats:
    """(P,) size that every pattern is to have."""
    shares = are_shares(settings.targets)
    there = size.sum(0) if len(size) else np.zeros(len(patterns))
    amounts = np.array([*settings.targets.values(), 0.0])
    for pattern, amount, available in zip(patterns, amounts, there, strict=True):
        if amount > 0 and available == 0:
            raise ConfigError(
                f"Target {pattern}: no record is in such a cell; the cells are {', '.join(cells)}.",
                f"الهدف {pattern}: لا سجل في خلية كهذه؛ الخلايا هي {'، '.join(cells)}.",
            )
    if not shares:
        amounts[-1] = there[-1] if settings.total is None else settings.total - amounts.sum()
        if amounts[-1] < 0:
            raise ConfigError(
                f"The targets sum to {amounts[:-1].sum():g}, over --total {settings.total}. Raise it or leave it out.",
                f"مجموع الأهداف {amounts[:-1].sum():g} وهو أكبر من --total {settings.total}. ارفعه أو احذفه.",
            )
        return amounts
    amounts[-1] = max(0.0, 1 - amounts.sum())
    if amounts[-1] < 1e-9:
        amounts[-1] = 0.0
    elif there[-1] == 0:
        raise ConfigError(
            f"The shares sum to {1 - amounts[-1]:g} and no cell is left for the rest. Make the sum 1.",
            f"مجموع الحصص {1 - amounts[-1]:g} ولا خلية باقية. اجعل المجموع 1.",
        )
    total = settings.total if settings.total is not None else largest_total(size, amounts, settings.upsample_limit)
    return np.asarray(total * amounts, np.float64)


def _uses(units: _Units, part: Floats, settings: MixSettings) -> NDArray[np.int32]:
    """(U,) uses: all units of a stratum its whole part, and the first by draw one more.

    What rounding leaves over in one stratum is made up for in the next that counts towards the same patterns.
    """
    uses = np.floor(part + 1e-9).astype(np.int32)[units.stratum]
    left: dict[bytes, float] = {}
    for stratum in range(len(part)):
        more = part[stratum] - np.floor(part[stratum] + 1e-9)
        if part[stratum] <= 0 or more <= 1e-9:
            continue
        own = np.flatnonzero(units.stratum == stratum)
        # Keys differ, and the mixing of bits maps no two to one rank: this is an order.
        own = own[np.argsort(ranks(units.key[own], settings.seed, "choose"))]
        kind = (units.by_pattern[stratum] > 0).tobytes()
        size = units.size[own]
        want = more * float(size.sum(dtype=np.int64)) + left.get(kind, 0.0)
        ends = np.cumsum(size, dtype=np.int64)
        extra = int(np.count_nonzero(ends - size / 2 < want - 1e-6))
        uses[own[:extra]] += 1
        left[kind] = want - float(ends[extra - 1] if extra else 0)
    return uses
