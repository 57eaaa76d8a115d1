"""Ordinal regression: statsmodels, closed forms, brute-force integration, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

from fetalsynth.statistics.ordinal import proportional_odds
from fetalsynth.statistics.ordinal_likelihood import make_design, terms, value_and_slopes
from fetalsynth.statistics.ordinal_mixed import marginal, mixed_proportional_odds


def answers(
    n: int, seed: int, *, beta: float, shift: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Five levels that follow x with the slope ``beta``; thresholds at −2, −1, 1, 2."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, 1 + np.digitize(beta * x + shift + rng.logistic(size=n), [-2, -1, 1, 2])


def test_agrees_with_statsmodels_with_readers_and_unscaled_covariates() -> None:
    rng = np.random.default_rng(0)
    readers = np.array(list("BAC"))[rng.integers(0, 3, 300)]
    x, y = answers(300, 1, beta=0.7, shift=(readers == "B") * 1.0)
    covariates = np.column_stack([1000 + 40 * x, 0.001 * rng.normal(size=300)])
    found = proportional_odds(
        answers=y, covariates=covariates, names=["metric", "noise"], readers=list(readers)
    )
    theirs = OrderedModel(
        y, np.column_stack([x, covariates[:, 1] * 1000, readers == "B", readers == "C"]),
        distr="logit",
    ).fit(method="bfgs", disp=0, gtol=1e-9, maxiter=1000)  # fmt: skip
    scale = np.array([1 / 40, 1000, 1, 1])
    assert [c.name for c in found.coefficients] == ["metric", "noise", "reader[B]", "reader[C]"]
    assert [c.value for c in found.coefficients] == pytest.approx(
        theirs.params[:4] * scale, rel=1e-4
    )
    assert [c.se for c in found.coefficients] == pytest.approx(theirs.bse[:4] * scale, rel=1e-4)
    assert [c.p_value for c in found.coefficients] == pytest.approx(theirs.pvalues[:4], abs=1e-5)
    assert found.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    middle = found.coefficient("metric").value * 1000
    cuts = theirs.model.transform_threshold_params(theirs.params)[1:-1]
    assert np.array(found.thresholds) - middle == pytest.approx(cuts, abs=2e-3)


def test_two_levels_and_one_indicator_give_the_log_odds_ratio_of_the_table() -> None:
    y = [0] * 12 + [1] * 8 + [0] * 5 + [1] * 15
    x = [0] * 20 + [1] * 20
    found = proportional_odds(answers=y, covariates=x)
    odds_ratio = (15 / 5) / (8 / 12)
    assert found.coefficients[0].odds_ratio == pytest.approx(odds_ratio, rel=1e-8)
    woolf = (1 / 12 + 1 / 8 + 1 / 5 + 1 / 15) ** 0.5
    assert found.coefficients[0].se == pytest.approx(woolf, rel=1e-7)


def test_derivatives_are_those_of_the_likelihood() -> None:
    x, y = answers(80, 3, beta=1.0)
    design = make_design(answers=y, covariates=x, names=None, readers=None)
    at = np.array([-2.1, -0.7, 0.9, 2.4, 0.6])
    _, gradient, hessian = value_and_slopes(design, at)
    for k, unit in enumerate(np.eye(5) * 1e-5):
        up, down = value_and_slopes(design, at + unit), value_and_slopes(design, at - unit)
        assert gradient[k] == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-6, abs=1e-6)
        assert hessian[k] == pytest.approx((up[1] - down[1]) / 2e-5, rel=1e-5, abs=1e-5)


def test_probabilities_of_all_levels_add_up_to_one_even_far_out() -> None:
    thresholds = np.array([-3.0, 0.0, 0.5])
    for eta in (-40.0, -1.0, 0.0, 35.0):
        found = terms(np.arange(4), np.full(4, eta), thresholds)
        assert np.isfinite(found.value).all()
        assert np.exp(found.value).sum() == pytest.approx(1.0, abs=1e-12)


def test_the_order_of_levels_counts_not_their_distance() -> None:
    x, y = answers(100, 4, beta=0.8)
    stretched = proportional_odds(answers=y**3, covariates=x)
    reversed_scale = proportional_odds(answers=-y, covariates=x)
    plain = proportional_odds(answers=y, covariates=x)
    assert stretched.coefficients[0].value == pytest.approx(plain.coefficients[0].value, abs=1e-8)
    opposite = -reversed_scale.coefficients[0].value
    assert opposite == pytest.approx(plain.coefficients[0].value, abs=1e-8)


@pytest.mark.parametrize(
    ("y", "x", "words"),
    [
        ([1, 1, 1, 2, 2, 2], [1, 2, 3, 4, 5, 6], "separate"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "equal"),
        ([1, 2, 1, 2], [3, 3, 3, 3], "vary"),
        ([1, 2, 1, 2], [[1, 2], [2, 4], [3, 6], [4, 8]], "collinear"),
        ([1, 2, 1], [1, 2, 3, 4], "match"),
    ],
)
def test_what_has_no_estimate_is_refused(y: list[int], x: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        proportional_odds(answers=y, covariates=x)


def test_intervals_cover_the_planted_slope_and_null_p_are_uniform() -> None:
    covered, null_p = [], []
    for seed in range(300):
        x, y = answers(60, 1000 + seed, beta=0.8)
        low, high = proportional_odds(answers=y, covariates=x).coefficients[0].interval
        covered.append(low < 0.8 < high)
        x, y = answers(60, 5000 + seed, beta=0.0)
        null_p.append(proportional_odds(answers=y, covariates=x).p_value)
    assert stats.binomtest(sum(covered), 300, 0.95).pvalue > 1e-3
    assert stats.kstest(null_p, "uniform").pvalue > 1e-3


def grouped(seed: int, *, groups: int = 40, each: int = 4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    x, y = answers(groups * each, seed + 1, beta=0.8, shift=1.2 * rng.normal(size=groups)[group])
    return group, x, y


def test_marginal_likelihood_is_the_integral_and_its_gradient_the_derivative() -> None:
    group, x, y = grouped(0, groups=8)
    design = make_design(answers=y, covariates=x, names=None, readers=None)
    at = np.array([-2.0, -1.0, 1.2, 2.2, 0.7, 1.3])
    value, gradient = marginal(design, group, at, 25)
    u = np.linspace(-9, 9, 20_001)
    total = 0.0
    for k in range(8):
        rows = group == k
        eta = (design.x[rows] @ at[4:5])[:, None] + at[-1] * u
        logs = terms(design.codes[rows], eta, at[:4]).value.sum(0)
        total += np.log(np.trapezoid(np.exp(logs) * stats.norm.pdf(u), u))
    assert value == pytest.approx(total, abs=1e-6)
    for k, unit in enumerate(np.eye(6) * 1e-5):
        up, down = (marginal(design, group, at + s * unit, 25)[0] for s in (1, -1))
        assert gradient[k] == pytest.approx((up - down) / 2e-5, abs=1e-5)


def test_random_intercept_finds_what_was_planted_and_widens_the_interval() -> None:
    group, x, y = grouped(7, groups=150)
    names = [f"image{k}" for k in group]
    mixed = mixed_proportional_odds(answers=y, covariates=x, groups=names)
    slope = mixed.coefficients[0]
    assert slope.interval[0] < 0.8 < slope.interval[1]
    assert mixed.intercept_sd == pytest.approx(1.2, abs=0.35)
    plain = proportional_odds(answers=y, covariates=x)
    assert mixed.log_likelihood > plain.log_likelihood + 10
    assert plain.coefficients[0].value < slope.value  # ignoring the spread shrinks the slope


def test_without_spread_between_groups_it_is_the_plain_model() -> None:
    rng = np.random.default_rng(5)
    x, y = answers(160, 12, beta=0.8)
    group = rng.permutation(np.repeat(np.arange(40), 4))
    mixed = mixed_proportional_odds(answers=y, covariates=x, groups=[str(k) for k in group])
    plain = proportional_odds(answers=y, covariates=x)
    assert mixed.log_likelihood >= plain.log_likelihood - 1e-6
    assert mixed.log_likelihood < plain.log_likelihood + 3
    assert mixed.coefficients[0].value == pytest.approx(plain.coefficients[0].value, rel=0.15)


def test_too_few_groups_are_refused() -> None:
    x, y = answers(20, 1, beta=0.5)
    for groups in (["a", "b"] * 10, [str(k) for k in range(20)]):
        with pytest.raises(ValueError, match="groups"):
            mixed_proportional_odds(answers=y, covariates=x, groups=groups)
