"""Factorial analysis: statsmodels, split-plot identities, nominal rates, planted trends."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import AnovaRM, anova_lm

from fetalsynth.statistics.effects import hedges_g, noncentrality, variance_share
from fetalsynth.statistics.factorial import factorial
from fetalsynth.statistics.trend import log_trends

SIZES, EPOCHS = (100, 300, 800), (10, 20, 40, 80)


def grid(*, seeds: int) -> dict[str, list[int]]:
    """Sizes × seeds trainings, each at all epochs; ``unit`` numbers the training."""
    rows = [
        (size, epoch, seed, seed * 10 + k)
        for k, size in enumerate(SIZES)
        for seed in range(seeds)
        for epoch in EPOCHS
    ]
    columns = zip(*rows, strict=True)
    return dict(zip(("images", "epochs", "seed", "unit"), map(list, columns), strict=True))


def values(design: dict[str, list[int]], rng: np.random.Generator, **slopes: float) -> np.ndarray:
    """Noise between trainings (sd 2) and within (sd 1, correlated from epoch to epoch)."""
    units = {unit: k for k, unit in enumerate(dict.fromkeys(design["unit"]))}
    between = 2 * rng.normal(size=len(units))
    walk = np.cumsum(rng.normal(size=(len(units), len(EPOCHS))), axis=1) / 2
    out = []
    for size, epoch, unit in zip(design["images"], design["epochs"], design["unit"], strict=True):
        k = units[unit]
        planted = slopes.get("images", 0) * np.log2(size) + slopes.get("epochs", 0) * np.log2(epoch)
        out.append(between[k] + walk[k, EPOCHS.index(epoch)] + planted)
    return np.array(out)


def test_unbalanced_two_factors_are_type_two_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    a, b = np.repeat([1, 2, 3], 12), np.tile(["x", "y", "z", "w"], 9)
    keep = np.ones(36, bool)
    keep[[0, 7, 13, 20, 33]] = False
    a, b = a[keep], b[keep]
    y = rng.normal(size=len(a)) + 0.4 * a + (b == "x")
    found = factorial(values=y, factors={"a": list(a), "b": list(b)})
    frame = pd.DataFrame({"a": a, "b": b, "y": y})
    theirs = anova_lm(smf.ols("y ~ C(a, Sum) * C(b, Sum)", frame).fit(), typ=2)
    for each, name in zip(found.effects, theirs.index, strict=False):
        row = theirs.loc[name]
        assert each.ss == pytest.approx(row["sum_sq"])
        assert (each.df, each.f, each.p_value) == pytest.approx(
            (row["df"], row["F"], row["PR(>F)"])
        )
        assert each.share is not None
        eta = row["sum_sq"] / (row["sum_sq"] + theirs.loc["Residual", "sum_sq"])
        assert each.share.eta_squared == pytest.approx(eta)
    assert len(found.effects) == 3
    assert not found.notes


def test_three_factors_have_all_interactions() -> None:
    rng = np.random.default_rng(1)
    codes = np.array(np.meshgrid([0, 1], [0, 1, 2], [0, 1], [0, 1, 2])).reshape(4, -1)[:3]
    y = rng.normal(size=codes.shape[1]) + codes[0] * codes[2]
    factors = {name: list(column) for name, column in zip("abc", codes, strict=True)}
    found = factorial(values=y, factors=factors)
    frame = pd.DataFrame({**factors, "y": y})
    theirs = anova_lm(smf.ols("y ~ C(a, Sum) * C(b, Sum) * C(c, Sum)", frame).fit(), typ=2)
    assert [each.name for each in found.effects][-1] == "a × b × c"
    for each in found.effects:
        row = theirs.loc[":".join(f"C({name}, Sum)" for name in each.factors)]
        assert (each.f, each.p_value) == pytest.approx((row["F"], row["PR(>F)"]))


def test_one_seed_per_cell_takes_the_interaction_as_error_and_says_so() -> None:
    y = np.random.default_rng(2).normal(size=12) + np.repeat([0, 1, 2], 4)
    a, b = np.repeat([1, 2, 3], 4), np.tile([1, 2, 3, 4], 3)
    found = factorial(values=y, factors={"a": list(a), "b": list(b)})
    frame = pd.DataFrame({"a": a, "b": b, "y": y})
    theirs = anova_lm(smf.ols("y ~ C(a) + C(b)", frame).fit(), typ=2)
    assert [each.name for each in found.effects] == ["a", "b"]
    for each, row in zip(found.effects, theirs.itertuples(), strict=False):
        assert each.f == pytest.approx(row.F)
        assert each.error == "interaction a × b"
    assert "interaction a × b serves as the error term" in found.notes[0]


def test_nothing_to_test_against_is_refused() -> None:
    with pytest.raises(ValueError, match="add seeds"):
        factorial(values=[1.0, 2.0, 4.0], factors={"a": [1, 2, 3]})
    with pytest.raises(ValueError, match="one level"):
        factorial(values=[1.0, 2.0, 4.0], factors={"a": [1, 1, 1]})


def test_factor_between_trainings_is_tested_on_their_means() -> None:
    design = grid(seeds=4)
    y = values(design, np.random.default_rng(3))
    factors = {"images": design["images"], "epochs": design["epochs"]}
    found = factorial(values=y, factors=factors, units=design["unit"])
    frame = pd.DataFrame({**design, "y": y})
    means = frame.groupby(["unit", "images"]).y.mean().reset_index()
    theirs = stats.f_oneway(*[group.y for _, group in means.groupby("images")])
    effect = found.effect("images")
    assert (effect.f, effect.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert (effect.df, effect.df_error) == (2, 9)
    assert found.units == 12


def test_factor_within_trainings_is_the_repeated_measures_analysis() -> None:
    design = grid(seeds=3)
    one_size = [k for k, size in enumerate(design["images"]) if size == 100]
    design = {name: [column[k] for k in one_size] for name, column in design.items()}
    y = values(design, np.random.default_rng(4), epochs=0.7)
    found = factorial(values=y, factors={"epochs": design["epochs"]}, units=design["unit"])
    frame = pd.DataFrame({**design, "y": y})
    theirs = AnovaRM(frame, "y", "unit", within=["epochs"]).fit().anova_table.iloc[0]
    assert found.effects[0].f == pytest.approx(theirs["F Value"])
    wide = y.reshape(-1, len(EPOCHS))
    basis = stats.ortho_group.rvs(3, random_state=0) @ _helmert(4)
    covariance = np.cov((wide @ basis.T).T)
    box = np.trace(covariance) ** 2 / (3 * (covariance**2).sum())
    assert found.effects[0].epsilon == pytest.approx(max(box, 1 / 3))


def _helmert(k: int) -> np.ndarray:
    from scipy.linalg import helmert

    return np.asarray(helmert(k))


def test_split_plot_agrees_with_dummies_for_every_training() -> None:
    design = grid(seeds=3)
    y = values(design, np.random.default_rng(5), epochs=0.4)
    factors = {"images": design["images"], "epochs": design["epochs"]}
    found = factorial(values=y, factors=factors, units=design["unit"])
    frame = pd.DataFrame({**design, "y": y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = smf.ols("y ~ C(unit) + C(epochs) + C(epochs):C(images)", frame).fit()
    additive = smf.ols("y ~ C(unit) + C(epochs)", frame).fit()
    no_epochs = smf.ols("y ~ C(unit)", frame).fit()
    mse = model.ssr / model.df_resid
    epochs = (no_epochs.ssr - additive.ssr) / 3 / mse
    both = (additive.ssr - model.ssr) / 6 / mse
    assert found.effect("epochs").f == pytest.approx(epochs)
    assert found.effect("images", "epochs").f == pytest.approx(both)


def test_one_training_per_size_cannot_test_the_size() -> None:
    design = grid(seeds=1)
    y = values(design, np.random.default_rng(6))
    factors = {"images": design["images"], "epochs": design["epochs"]}
    found = factorial(values=y, factors=factors, units=design["unit"])
    assert np.isnan(found.effect("images").p_value)
    assert np.isfinite(found.effect("epochs").p_value)
    assert "cannot be told from differences between trainings" in " ".join(found.notes)


def test_trainings_at_different_points_are_refused() -> None:
    with pytest.raises(ValueError, match="same points"):
        factorial(
            values=[1.0, 2.0, 3.0, 4.0],
            factors={"epochs": [1, 2, 1, 3]},
            units=["a", "a", "b", "b"],
        )


def test_false_positives_are_nominal_although_epochs_correlate() -> None:
    design = grid(seeds=3)
    factors = {"images": design["images"], "epochs": design["epochs"]}
    p, naive = [], 0
    for seed in range(200):
        y = values(design, np.random.default_rng(seed))
        found = factorial(values=y, factors=factors, units=design["unit"])
        p.append([each.p_value for each in found.effects])
        slopes = log_trends(values=y, factors=factors, units=design["unit"])
        p[-1] += [each.p_value for each in slopes]
        naive += factorial(values=y, factors=factors).effect("images").p_value < 0.05
    rates = (np.array(p) < 0.05).sum(0)
    for hits in rates:
        assert stats.binomtest(int(hits), 200, 0.05).pvalue > 1e-3
    assert naive > 60  # with every snapshot as a replicate


def test_planted_slopes_lie_in_their_intervals() -> None:
    design = grid(seeds=3)
    factors = {"images": design["images"], "epochs": design["epochs"]}
    inside = np.zeros(2)
    for seed in range(200):
        y = values(design, np.random.default_rng(seed), images=-1.5, epochs=0.5)
        found = log_trends(values=y, factors=factors, units=design["unit"])
        for k, planted in enumerate((-1.5, 0.5)):
            inside[k] += found[k].interval[0] < planted < found[k].interval[1]
    assert found[0].per == "doubling"
    for count in inside:
        assert stats.binomtest(int(count), 200, 0.95).pvalue > 1e-3


def test_trend_without_replicates_is_the_regression_line() -> None:
    x, y = [100, 300, 500, 800], [4.0, 3.0, 3.5, 2.0]
    (found,) = log_trends(values=y, factors={"images": x})
    theirs = stats.linregress(np.log2(x), y)
    assert (found.slope, found.p_value) == pytest.approx((theirs.slope, theirs.pvalue))
    assert found.error == "distance of the levels from the line"


def test_interval_of_the_share_of_variance_covers() -> None:
    rng = np.random.default_rng(0)
    means, n = np.array([0.0, 0.5, 1.0]), 8
    spread = n * ((means - means.mean()) ** 2).sum()  # λ
    truth = spread / (spread + 3 * n)
    inside = 0
    for _ in range(300):
        found = stats.f_oneway(*(rng.normal(size=(3, n)) + means[:, None]))
        low, high = variance_share(f=found.statistic, df1=2, df2=3 * n - 3).interval
        inside += low <= truth <= high
    assert stats.binomtest(inside, 300, 0.95).pvalue > 1e-3


def test_noncentrality_puts_the_observed_f_at_the_percentiles() -> None:
    low, high = noncentrality(f=4.0, df1=3, df2=20)
    assert stats.ncf.cdf(4.0, 3, 20, low) == pytest.approx(0.975, abs=1e-6)
    assert stats.ncf.cdf(4.0, 3, 20, high) == pytest.approx(0.025, abs=1e-6)
    assert noncentrality(f=0.5, df1=3, df2=20)[0] == 0.0


def test_omega_squared_has_no_bias_where_there_is_no_effect() -> None:
    f = stats.f.rvs(2, 12, size=4000, random_state=0)
    found = [variance_share(f=value, df1=2, df2=12) for value in f]
    assert np.mean([each.omega_squared for each in found]) == pytest.approx(0, abs=0.03)
    assert np.mean([each.eta_squared for each in found]) == pytest.approx(2 / 14, abs=0.01)


def test_hedges_g_is_cohens_d_corrected() -> None:
    a, b = [1.0, 2.0, 3.0, 6.0], [2.0, 4.0, 4.0]
    pooled = (3 * np.var(a, ddof=1) + 2 * np.var(b, ddof=1)) / 5
    assert hedges_g(a, b) == pytest.approx((3 - 10 / 3) / pooled**0.5 * (1 - 3 / 19))
