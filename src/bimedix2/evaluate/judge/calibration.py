"""How far a judge agrees with people: agreement and Cohen's kappa on items that both have labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bimedix2.errors import RecordError
from bimedix2.evaluate.store import read_lines
from bimedix2.records.schema import Language

ROUNDS = 2000


class LabelledRow(msgspec.Struct, frozen=True, kw_only=True):
    """One item with a person's and the judge's label.

    Attributes:
        human, judge: such as ``agree`` / ``disagree`` / ``neutral``, or which of two answers is better.
        cluster: rows that share it (one claim, one figure) are resampled together.
        language: to look at English and Arabic apart.
    """

    human: str
    judge: str
    cluster: str = ""
    language: Language | None = None


class Calibration(NamedTuple):
    """Agreement of a judge with people.

    Attributes:
        n, clusters: rows, and independent groups among them.
        agreement: share of equal labels, with its 95 % percentile bootstrap interval.
        kappa: Cohen's kappa (1960), which takes off what equal label frequencies alone would give; ``None`` where
            both sides use one and the same label throughout.
        confusion: (person's label, judge's label) -> rows.
    """

    n: int
    clusters: int
    agreement: float
    agreement_low: float
    agreement_high: float
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
    confusion: dict[tuple[str, str], int]


def read_labelled(path: Path) -> list[LabelledRow]:
    """Rows of a JSON-lines file with ``human``, ``judge`` and, where known, ``cluster`` and ``language``.

    Raises:
        RecordError: the file is missing or empty, or a row is not such an object or has an empty label.
    """
    rows = read_lines(path, LabelledRow)
    if not rows:
        raise RecordError(path, 0, "row", "missing, or without labelled rows", "مفقود أو بلا صفوف موسومة")
    for number, row in enumerate(rows, 1):
        for name in ("human", "judge"):
            if not getattr(row, name).strip():
                raise RecordError(path, number, name, "is empty", "فارغ")
    return rows


def calibrate(rows: Sequence[LabelledRow], *, seed: int = 0, rounds: int = ROUNDS) -> Calibration:
    """Agreement and kappa; labels are compared without case or outer blanks.

    Args:
        rows: at least one.
        seed, rounds: of the bootstrap over clusters.
    """
    pairs = [(row.human.strip().casefold(), row.judge.strip().casefold()) for row in rows]
    labels = sorted({label for pair in pairs for label in pair})
    places: dict[str, int] = {}
    clusters = [places.setdefault(row.cluster or f"\0{number}", len(places)) for number, row in enumerate(rows)]
    counts = np.zeros((len(places), len(labels), len(labels)))
    for cluster, (human, judge) in zip(clusters, pairs, strict=True):
        counts[cluster, labels.index(human), labels.index(judge)] += 1
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(places), np.full(len(places), 1 / len(places)), size=rounds)
    agreement, kappa = _agreement(counts.sum(0)[None])
    many_agreements, many_kappas = _agreement(np.tensordot(drawn, counts, 1))
    low, high = np.percentile(many_agreements, [2.5, 97.5])
    kept = many_kappas[np.isfinite(many_kappas)]
    known = bool(np.isfinite(kappa[0]))
    kappa_low, kappa_high = np.percentile(kept, [2.5, 97.5]) if known and kept.size else (np.nan, np.nan)
    return Calibration(
        n=len(rows),
        clusters=len(places),
        agreement=float(agreement[0]),
        agreement_low=float(low),
        agreement_high=float(high),
        kappa=float(kappa[0]) if known else None,
        kappa_low=float(kappa_low) if known else None,
        kappa_high=float(kappa_high) if known else None,
        confusion={pair: pairs.count(pair) for pair in sorted(set(pairs))},
    )


def _agreement(tables: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(agreement, kappa) of each of (R, labels, labels) tables of counts; kappa is NaN where chance alone gives 1."""
    shares = tables / tables.sum((1, 2), keepdims=True)
    observed = np.trace(shares, axis1=1, axis2=2)
    chance = (shares.sum(1) * shares.sum(2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan)
    return observed, kappa
