"""Proportions and multiplicity: published tables, statsmodels, exact enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import binom_tost, proportion_confint

from fetalsynth.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from fetalsynth.statistics.proportions import (
    binomial_p,
    clopper_pearson,
    decisions_needed,
    equivalence_power,
    equivalent_to,
    wilson,
)

NEWCOMBE_1998 = [  # Stat. Med. 17:857, table I: methods 3 (score) and 5 (exact)
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("successes", "n", "score", "exact"), NEWCOMBE_1998)
def test_intervals_of_a_published_table(
    successes: int, n: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson(successes, n) == pytest.approx(score, abs=5e-5)
    assert clopper_pearson(successes, n) == pytest.approx(exact, abs=5e-5)


@given(st.integers(1, 200), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_agree_with_statsmodels(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    theirs = proportion_confint(k, n, 1 - level, "wilson")
    assert wilson(k, n, level) == pytest.approx(theirs, abs=1e-9)
    theirs = proportion_confint(k, n, 1 - level, "beta")
    assert clopper_pearson(k, n, level) == pytest.approx(theirs, abs=1e-9)


def test_impossible_counts_are_refused() -> None:
    for successes, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="successes"):
            wilson(successes, n)


def test_binomial_p_by_enumeration() -> None:
    chances = stats.binom.pmf(np.arange(13), 12, 0.5)
    assert binomial_p(successes=10, n=12) == pytest.approx(
        chances[chances <= chances[10] * (1 + 1e-9)].sum()
    )
    one_sided = binomial_p(successes=10, n=12, alternative="greater")
    assert one_sided == pytest.approx(chances[10:].sum())


def test_equivalence_agrees_with_statsmodels_and_its_interval() -> None:
    for successes in (96, 105, 118, 127):
        found = equivalent_to(successes=successes, n=215, margin=0.1)
        p, p_low, p_high = binom_tost(successes, 215, 0.4, 0.6)
        assert (found.p_value, found.p_low, found.p_high) == pytest.approx((p, p_low, p_high))
        inside = found.interval[0] > 0.4 and found.interval[1] < 0.6
        assert found.equivalent == inside


def test_a_margin_beyond_the_possible_is_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        equivalent_to(successes=5, n=10, margin=0.5)


def test_decisions_needed_have_the_power_they_promise() -> None:
    assert decisions_needed(margin=0.10) == 215
    assert decisions_needed(margin=0.15) == 96
    rng = np.random.default_rng(0)
    drawn = rng.binomial(215, 0.5, 2000)
    said = {k: equivalent_to(successes=k, n=215, margin=0.1).equivalent for k in set(drawn)}
    share = np.mean([said[k] for k in drawn])
    exact = equivalence_power(n=215, margin=0.1)
    assert exact == pytest.approx(0.8, abs=0.03)
    assert share == pytest.approx(exact, abs=4 * (0.16 / 2000) ** 0.5)
    assert equivalence_power(n=215, margin=0.1, true=0.6) < 0.05


def test_step_up_of_the_published_example() -> None:
    """Benjamini and Hochberg 1995, section 4: four rejected, Bonferroni's procedure three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3


@pytest.mark.parametrize("m", [1, 2, 7, 30])
def test_adjusted_p_agree_with_statsmodels(m: int) -> None:
    p = np.random.default_rng(m).random(m).round(1) ** 2  # with ties, zeros and ones
    names = (("holm", holm), ("fdr_bh", benjamini_hochberg), ("fdr_by", benjamini_yekutieli))
    for name, ours in names:
        assert np.allclose(ours(p), multipletests(p, method=name)[1], atol=1e-12)


def test_what_cannot_be_tested_does_not_count() -> None:
    with_gap = holm([0.01, np.nan, 0.04])
    assert np.isnan(with_gap[1])
    assert with_gap[[0, 2]] == pytest.approx(holm([0.01, 0.04]))
    assert holm([]).shape == (0,)
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
