"""Sampling plans, bounds and agreement against closed forms, published values, scipy and scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimedix2.data.review.acceptance import (
    SamplingPlan,
    at_most,
    at_most_in_lot,
    binomial_cdf,
    chance_to_pass,
    hypergeometric_cdf,
    standing,
    zero_acceptance_size,
    zero_acceptance_size_of_lot,
)
from bimedix2.data.review.agreement import cohen_kappa, gwet_ac1, krippendorff_alpha
from bimedix2.data.review.aql import LEVELS, code_letter, double_plan
from bimedix2.data.review.plan import Double, Plan, Zero, load_plan
from bimedix2.errors import ConfigError


def test_zero_acceptance_sizes_are_the_known_ones() -> None:
    assert [zero_acceptance_size(p) for p in (0.05, 0.02, 0.01, 0.005)] == [59, 149, 299, 598]
    # Closed form: the smallest n with (1 - p)^n <= 0.05.
    assert zero_acceptance_size(0.03) == math.ceil(math.log(0.05) / math.log(0.97))
    assert [zero_acceptance_size(p, allowed=1) for p in (0.05, 0.02, 0.01)] == [93, 236, 473]


def test_the_bound_of_a_sample_without_a_defect_has_a_closed_form() -> None:
    for n in (1, 59, 299, 5000):
        assert at_most(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
    assert at_most(7, 7) == 1.0


def test_probabilities_equal_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for k, n, p in ((0, 10, 0.1), (3, 50, 0.02), (40, 299, 0.1), (298, 299, 0.999), (2, 5, 0.0), (1, 5, 1.0)):
        assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-9, abs=1e-12)
    for k, lot, defects, n in ((0, 100, 2, 50), (3, 5000, 60, 299), (2, 10, 10, 5), (5, 10, 5, 8)):
        expected = stats.hypergeom.cdf(k, lot, defects, n)
        assert hypergeometric_cdf(k, lot, defects, n) == pytest.approx(expected, rel=1e-7, abs=1e-12)
    for k, n in ((0, 20), (1, 299), (5, 59), (30, 100)):
        interval = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, method="exact")
        assert at_most(k, n) == pytest.approx(interval.high, rel=1e-9)


def test_the_bound_of_a_lot_is_the_largest_that_cannot_be_ruled_out() -> None:
    stats = pytest.importorskip("scipy.stats")
    for defects, n, lot in ((0, 59, 100), (1, 59, 400), (3, 20, 25), (0, 30, 30), (4, 30, 30)):
        possible = [d for d in range(defects, lot - n + defects + 1) if stats.hypergeom.cdf(defects, lot, d, n) > 0.05]
        assert at_most_in_lot(defects, n, lot) == max(possible)
    assert at_most_in_lot(2, 40, 40) == 2  # all rows were read


@given(st.integers(1, 4000), st.sampled_from([0.005, 0.01, 0.05, 0.2]))
def test_a_finite_lot_needs_fewer_rows_and_is_still_safe(lot: int, share: float) -> None:
    n = zero_acceptance_size_of_lot(share, lot)
    assert 0 <= n <= min(lot, zero_acceptance_size(share))
    assert at_most_in_lot(0, n, lot) <= share * lot + 1e-9 if n else share * lot >= lot - 1


def test_code_letters_and_double_plans_are_those_of_the_standard() -> None:
    """Cells of MIL-STD-105E, tables I (level II) and III-A."""
    assert [code_letter(lot) for lot in (8, 9, 50, 51, 500, 501, 1200, 3200, 3201, 35_001, 500_001)] == list(
        "ABDEHJJKLNQ"
    )
    assert double_plan(1000, 1.0) == SamplingPlan(50, 0, 3, 50, 3)  # J
    assert double_plan(2000, 1.0) == SamplingPlan(80, 1, 4, 80, 4)  # K
    assert double_plan(5000, 1.0) == SamplingPlan(125, 2, 5, 125, 6)  # L
    assert double_plan(20_000, 1.0) == SamplingPlan(200, 3, 7, 200, 8)  # M
    assert double_plan(1000, 4.0) == SamplingPlan(50, 3, 7, 50, 8)
    assert double_plan(1000, 0.65) == SamplingPlan(50, 0, 2, 50, 1)
    assert double_plan(1000, 0.15) == SamplingPlan(80, 0, 1)  # the single plan, acceptance number 0
    assert double_plan(1000, 0.25) == SamplingPlan(50, 0, 1)  # arrow up: H
    assert double_plan(1000, 0.40) == SamplingPlan(80, 0, 2, 80, 1)  # arrow down: K
    assert double_plan(100, 0.10) == SamplingPlan(125, 0, 1)  # far below the diagonal


def test_every_cell_has_a_plan_that_mostly_passes_lots_at_its_aql() -> None:
    for lot in (5, 12, 20, 40, 80, 120, 200, 400, 1000, 3000, 9000, 30_000, 100_000, 400_000, 900_000):
        for aql in LEVELS:
            plan = double_plan(lot, aql)
            assert plan.n1 > 0
            assert chance_to_pass(plan, aql / 100) > 0.86, (lot, aql, plan)


@pytest.mark.parametrize(
    ("aql", "accept"), [(0.4, 1), (0.65, 2), (1.0, 3), (1.5, 5), (2.5, 7), (4.0, 10), (6.5, 14), (10.0, 21)]
)
def test_a_double_plan_passes_as_often_as_its_single_one(aql: float, accept: int) -> None:
    """Row K of table II-A (125 rows, these acceptance numbers): the standard made its double plans to match it."""
    plan = double_plan(2000, aql)
    for share in (aql / 200, aql / 100, aql / 50, aql / 30, aql / 20):
        assert chance_to_pass(plan, share) == pytest.approx(binomial_cdf(accept, 125, share), abs=0.08), share


def test_the_chance_to_pass_is_that_of_simulated_lots() -> None:
    plan = SamplingPlan(50, 1, 4, 50, 4)
    random = np.random.default_rng(1)
    rows = random.random((20_000, 100)) < 0.04
    first, both = rows[:, :50].sum(1), rows.sum(1)
    passed = (first <= 1) | ((first < 4) & (both <= 4))
    assert chance_to_pass(plan, 0.04) == pytest.approx(passed.mean(), abs=0.012)


def test_the_standing_of_a_lot_follows_the_plan() -> None:
    plan = SamplingPlan(4, 0, 2, 4, 1)
    good, bad, unread = False, True, None
    assert standing(plan, [good, good, good, unread, unread, unread, unread, unread]) == ("open", 4)
    assert standing(plan, [good] * 4 + [unread] * 4) == ("passed", 4)
    assert standing(plan, [bad, bad, unread, unread] + [unread] * 4) == ("failed", 4)
    assert standing(plan, [bad, good, good, good] + [unread] * 4) == ("open", 8)
    assert standing(plan, [bad, good, good, good] + [good] * 4) == ("passed", 8)
    assert standing(plan, [bad, good, good, good, bad, unread, unread, unread]) == ("failed", 8)
    assert standing(plan, [good, good]) == ("passed", 2)  # a lot smaller than the sample is read whole
    assert standing(SamplingPlan(3, 0, 1), [good, good, bad]) == ("failed", 3)


def test_krippendorffs_own_examples() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, examples A, B and C (nominal)."""
    meg, owen = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    assert krippendorff_alpha(list(zip(meg, owen, strict=True))) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff_alpha(list(zip("aabbdcccedda", "babbbccceddd", strict=True))) == pytest.approx(0.692, abs=5e-4)
    four = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = [[value for value in column if value != "."] for column in zip(*four, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_cohens_kappa_by_hand_and_against_scikit_learn() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, by chance 0.5.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen_kappa(pairs) == pytest.approx(0.4)
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    for _ in range(20):
        one, other = random.integers(0, 3, 40), random.integers(0, 3, 40)
        expected = metrics.cohen_kappa_score(one, other)
        assert cohen_kappa(list(zip(one.tolist(), other.tolist(), strict=True))) == pytest.approx(expected)


def test_agreement_without_variation_is_not_a_number_but_ac1_is() -> None:
    same = [("accept", "accept")] * 10
    assert cohen_kappa(same) is None
    assert krippendorff_alpha(same) is None
    assert gwet_ac1(same, 3) == 1.0
    assert cohen_kappa([]) is krippendorff_alpha([]) is gwet_ac1([], 3) is None
    # Gwet (2008), the paradox of kappa: 118 and 2 of 125 agree; kappa is low, AC1 is not.
    skewed = [("+", "+")] * 118 + [("+", "-")] * 5 + [("-", "+")] * 2
    assert (cohen_kappa(skewed) or 0) < 0
    # By hand: observed 118/125, share of + is 243/250, chance 2 * 0.972 * 0.028.
    assert gwet_ac1(skewed, 2) == pytest.approx((118 / 125 - 2 * 0.972 * 0.028) / (1 - 2 * 0.972 * 0.028))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_file_says_what_is_drawn(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, "by: [source]\ndouble: 0.5\ncritical: {at_most: 0.05}\nminor: {aql: 4}\n"))
    assert plan == Plan(by=("source",), double=0.5, critical=Zero(at_most=0.05), minor=Double(aql=4.0))
    assert plan.samplings(1000) == {"critical": SamplingPlan(59, 0, 1), "minor": SamplingPlan(50, 3, 7, 50, 8)}
    assert load_plan(write(tmp_path, "")) == Plan()
    finite = load_plan(write(tmp_path, "critical: {at_most: 0.05, finite: true}\n"))
    assert finite.samplings(100)["critical"].n1 < 59


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("twice: 0.5", "twice"), ("double: 2", "double"), ("by: [colour]", "by"), ("minor: {aql: 3}", "minor.aql"),
        ("critical: {at_most: 0}", "critical.at_most"), ("minor: {n1: 5, accept1: 3, reject1: 2}", "minor"),
        ("confidence: '95'", "confidence"), (": :\n- x", "file"), ("[1]", "plan"), ("on_fail: cry", "on_fail"),
    ],
)  # fmt: skip
def test_a_bad_plan_names_the_field_in_both_languages(tmp_path: Path, text: str, field: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    assert str(path) in caught.value.message
    assert field in caught.value.message
    assert "الحقل" in caught.value.message_ar
