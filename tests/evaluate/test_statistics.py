"""Intervals and tests against closed forms, exact enumeration and their own invariants."""

from __future__ import annotations

import math

import pytest

from bimedix2.evaluate.schema import Scored
from bimedix2.evaluate.statistics import compare, holm, summarize


def scored(values: list[float | None], cluster: list[str] | None = None, metric: str = "x") -> list[Scored]:
    names = cluster or [str(i) for i in range(len(values))]
    return [
        Scored(id=str(i), language="en", cluster=name, values={metric: value})
        for i, (value, name) in enumerate(zip(values, names, strict=True))
    ]


def test_value_counts_and_gaps() -> None:
    found = summarize(scored([1.0, 0.0, None, 1.0]), {"m": ("x",), "absent": ("x", "y")})
    assert found["x"].value == pytest.approx(2 / 3)
    assert (found["x"].n, found["x"].clusters) == (3, 3)
    assert found["m"].value == found["x"].value
    assert found["absent"].value is None
    assert summarize(scored([None, None]))["x"].value is None


def test_interval_is_the_binomial_one_for_independent_samples() -> None:
    n, p = 400, 0.3
    found = summarize(scored([float(i < n * p) for i in range(n)]), rounds=4000)["x"]
    spread = 1.96 * math.sqrt(p * (1 - p) / n)
    assert found.low == pytest.approx(p - spread, abs=0.006)
    assert found.high == pytest.approx(p + spread, abs=0.006)


def test_clusters_widen_the_interval() -> None:
    values = [float(i // 10 % 2) for i in range(400)]
    alone = summarize(scored(list(values)))["x"]
    together = summarize(scored(list(values), [str(i // 10) for i in range(400)]))["x"]
    assert together.clusters == 40
    assert together.low is not None and alone.low is not None
    # 40 independent groups of 10 equal values: sqrt(10) times as wide.
    assert (0.5 - together.low) / (0.5 - alone.low) == pytest.approx(math.sqrt(10), rel=0.2)


def test_composite_is_the_mean_of_its_parts() -> None:
    rows = [
        Scored(id=str(i), language="en", cluster="", values={"a": float(i % 2), "b": 1.0 if i < 3 else None})
        for i in range(10)
    ]
    found = summarize(rows, {"mean": ("a", "b")})
    assert found["mean"].value == pytest.approx((0.5 + 1.0) / 2)


def test_paired_p_is_exact_for_few_samples() -> None:
    a, b = scored([0.0] * 5), scored([1.0] * 5)
    found = compare(a, b)["x"]
    assert found.difference == 1.0
    # Of the 32 ways to swap five equal differences two are as far from 0.
    assert found.p == pytest.approx(2 / 32)
    assert compare(a, a)["x"].p == 1.0


def test_paired_test_sees_what_unpaired_intervals_miss() -> None:
    base = [float(i % 2) for i in range(200)]
    better = [1.0 if i % 20 == 0 else value for i, value in enumerate(base)]
    found = compare(scored(list(base)), scored(list(better)))["x"]
    assert found.difference == pytest.approx(0.05)
    assert found.p < 0.01
    assert found.low > 0
    assert summarize(scored(list(base)))["x"].high > found.b  # type: ignore[operator]


def test_composites_are_compared_by_swapping_whole_clusters() -> None:
    def rows(first: float, second: float) -> list[Scored]:
        return [
            Scored(
                id=str(i), language="en", cluster="",
                values={"a": first if i % 2 else None, "b": None if i % 2 else second},
            )
            for i in range(40)
        ]  # fmt: skip

    found = compare(rows(0.2, 0.4), rows(0.4, 0.6), {"mean": ("a", "b")})
    assert found["mean"].difference == pytest.approx(0.2)
    assert found["mean"].p < 0.01
    assert found["a"].n == 20


def test_no_shared_sample() -> None:
    with pytest.raises(ValueError, match="no sample"):
        compare(scored([1.0]), [Scored(id="z", language="en", cluster="", values={"x": 1.0})])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
