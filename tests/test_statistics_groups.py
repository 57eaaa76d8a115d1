"""Rank tests of groups and blocks: scipy, invariants, nominal rates in small groups."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from fetalsynth.statistics.blocks import friedman, friedman_pairs
from fetalsynth.statistics.divisions import divisions
from fetalsynth.statistics.multiplicity import holm
from fetalsynth.statistics.ranks import (
    cliffs_delta,
    dunn,
    jonckheere_terpstra,
    kruskal_wallis,
)


def groups(seed: int, *, sizes: tuple[int, ...], ties: bool = False) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = [rng.normal(size=n) + 0.3 * k for k, n in enumerate(sizes)]
    return [np.round(g) for g in found] if ties else found


@pytest.mark.parametrize("ties", [False, True])
def test_kruskal_wallis_agrees_with_scipy(ties: bool) -> None:
    samples = groups(0, sizes=(5, 8, 6), ties=ties)
    found, theirs = kruskal_wallis(samples), stats.kruskal(*samples)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found.epsilon_squared == pytest.approx(theirs.statistic / 18)


def test_permutation_p_of_kruskal_wallis_is_that_of_all_divisions() -> None:
    samples = [np.array([1.0, 5.0]), np.array([2.0, 3.0]), np.array([8.0, 9.0])]
    pooled = np.concatenate(samples)
    observed = stats.kruskal(*samples).statistic
    exact = np.mean(
        [
            stats.kruskal(o[:2], o[2:4], o[4:]).statistic >= observed - 1e-9
            for o in permutations(pooled)
        ]
    )
    found = kruskal_wallis(samples, rng=np.random.default_rng(0), permutations=20_000)
    assert found.p_value == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5)


def test_three_seeds_per_cell_keep_the_nominal_rate_by_permutation() -> None:
    rng = np.random.default_rng(0)
    hits = [
        kruskal_wallis(list(rng.normal(size=(4, 3))), rng=rng, permutations=199).p_value <= 0.05
        for _ in range(300)
    ]
    assert stats.binomtest(int(np.sum(hits)), 300, 0.05).pvalue > 1e-3


@pytest.mark.parametrize("ties", [False, True])
def test_dunn_of_two_groups_is_the_root_of_kruskal_wallis(ties: bool) -> None:
    samples = groups(3, sizes=(7, 9), ties=ties)
    (pair,) = dunn(samples)
    assert pair.z**2 == pytest.approx(kruskal_wallis(samples).statistic)
    assert pair.p_value == pytest.approx(stats.kruskal(*samples).pvalue)


def test_dunn_of_three_groups_by_its_published_formula() -> None:
    samples = groups(4, sizes=(6, 5, 8), ties=True)
    pooled = np.concatenate(samples)
    ranks, n = stats.rankdata(pooled), len(pooled)
    tied = np.unique(pooled, return_counts=True)[1]
    variance = n * (n + 1) / 12 - (tied**3 - tied).sum() / (12 * (n - 1))
    parts = np.split(ranks, [6, 11])
    found = dunn(samples)
    for pair in found:
        a, b = parts[pair.first], parts[pair.second]
        z = (a.mean() - b.mean()) / np.sqrt(variance * (1 / len(a) + 1 / len(b)))
        assert pair.z == pytest.approx(z)
    assert [p.p_holm for p in found] == pytest.approx(holm([p.p_value for p in found]))


def test_cliffs_delta_is_the_mann_whitney_statistic() -> None:
    a, b = groups(5, sizes=(9, 7), ties=True)
    u = stats.mannwhitneyu(a, b).statistic
    assert cliffs_delta(a, b) == pytest.approx(2 * u / 63 - 1)


@pytest.mark.parametrize("ties", [False, True])
def test_jonckheere_terpstra_is_kendalls_test_with_the_order_of_groups(ties: bool) -> None:
    samples = groups(6, sizes=(5, 4, 7), ties=ties)
    codes = np.repeat([0, 1, 2], [5, 4, 7])
    pooled = np.concatenate(samples)
    two_sided = jonckheere_terpstra(samples, expected=0)
    theirs = stats.kendalltau(codes, pooled, method="asymptotic")
    assert (two_sided.tau, two_sided.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    j = sum(
        ((b[None] > a[:, None]) + 0.5 * (b[None] == a[:, None])).sum()
        for k, a in enumerate(samples)
        for b in samples[k + 1 :]
    )
    assert two_sided.statistic == pytest.approx(j)
    up, down = (jonckheere_terpstra(samples, expected=s).p_value for s in (1, -1))
    assert up + down == pytest.approx(1)


def test_permutation_p_of_the_trend_is_that_of_all_orders() -> None:
    samples = [np.array([1.0, 4.0]), np.array([2.0, 3.0]), np.array([6.0, 6.0])]
    codes = np.repeat([0, 1, 2], 2)
    pooled = np.concatenate(samples)
    observed = stats.kendalltau(codes, pooled).statistic
    exact = np.mean(
        [stats.kendalltau(codes, o).statistic >= observed - 1e-9 for o in permutations(pooled)]
    )
    found = jonckheere_terpstra(samples, expected=1, rng=np.random.default_rng(0))
    assert found.p_value == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 9999) ** 0.5)


def test_all_values_equal_is_no_test() -> None:
    flat = [np.ones(3), np.ones(3)]
    assert np.isnan(kruskal_wallis(flat).p_value)
    assert np.isnan(jonckheere_terpstra(flat, expected=1).p_value)
    assert np.isnan(friedman(np.ones((3, 3))).p_value)


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_agrees_with_scipy_and_permutations(ties: bool) -> None:
    table = np.random.default_rng(7).normal(size=(12, 4)) + np.arange(4) * 0.4
    table = table.round() if ties else table
    found, theirs = friedman(table), stats.friedmanchisquare(*table.T)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert 0 <= found.w <= 1
    by_permutation = friedman(table, rng=np.random.default_rng(0)).p_value
    assert by_permutation == pytest.approx(found.p_value, abs=0.03)


def test_friedman_pairs_of_two_columns_are_friedmans_test() -> None:
    table = np.random.default_rng(8).normal(size=(15, 2)) + np.array([0, 0.5])
    (pair,) = friedman_pairs(table)
    assert pair.z**2 == pytest.approx(friedman(table).statistic)
    assert pair.delta == pytest.approx(np.sign(table[:, 0] - table[:, 1]).mean())


def test_friedman_does_not_see_differences_between_trainings() -> None:
    table = np.random.default_rng(9).normal(size=(6, 3))
    shifted = table + 100 * np.arange(6)[:, None]
    assert friedman(shifted).statistic == pytest.approx(friedman(table).statistic)


def test_few_values_are_divided_in_all_ways() -> None:
    assert divisions([3, 3, 3]) == 1680
    assert divisions([2, 5]) == 21
    apart = [np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.array([7.0, 8, 9])]
    found = kruskal_wallis(apart, rng=np.random.default_rng(0))
    assert found.p_value == pytest.approx(6 / 1680)  # the six orders of the groups
    trend = jonckheere_terpstra(apart, expected=1, rng=np.random.default_rng(0))
    assert trend.p_value == pytest.approx(1 / 1680)
