"""Head biometry agrees with the published INTERGROWTH-21st standard and with itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ellipe
from scipy.stats import norm

from fetalsynth.anatomy.biometry import (
    AGE_RANGE_WEEKS,
    Measure,
    ellipse_circumference,
    growth_centile,
    growth_mean_mm,
    growth_sd_mm,
    growth_value_mm,
    sample_biometry,
)
from fetalsynth.errors import UserError

MEASURES: tuple[Measure, ...] = (
    "head_circumference",
    "biparietal_diameter",
    "occipitofrontal_diameter",
)
AGES = st.floats(*AGE_RANGE_WEEKS)


@pytest.mark.parametrize(
    ("measure", "age", "mean", "sd"),
    [
        # Worked by hand from the published equations with ln 20 = 2.995732, ln 32 = 3.465736.
        ("head_circumference", 20, 172.48, 7.44),
        ("biparietal_diameter", 20, 48.45, 2.30),
        ("occipitofrontal_diameter", 20, 60.69, 2.78),
        ("head_circumference", 32, 294.35, 9.62),
        ("biparietal_diameter", 32, 83.77, 3.19),
        ("occipitofrontal_diameter", 32, 103.46, 4.15),
    ],
)
def test_curves_at_hand_worked_ages(measure: Measure, age: float, mean: float, sd: float) -> None:
    assert growth_mean_mm(measure, gestational_age_weeks=age) == pytest.approx(mean, abs=0.02)
    assert growth_sd_mm(measure, gestational_age_weeks=age) == pytest.approx(sd, abs=0.02)


def test_curves_agree_with_hadlock() -> None:
    """Hadlock 1984, an independent cohort, whose biparietal diameter ends at the inner border."""
    for age in range(18, 37):
        hadlock_hc = 10 * (-11.48 + 1.56 * age - 0.0002548 * age**3)
        hadlock_bpd = 10 * (-3.08 + 0.41 * age - 0.000061 * age**3)
        hc = growth_mean_mm("head_circumference", gestational_age_weeks=age)
        bpd = growth_mean_mm("biparietal_diameter", gestational_age_weeks=age)
        assert hc == pytest.approx(hadlock_hc, rel=0.05)
        assert 0.5 < bpd - hadlock_bpd < 4


@pytest.mark.parametrize("age", range(16, 41))
def test_circumference_of_the_mean_diameters_is_the_mean_circumference(age: int) -> None:
    """Three independently fitted curves describe one ellipse within 0.7 %."""
    bpd = growth_mean_mm("biparietal_diameter", gestational_age_weeks=age)
    ofd = growth_mean_mm("occipitofrontal_diameter", gestational_age_weeks=age)
    implied = ellipse_circumference(semi_major=ofd / 2, semi_minor=bpd / 2)
    published = growth_mean_mm("head_circumference", gestational_age_weeks=age)
    assert implied == pytest.approx(published, rel=0.007)


@given(age=AGES, centile=st.floats(0.1, 99.9))
def test_centile_and_value_are_inverse_and_normal(age: float, centile: float) -> None:
    for measure in MEASURES:
        value = growth_value_mm(measure, centile=centile, gestational_age_weeks=age)
        back = growth_centile(measure, value_mm=value, gestational_age_weeks=age)
        assert back == pytest.approx(centile, abs=1e-6)
        mean = growth_mean_mm(measure, gestational_age_weeks=age)
        sd = growth_sd_mm(measure, gestational_age_weeks=age)
        assert value == pytest.approx(norm.ppf(centile / 100, mean, sd), rel=1e-9)


@given(age=st.floats(14, 39.9))
def test_heads_grow(age: float) -> None:
    for measure in MEASURES:
        now = growth_mean_mm(measure, gestational_age_weeks=age)
        assert growth_mean_mm(measure, gestational_age_weeks=age + 0.1) > now


@given(major=st.floats(1, 100), ratio=st.floats(0.5, 1))
def test_circumference_agrees_with_the_elliptic_integral(major: float, ratio: float) -> None:
    exact = 4 * major * ellipe(1 - ratio**2)
    got = ellipse_circumference(semi_major=major, semi_minor=major * ratio)
    assert got == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("age", [17.0, 22.0, 28.0, 35.0])
def test_samples_follow_the_standard(age: float) -> None:
    rng = np.random.default_rng(7)
    heads = [sample_biometry(rng, gestational_age_weeks=age) for _ in range(3000)]
    for measure in MEASURES:
        values = np.array([getattr(head, f"{measure}_mm") for head in heads])
        mean = growth_mean_mm(measure, gestational_age_weeks=age)
        sd = growth_sd_mm(measure, gestational_age_weeks=age)
        assert values.mean() == pytest.approx(mean, rel=0.008)
        assert values.std() == pytest.approx(sd, rel=0.15)
    index = np.array([head.cephalic_index for head in heads])
    assert 0.77 < index.mean() < 0.84
    assert 0.03 < index.std() < 0.05
    assert index.min() >= 0.70
    assert index.max() <= 0.95


@pytest.mark.parametrize("age", [13.9, 40.1, float("nan"), -1.0])
def test_ages_outside_the_standard_are_refused(age: float) -> None:
    with pytest.raises(UserError, match="14 to 40 weeks"):
        growth_mean_mm("head_circumference", gestational_age_weeks=age)
    with pytest.raises(UserError, match="14 to 40 weeks"):
        sample_biometry(np.random.default_rng(0), gestational_age_weeks=age)


@pytest.mark.parametrize("centile", [0.0, 100.0, -5.0])
def test_impossible_centiles_are_refused(centile: float) -> None:
    with pytest.raises(UserError, match="centile"):
        growth_value_mm("head_circumference", centile=centile, gestational_age_weeks=20)
