"""Equivalence, power and intervals: statsmodels, published sizes, simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import FTestAnovaPower, TTestIndPower
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from fetalsynth.statistics.equivalence import all_equivalent, equivalent_means, equivalent_pairs
from fetalsynth.statistics.intervals import mean_interval, sd_interval, welch
from fetalsynth.statistics.power import (
    detectable_difference,
    power_of_difference,
    power_of_equivalence,
    power_of_factor,
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_factor,
    sets_for_correlation,
)


def two(seed: int, *, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=9), 2 * rng.normal(size=6) + shift


def test_two_one_sided_tests_agree_with_statsmodels() -> None:
    a, b = two(0, shift=0.4)
    p, low, high = ttost_ind(a, b, -1.5, 1.5, usevar="unequal")
    found = equivalent_means(a, b, margin=1.5)
    assert (found.p_value, found.p_low, found.p_high) == pytest.approx((p, low[1], high[1]))
    half = stats.t.ppf(0.95, found.df) * found.se
    inside = (found.difference - half, found.difference + half)
    assert found.interval == pytest.approx(inside)
    p, low, high = ttost_paired(a[:6], b, -1.5, 1.5)
    found = equivalent_pairs(a[:6] - b, margin=1.5)
    assert (found.p_value, found.p_low, found.p_high) == pytest.approx((p, low[1], high[1]))


def test_verdict_is_that_of_the_ninety_percent_interval() -> None:
    for seed in range(40):
        a, b = two(seed)
        found = equivalent_means(a, b, margin=1.2)
        assert found.equivalent == (found.interval[0] > -1.2 and found.interval[1] < 1.2)


def test_at_the_margin_equivalence_is_claimed_at_the_nominal_rate_at_most() -> None:
    rng = np.random.default_rng(1)
    hits = sum(
        equivalent_means(rng.normal(size=20), rng.normal(size=20) + 1.0, margin=1.0).equivalent
        for _ in range(600)
    )
    assert stats.binomtest(hits, 600, 0.05, alternative="greater").pvalue > 1e-3
    assert hits > 10  # and not never


def test_the_worst_pair_decides() -> None:
    groups = [[0.0, 0.1, -0.1], [0.05, 0.1, 0.0], [2.0, 2.1, 1.9]]
    worst, pairs = all_equivalent(groups, margin=0.5)
    assert [pair.equivalent for pair in pairs] == [True, False, False]
    assert not worst.equivalent
    with pytest.raises(ValueError, match="margin"):
        equivalent_means([1.0, 2.0], [1.0, 2.0], margin=0.0)


def test_intervals_agree_with_scipy() -> None:
    a, b = two(2)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    found = welch(a, b)
    assert found.interval == pytest.approx(theirs.confidence_interval())
    assert found.value / found.se == pytest.approx(theirs.statistic)
    theirs = stats.ttest_1samp(a, 0).confidence_interval()
    assert mean_interval(a).interval == pytest.approx(theirs)


def test_interval_of_a_standard_deviation_covers() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(1000):
        low, high = sd_interval(sd=float(rng.normal(size=4).std(ddof=1)), df=3)
        inside += low < 1 < high
    assert stats.binomtest(inside, 1000, 0.95).pvalue > 1e-3
    low, high = sd_interval(sd=1.0, df=2)
    assert (low, high) == pytest.approx((0.52, 6.28), abs=0.01)


def test_power_of_two_groups_agrees_with_statsmodels_and_cohens_table() -> None:
    theirs = TTestIndPower()
    for d in (0.3, 0.8, 2.0):
        for n in (3, 10, 40):
            expected = theirs.power(d, n, 0.05)
            found = power_of_difference(seeds=n, difference=3 * d, sd=3.0)
            assert found == pytest.approx(expected, abs=1e-6)
    assert seeds_for_difference(difference=0.5, sd=1.0) == 64  # Cohen 1988, table 2.4.1
    assert seeds_for_difference(difference=0.8, sd=1.0) == 26
    assert seeds_for_difference(difference=1e-4, sd=1.0) is None


def test_detectable_difference_has_the_power_asked_for() -> None:
    difference = detectable_difference(seeds=3, sd=2.0)
    assert power_of_difference(seeds=3, difference=difference, sd=2.0) == pytest.approx(0.8)
    assert detectable_difference(seeds=1, sd=2.0) == float("inf")


def test_power_of_a_factor_agrees_with_statsmodels() -> None:
    theirs = FTestAnovaPower()
    for f, k, n in ((0.25, 3, 53), (0.4, 5, 10), (1.0, 4, 3)):
        expected = theirs.power(f, n * k, 0.05, k_groups=k)
        found = power_of_factor(f=f, df1=k - 1, df2=k * (n - 1), n=n * k)
        assert found == pytest.approx(expected, abs=1e-6)
    assert seeds_for_factor(f=0.25, levels=3, cells=3) == 53
    assert seeds_for_factor(f=0.4, levels=3, cells=3) == 22


def test_power_of_equivalence_by_simulation() -> None:
    rng = np.random.default_rng(4)
    for seeds, difference in ((5, 0.0), (12, 0.3)):
        hits = 0
        for _ in range(800):
            a, b = rng.normal(size=(2, seeds))
            # Student's standard error, as in the formula
            se = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / seeds)
            reach = 1.2 - stats.t.ppf(0.95, 2 * seeds - 2) * se
            hits += abs(a.mean() - b.mean() + difference) < reach
        found = power_of_equivalence(seeds=seeds, margin=1.2, sd=1.0, difference=difference)
        assert hits / 800 == pytest.approx(found, abs=4 * (0.25 / 800) ** 0.5)
    needed = seeds_for_equivalence(margin=1.2, sd=1.0)
    assert needed is not None
    assert power_of_equivalence(seeds=needed, margin=1.2, sd=1.0) >= 0.8
    assert power_of_equivalence(seeds=needed - 1, margin=1.2, sd=1.0) < 0.8
    assert seeds_for_equivalence(margin=1.0, sd=1.0, difference=1.0) is None


def test_sets_for_a_correlation() -> None:
    assert sets_for_correlation(r=0.3) == 85
    assert sets_for_correlation(r=0.5) == 30
