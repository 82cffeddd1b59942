"""How often every sample is used in an epoch: source weights, then shares of the supervised tokens by cell.

Shares are of *supervised tokens*, not of samples: an Arabic answer takes more tokens than its English original,
so a mix of equal sample counts is not a mix of equal training signal.

Worked example: cells ``en/ct/vqa`` and ``ar/ct/vqa`` hold 600 and 200 supervised tokens and ``shares`` is
``{"ar/*/*": 0.5}``. The epoch keeps its 800 tokens: Arabic gets 400, so each of its samples is used twice;
English gets the other 400, so two thirds of its samples are used once.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import ConfigError
from bimedix2.train.samples.table import SampleTable

from .ranks import fractions, ranks

Rows = NDArray[np.int64]


def one_phrasing(table: SampleTable, rows: Rows, seed: int, epoch: int) -> Rows:
    """One row of every group among ``rows``; over the epochs each phrasing has its turn."""
    drawn = ranks(table.key[rows], seed, epoch, "phrasing")
    order = np.lexsort((drawn, table.group[rows]))
    groups = table.group[rows][order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = groups[1:] != groups[:-1]
    return np.sort(rows[order[first]])


def units(table: SampleTable, rows: Rows) -> NDArray[np.uint64]:
    """(N,) what comes or stays away together: all conversations of a source about an image, or a group of texts."""
    counts = table.image_count()[rows]
    result = table.group[rows].copy()
    shown = counts > 0
    first = table.image_index[table.image_start[rows[shown]]].astype(np.uint64)
    source = table.source[rows[shown]].astype(np.uint64)
    result[shown] = ranks((source << np.uint64(32)) | first, "unit")
    return result


def repeats(weight: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.int64]:
    """Uses of each unit: ``weight`` on average, decided by its draw in [0, 1); 1.25 is 2 for a quarter of them."""
    whole = np.floor(weight)
    return (whole + (drawn < weight - whole)).astype(np.int64)


def epoch_uses(
    table: SampleTable,
    rows: Rows,
    *,
    weights: Mapping[str, float],
    shares: Mapping[str, float],
    seed: int,
    epoch: int,
) -> NDArray[np.int64]:
    """How often each of ``rows`` is used in an epoch: a pure function of its arguments.

    Args:
        table: all samples.
        rows: (R,) the samples to draw from, one phrasing each.
        weights: expected uses by source, 1 where absent.
        shares: pattern of cells -> share of the epoch's supervised tokens.
        seed, epoch: choose which samples come when a weight or share is not whole.

    Raises:
        ConfigError: a share is asked of cells that hold nothing.
    """
    by_source = np.array([weights.get(name, 1.0) for name in table.sources])
    unit = units(table, rows)
    weight = by_source[table.source[rows]]
    uses = repeats(weight, fractions(unit, seed, epoch, "use"))
    if not shares:
        return uses
    # Targets follow from the weights alone, so that they are the same in every epoch.
    tokens = table.supervised[rows] * weight
    for members, target in _targets(table, rows, tokens, shares):
        own = table.supervised[rows[members]]
        uses[members] = _to_target(own, weight[members], unit[members], target, (seed, epoch))
    return uses


def wanted_tokens(
    table: SampleTable, rows: Rows, weights: Mapping[str, float], shares: Mapping[str, float]
) -> NDArray[np.float64]:
    """(cells,) supervised tokens that weights and shares ask of one epoch over ``rows``."""
    by_source = np.array([weights.get(name, 1.0) for name in table.sources])
    tokens = table.supervised[rows] * by_source[table.source[rows]]
    wanted = np.bincount(table.cell[rows], weights=tokens, minlength=len(table.cells)).astype(np.float64)
    for members, target in _targets(table, rows, tokens, shares) if shares else ():
        natural = tokens[members].sum()
        cells = np.unique(table.cell[rows[members]])
        wanted[cells] = wanted[cells] * (target / natural if natural else 0.0)
    return wanted


def _targets(
    table: SampleTable, rows: Rows, tokens: NDArray[np.float64], shares: Mapping[str, float]
) -> list[tuple[NDArray[np.int64], float]]:
    """(positions in ``rows``, supervised tokens they should have) of every pattern and of the rest."""
    owner = np.array([_pattern(cell, shares) for cell in table.cells])[table.cell[rows]]
    total, left = float(tokens.sum()), 1.0 - sum(shares.values())
    result = []
    for number, (pattern, share) in enumerate(shares.items()):
        members = np.flatnonzero(owner == number)
        if share > 0 and tokens[members].sum() == 0:
            raise ConfigError(
                f"shares: no sample is in a cell like {pattern!r}; the cells are {', '.join(table.cells)}",
                f"shares: لا عينة في خلية مثل {pattern!r}؛ الخلايا هي {', '.join(table.cells)}",
            )
        result.append((members, share * total))
    rest = np.flatnonzero(owner == -1)
    if left > 1e-9 and not len(rest):
        raise ConfigError(
            f"shares: they sum to {1 - left:g} and no cell is left for the rest; make the sum 1",
            f"shares: مجموعها {1 - left:g} ولا خلية باقية؛ اجعل المجموع 1",
        )
    result.append((rest, max(0.0, left) * total))
    return [(members, target) for members, target in result if len(members)]


def _pattern(cell: str, shares: Mapping[str, float]) -> int:
    return next((number for number, pattern in enumerate(shares) if fnmatchcase(cell, pattern)), -1)


def _to_target(
    tokens: NDArray[np.int32],
    weight: NDArray[np.float64],
    unit: NDArray[np.uint64],
    target: float,
    salt: tuple[int, int],
) -> NDArray[np.int64]:
    """Uses in proportion to ``weight`` that come as near to ``target`` tokens as whole units allow.

    Every unit has its whole part; the fractional parts compete for the tokens that are missing: units are taken in
    the order of draw / fraction, so that one with twice the fraction is twice as likely among the first.
    """
    names, first, place = np.unique(unit, return_index=True, return_inverse=True)
    size = np.bincount(place, weights=tokens)
    natural = float((tokens * weight).sum())
    wanted = weight[first] * (target / natural if natural > 0 else 0.0)
    uses = np.floor(wanted + 1e-9)
    part = np.maximum(0.0, wanted - uses)
    drawn = fractions(names, *salt, "share")
    order = np.argsort(np.where(part > 1e-9, drawn / np.maximum(part, 1e-9), np.inf), kind="stable")
    order = order[: int((part > 1e-9).sum())]
    middle = np.cumsum(size[order]) - size[order] / 2
    uses[order[middle < target - float((uses * size).sum())]] += 1
    return np.asarray(uses[place], dtype=np.int64)
