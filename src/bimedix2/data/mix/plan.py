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

    uses: NDArray[np.int64]
    taken: NDArray[np.bool_]
    patterns: tuple[str, ...]
    pattern_of: Places
    quota: Floats
    planned: Floats
    whole_pairs: int


class _Units(NamedTuple):
    """(U,) units: their keys, strata, sizes; (N',) unit of every usable record; (S, P) sizes of strata by pattern."""

    key: NDArray[np.uint64]
    stratum: Places
    size: NDArray[np.int64]
    records: NDArray[np.int64]
    of_record: Places
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
    rows = facts.rows
    wanted = np.array([split in settings.splits for split in SPLITS])
    taken = np.asarray(keep & wanted[rows["split"]] & (rows["size"] > 0))
    members = np.flatnonzero(taken)
    if not len(members):
        raise DataError(
            "The inputs hold no record that could be mixed.", "لا سجل في الملفات يصلح للخليط.", code="no_records"
        )
    patterns = (*settings.targets, "")
    own = [first_match(cell, settings.targets) for cell in facts.cells]
    pattern_of = np.array([place if place >= 0 else len(patterns) - 1 for place in own], np.int64)
    units = _units(rows[members], pattern_of, len(patterns), together=settings.pairs_together)
    quota = _quotas(units.by_pattern, patterns, facts.cells, settings)
    part, got = parts(units.by_pattern, quota, settings.upsample_limit)
    require_feasible(units.by_pattern, quota, got, patterns, settings)
    by_unit = _uses(units, part, settings)
    uses = np.zeros(len(rows), np.int64)
    uses[members] = by_unit[units.of_record]
    weights = part[units.stratum][units.of_record] * rows["size"][members]
    planned = np.bincount(rows["cell"][members], weights=weights, minlength=len(facts.cells)).astype(np.float64)
    whole = int(((units.records > 1) & (by_unit > 0)).sum())
    return Plan(uses, taken, patterns, pattern_of, quota, planned, whole)


def _units(rows: NDArray[Any], pattern_of: Places, patterns: int, *, together: bool) -> _Units:
    cell, size = np.asarray(rows["cell"]).astype(np.int64), np.asarray(rows["size"]).astype(np.int64)
    names = np.asarray(rows["id"])
    if together:
        names = np.where(rows["pair"] > 0, rows["pair"], names)
    key, of_record = np.unique(names, return_inverse=True)
    # Units that count towards the same cells are one stratum: its name is the sum of its cells' hashes.
    both = np.unique(np.stack([of_record, cell], 1), axis=0) if len(key) < len(rows) else np.stack([of_record, cell], 1)
    signature = np.zeros(len(key), np.uint64)
    np.add.at(signature, both[:, 0], ranks(both[:, 1].astype(np.uint64), 0, "cells"))
    _, stratum = np.unique(signature, return_inverse=True)
    strata = int(stratum.max(initial=-1)) + 1
    place = stratum[of_record] * patterns + pattern_of[cell]
    by_pattern = (
        np.bincount(place, weights=size, minlength=strata * patterns).reshape(strata, patterns).astype(np.float64)
    )
    sizes = np.bincount(of_record, weights=size, minlength=len(key)).astype(np.int64)
    return _Units(key, stratum, sizes, np.bincount(of_record, minlength=len(key)), of_record, by_pattern)


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


def _uses(units: _Units, part: Floats, settings: MixSettings) -> NDArray[np.int64]:
    """(U,) uses: all units of a stratum its whole part, and the first by draw one more.

    What rounding leaves over in one stratum is made up for in the next that counts towards the same patterns.
    """
    uses = np.floor(part + 1e-9)[units.stratum].astype(np.int64)
    drawn = ranks(units.key, settings.seed, "choose")
    order = np.lexsort((units.key, drawn, units.stratum))
    starts = np.searchsorted(units.stratum[order], np.arange(len(part) + 1))
    left: dict[bytes, float] = {}
    for stratum in range(len(part)):
        more = part[stratum] - np.floor(part[stratum] + 1e-9)
        if part[stratum] <= 0 or more <= 1e-9:
            continue
        own = order[starts[stratum] : starts[stratum + 1]]
        kind = (units.by_pattern[stratum] > 0).tobytes()
        size = units.size[own]
        want = more * float(size.sum()) + left.get(kind, 0.0)
        ends = np.cumsum(size)
        extra = int(np.count_nonzero(ends - size / 2 < want - 1e-6))
        uses[own[:extra]] += 1
        left[kind] = want - float(ends[extra - 1] if extra else 0)
    return uses
