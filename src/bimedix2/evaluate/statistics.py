"""Intervals and paired tests. Samples that share an image or a claim are resampled together.

Questions about one image are not independent, so an interval that draws questions one by one is too narrow;
drawing whole clusters (Field and Welsh 2007) keeps them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from .schema import Scored

ROUNDS = 2000
_EXACT = 12
Floats = NDArray[np.float64]


class Metric(NamedTuple):
    """A figure over a set.

    Attributes:
        value: mean; ``None`` if no sample has it.
        low, high: 95 % percentile bootstrap interval.
        n: samples with a value.
        clusters: independent groups among them.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int


class Paired(NamedTuple):
    """B minus A on the samples that both have.

    Attributes:
        a, b, difference: means and their difference.
        low, high: 95 % interval of the difference.
        p: two-sided, of a permutation test over clusters.
        n: paired samples.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int


def summarize(
    scored: Sequence[Scored],
    composites: Mapping[str, Sequence[str]] | None = None,
    *,
    empty: float | None = None,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> dict[str, Metric]:
    """Every metric of a set with its interval.

    Args:
        scored: one entry per sample.
        composites: name -> metrics whose plain mean it is (a metric without a value makes it ``None``).
        empty: value of a metric that no sample has; 0 in the modes that copy a harness that prints 0 there.
        seed, rounds: of the bootstrap.
    """
    names = list(dict.fromkeys(name for item in scored for name in item.values))
    sums, counts = _cluster_sums(scored, names)
    drawn = _draws(len(sums), rounds, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        point = sums.sum(0) / counts.sum(0)
        resampled = (drawn @ sums) / (drawn @ counts)
    result: dict[str, Metric] = {}
    for column, name in enumerate(names):
        n, clusters = int(counts[:, column].sum()), int((counts[:, column] > 0).sum())
        result[name] = _metric(point[column], resampled[:, column], n, clusters, empty)
    if empty is not None:
        missing = np.array([result[name].n == 0 for name in names], dtype=bool)
        point[missing], resampled[:, missing] = empty, empty
    for name, parts in (composites or {}).items():
        columns = [names.index(part) for part in parts if part in names]
        whole = len(columns) == len(parts) and all(result[part].value is not None for part in parts)
        if whole:
            mean = point[columns].mean()
            result[name] = _metric(mean, resampled[:, columns].mean(1), len(scored), len(sums), empty)
        else:
            result[name] = Metric(None, None, None, len(scored), len(sums))
    return result


def _metric(value: float, resampled: Floats, n: int, clusters: int, empty: float | None) -> Metric:
    if n == 0:
        return Metric(empty, None, None, 0, 0)
    kept = resampled[np.isfinite(resampled)]
    low, high = np.percentile(kept, [2.5, 97.5])
    return Metric(float(value), float(low), float(high), n, clusters)


def _cluster_sums(scored: Sequence[Scored], names: Sequence[str]) -> tuple[Floats, Floats]:
    """Sum and number of the values of each cluster (C, M)."""
    place: dict[str, int] = {}
    rows = [place.setdefault(item.cluster or item.id, len(place)) for item in scored]
    sums, counts = np.zeros((len(place), len(names))), np.zeros((len(place), len(names)))
    for row, item in zip(rows, scored, strict=True):
        for column, name in enumerate(names):
            value = item.values.get(name)
            if value is not None:
                sums[row, column] += value
                counts[row, column] += 1
    return sums, counts


def _draws(clusters: int, rounds: int, seed: int) -> Floats:
    """(rounds, clusters): how often each cluster is drawn, with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=rounds).astype(float)


def compare(
    a: Sequence[Scored],
    b: Sequence[Scored],
    composites: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> dict[str, Paired]:
    """Paired difference B - A of every metric that both have on the same samples.

    The interval resamples clusters; p is a permutation test that swaps A and B within whole clusters (for a plain
    mean that is the sign-flip test). Both hold for composites, whose parts are about different samples.

    Args:
        a, b: scores of two models, or of one under two conditions; samples are matched by id and language.
        composites: name -> metrics whose plain mean it is.
        seed, rounds: of both procedures.

    Raises:
        ValueError: they share no sample.
    """
    others = {(item.id, item.language): item for item in b}
    shared = [(item, others[item.id, item.language]) for item in a if (item.id, item.language) in others]
    if not shared:
        raise ValueError("no sample is in both")
    both = [_in_both(first, second) for first, second in shared]
    names = list(dict.fromkeys(name for first, _ in both for name in first.values))
    sums_a, counts = _cluster_sums([first for first, _ in both], names)
    sums_b, _ = _cluster_sums([second for _, second in both], names)
    wanted = {name: (name,) for name in names} | {
        name: tuple(parts) for name, parts in (composites or {}).items() if set(parts) <= set(names)
    }
    drawn = _draws(len(counts), rounds, seed)
    swapped = _swaps(len(counts), rounds, seed)
    result: dict[str, Paired] = {}
    for name, parts in wanted.items():
        columns = [names.index(part) for part in parts]
        total = counts[:, columns].sum(0)
        if not total.all():
            continue
        mean_a, mean_b = ((sums[:, columns].sum(0) / total).mean() for sums in (sums_a, sums_b))
        gap = sums_b[:, columns] - sums_a[:, columns]
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = ((drawn @ gap) / (drawn @ counts[:, columns])).mean(1)
        low, high = np.percentile(resampled[np.isfinite(resampled)], [2.5, 97.5])
        n = int(counts[:, columns].max(1).sum())
        p = _permutation_p((swapped @ gap / total).mean(1), float(mean_b - mean_a), exact=len(counts) <= _EXACT)
        result[name] = Paired(float(mean_a), float(mean_b), float(mean_b - mean_a), float(low), float(high), p, n)
    return result


def _in_both(first: Scored, second: Scored) -> tuple[Scored, Scored]:
    """The two with only the metrics that both have a value for."""
    kept = [k for k, v in first.values.items() if v is not None and second.values.get(k) is not None]
    replace = msgspec.structs.replace
    return (
        replace(first, values={name: first.values[name] for name in kept}),
        replace(second, cluster=first.cluster, values={name: second.values[name] for name in kept}),
    )


def _swaps(clusters: int, rounds: int, seed: int) -> Floats:
    """(R, clusters) of +1 and -1: all patterns where they are few, random ones else."""
    if clusters <= _EXACT:
        patterns = np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1
    else:
        patterns = np.random.default_rng(seed).integers(0, 2, (rounds, clusters))
    return 1.0 - 2.0 * patterns.astype(np.float64)


def _permutation_p(differences: Floats, observed: float, *, exact: bool) -> float:
    """Share of permuted differences at least as far from 0; the observed one counts too (Phipson and Smyth 2010)."""
    extreme = int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return extreme / len(differences) if exact else (extreme + 1) / (len(differences) + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for testing all of them (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
