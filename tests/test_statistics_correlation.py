"""Correlation with the sign stated: scipy, exact enumeration, nominal rates, clusters."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fetalsynth.statistics.correlation import (
    cluster_bootstrap,
    coefficient,
    correlate,
    permutation_table,
)
from fetalsynth.statistics.multiplicity import benjamini_hochberg
from fetalsynth.statistics.regression import line_fit, log_fit

FIGURE = Path(__file__).resolve().parents[2] / "shared" / "facts" / "miua2022_fig2_points.json"


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("ties", [False, True])
def test_coefficients_agree_with_scipy(ties: bool) -> None:
    x, y = rng(0).normal(size=(2, 40))
    y = y + 0.5 * x
    if ties:
        x, y = x.round(), y.round()
    assert coefficient(x, y, kind="pearson") == pytest.approx(stats.pearsonr(x, y).statistic)
    assert coefficient(x, y, kind="spearman") == pytest.approx(stats.spearmanr(x, y).statistic)
    assert coefficient(x, y, kind="kendall") == pytest.approx(stats.kendalltau(x, y).statistic)


@pytest.mark.parametrize("kind", ["pearson", "spearman", "kendall"])
@pytest.mark.parametrize("expected", [-1, 0, 1])
def test_permutation_p_is_that_of_all_orders(kind: str, expected: int) -> None:
    x = np.array([1.0, 2.0, 2.5, 4.0, 7.0, 8.0])
    y = np.array([2.0, 1.0, 3.0, 3.0, 9.0, 5.0])
    values = np.array([coefficient(x, np.array(o), kind=kind) for o in permutations(y)])
    value = coefficient(x, y, kind=kind)
    directed = np.abs(values) if expected == 0 else values * expected
    target = abs(value) if expected == 0 else value * expected
    exact = (directed >= target - 1e-12).mean()
    found = correlate(x, y, kind=kind, expected=expected, rng=rng(1), draws=99)
    assert found.p_value == pytest.approx(
        exact, abs=4 * (exact * (1 - exact) / 19_999) ** 0.5 + 1e-4
    )


def test_the_wrong_sign_is_never_a_finding() -> None:
    x = np.arange(20.0)
    found = correlate(x, -x, kind="spearman", expected=1, rng=rng(0), draws=99)
    assert found.value == pytest.approx(-1)
    assert found.p_value == 1.0
    assert not found.as_expected


def test_constant_columns_have_no_p_and_disturb_nothing() -> None:
    y = rng(0).normal(size=15)
    table = np.column_stack(
        [y + 0.1 * rng(1).normal(size=15), np.full(15, 0.1), rng(2).normal(size=15)]
    )
    found = permutation_table(table, y, kind="pearson", expected=[1, 1, 1], rng=rng(3), draws=999)
    assert np.isnan([found.values[1], found.p_values[1], found.p_max[1]]).all()
    assert found.p_values[0] == pytest.approx(1e-3)
    alone = permutation_table(
        table[:, [0, 2]], y, kind="pearson", expected=[1, 1], rng=rng(3), draws=999
    )
    assert np.array_equal(alone.p_max, found.p_max[[0, 2]])


def test_false_positives_are_nominal_one_by_one_and_by_the_maximum() -> None:
    hits, family = 0, 0
    for seed in range(200):
        table, y = rng(seed).normal(size=(12, 10)), rng(10_000 + seed).normal(size=12)
        table += rng(20_000 + seed).normal(size=(12, 1))  # columns that correlate with each other
        found = permutation_table(
            table, y, kind="spearman", expected=np.ones(10), rng=rng(seed), draws=199
        )
        hits += found.p_values[0] <= 0.05
        family += found.p_max.min() <= 0.05
    assert stats.binomtest(int(hits), 200, 0.05).pvalue > 1e-3
    assert stats.binomtest(int(family), 200, 0.05).pvalue > 1e-3


def test_snapshots_of_one_training_need_whole_trainings_exchanged() -> None:
    blocks = np.repeat(np.arange(8), 4)
    free, whole = 0, 0
    for seed in range(200):
        x, y = (np.repeat(rng(s).normal(size=8), 4) for s in (2 * seed, 2 * seed + 1))
        x, y = x + 0.2 * rng(seed).normal(size=32), y + 0.2 * rng(9_000 + seed).normal(size=32)
        common = {"kind": "pearson", "expected": [0], "draws": 199}
        free += permutation_table(x[:, None], y, rng=rng(seed), **common).p_values[0] <= 0.05
        own = permutation_table(x[:, None], y, rng=rng(seed), blocks=blocks, **common)
        whole += own.p_values[0] <= 0.05
    assert stats.binomtest(int(whole), 200, 0.05).pvalue > 1e-3
    assert free > 40  # four times the nominal rate


def test_blocks_must_be_of_one_size() -> None:
    with pytest.raises(ValueError, match="one size"):
        permutation_table(
            rng(0).normal(size=(5, 1)),
            np.arange(5.0),
            kind="pearson",
            expected=[1],
            rng=rng(0),
            blocks=[0, 0, 1, 1, 1],
        )


def test_cluster_bootstrap_covers_and_is_wider_than_one_over_rows() -> None:
    covered, wider = 0, 0
    for seed in range(100):
        latent = rng(seed).normal(size=(40, 2)) @ np.linalg.cholesky([[1, 0.6], [0.6, 1]]).T
        x, y = np.repeat(latent, 3, axis=0).T
        own = cluster_bootstrap(
            x, y, kind="pearson", rng=rng(seed), clusters=np.repeat(np.arange(40), 3), draws=199
        )
        rows = cluster_bootstrap(x, y, kind="pearson", rng=rng(seed), draws=199)
        assert own is not None
        assert rows is not None
        covered += own[0] < 0.6 < own[1]
        wider += own[1] - own[0] > rows[1] - rows[0]
    assert covered >= stats.binom.ppf(1e-3, 100, 0.92)
    assert wider > 95


def test_no_interval_where_there_is_nothing_to_resample() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert cluster_bootstrap(x, x, kind="pearson", rng=rng(0), clusters=[0, 0, 1, 1]) is None


def test_lines_agree_with_scipy() -> None:
    x = np.linspace(1, 4, 15)
    y = 3 * np.log(x) + rng(0).normal(size=15)
    for found, g in ((log_fit(x, y), np.log(x)), (line_fit(x, y), x)):
        theirs = stats.linregress(g, y)
        t = stats.t.ppf(0.975, 13)
        assert (found.slope, found.intercept) == pytest.approx((theirs.slope, theirs.intercept))
        assert found.p_value == pytest.approx(theirs.pvalue)
        assert found.r == pytest.approx(theirs.rvalue)
        half = (found.slope_interval[1] - found.slope_interval[0]) / 2
        assert half == pytest.approx(t * theirs.stderr)
        half = (found.intercept_interval[1] - found.intercept_interval[0]) / 2
        assert half == pytest.approx(t * theirs.intercept_stderr)


def test_band_is_the_interval_of_the_intercept_at_x_of_zero_logarithm() -> None:
    x = np.linspace(1, 4, 15)
    found = log_fit(x, 3 * np.log(x) + rng(0).normal(size=15))
    low, high = found.band([1.0])
    assert (low[0], high[0]) == pytest.approx(found.intercept_interval)
    with pytest.raises(ValueError, match="above 0"):
        log_fit([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def figure() -> dict[str, list[float]]:
    """Points read off Fig. 2 of Bautista et al. 2022."""
    if not FIGURE.is_file():
        pytest.skip("the digitised points of the 2022 figure are not beside this checkout")
    return dict(json.loads(FIGURE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("metric", ["FID", "V008", "V020", "V143", "V240"])
def test_published_logarithmic_lines_are_found_again(
    figure: dict[str, list[float]], metric: str
) -> None:
    found = log_fit(figure["score"], figure[metric])
    slope, intercept = figure["printed_log_fit"][metric]
    assert found.slope == pytest.approx(slope, rel=0.021)
    assert found.intercept == pytest.approx(intercept, rel=0.021)
    assert found.p_value > 0.05


def test_nothing_of_the_published_figure_survives(figure: dict[str, list[float]]) -> None:
    names = ("FID", "V008", "V020", "V143", "V240")
    table = np.column_stack([figure[name] for name in names])
    signs = [-1, 1, 1, 1, 1]  # FID should fall, the elements rise towards 0, as scores rise
    for kind in ("pearson", "spearman"):
        found = permutation_table(table, figure["score"], kind=kind, expected=signs, rng=rng(0))
        assert (benjamini_hochberg(found.p_values) > 0.1).all()
        assert found.values[0] > 0.2  # the wrong way
        assert found.p_values[0] > 0.8
