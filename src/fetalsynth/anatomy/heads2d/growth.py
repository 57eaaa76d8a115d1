"""Head sizes from the growth standard: circumference and shape as they vary between fetuses.

The INTERGROWTH-21st standard (see :mod:`fetalsynth.anatomy.biometry`) publishes mean and standard
deviation of three measures that an ellipse ties together: head circumference, biparietal and
occipitofrontal diameter. It publishes no correlation between the diameters, but the three standard
deviations leave room for one only, which is what :func:`diameter_correlation` computes.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist

import numpy as np

from fetalsynth.anatomy.biometry import (
    AGE_RANGE_WEEKS,
    CEPHALIC_INDEX_RANGE,
    HeadBiometry,
    ellipse_circumference,
    growth_mean_mm,
    growth_sd_mm,
)
from fetalsynth.errors import UserError

_STEP_MM = 1e-3
_TABLE_STEP_WEEKS = 0.005
_MOST_DRAWS = 1000


def diameter_correlation(*, gestational_age_weeks: float) -> float:
    """Correlation ρ of the two diameters that the three published standard deviations imply.

    Var(HC) = g_B² σ_B² + g_O² σ_O² + 2 ρ g_B g_O σ_B σ_O, with g the derivatives of the ellipse's
    circumference by its diameters (first order). From 0.86 at 14 weeks to 0.24 at 40 weeks.
    Raises UserError outside 14 to 40 weeks.
    """
    b, o = _diameters(gestational_age_weeks)
    sd_hc = growth_sd_mm("head_circumference", gestational_age_weeks=gestational_age_weeks)
    sd_b, sd_o = _diameter_sds(gestational_age_weeks)
    by_b, by_o = _slopes(b, o)
    rest = sd_hc**2 - (by_b * sd_b) ** 2 - (by_o * sd_o) ** 2
    return float(np.clip(rest / (2 * by_b * by_o * sd_b * sd_o), -1, 1))


def cephalic_index_law(*, gestational_age_weeks: float) -> tuple[float, float, float]:
    """(mean, standard deviation, correlation with the circumference) of the cephalic index.

    The mean is the ratio of the published means; the rest follows to first order from the published
    standard deviations and :func:`diameter_correlation`. Mean 0.88 at 14 and 0.79 to 0.82 from 18
    weeks on, standard deviation 0.025 to 0.048 (Hadlock et al. 1981: mean 0.783, normal 0.74 to
    0.83). Raises UserError outside 14 to 40 weeks.
    """
    b, o = _diameters(gestational_age_weeks)
    sd_b, sd_o = _diameter_sds(gestational_age_weeks)
    shared = diameter_correlation(gestational_age_weeks=gestational_age_weeks) * sd_b * sd_o
    spread = np.array([[sd_b**2, shared], [shared, sd_o**2]])
    of_index = np.array([1 / o, -b / o**2])
    of_hc = np.array(_slopes(b, o))
    sd_index, sd_hc = sqrt(of_index @ spread @ of_index), sqrt(of_hc @ spread @ of_hc)
    return b / o, sd_index, float(of_hc @ spread @ of_index) / (sd_index * sd_hc)


def head_of(
    *, head_circumference_mm: float, cephalic_index: float, gestational_age_weeks: float
) -> HeadBiometry:
    """The head whose ellipse has exactly this circumference and ratio of axes."""
    of_unit = ellipse_circumference(semi_major=0.5, semi_minor=cephalic_index / 2)
    ofd = head_circumference_mm / of_unit
    return HeadBiometry(
        gestational_age_weeks=gestational_age_weeks,
        biparietal_diameter_mm=cephalic_index * ofd,
        occipitofrontal_diameter_mm=ofd,
    )


def sample_head(
    rng: np.random.Generator,
    *,
    gestational_age_weeks: float,
    centiles: tuple[float, float] = (0.0, 100.0),
) -> HeadBiometry:
    """Draw a head of this age whose circumference lies between two centiles of the standard.

    The circumference follows the published normal distribution exactly (cut to ``centiles``). The
    cephalic index is normal given it, by :func:`cephalic_index_law`; values outside 0.70 to 0.95
    are drawn again, which leaves the circumference as it is. The diameters follow from both.
    Raises UserError outside 14 to 40 weeks or for centiles not in order within 0 to 100.
    """
    check_centiles(centiles)
    mean = growth_mean_mm("head_circumference", gestational_age_weeks=gestational_age_weeks)
    sd = growth_sd_mm("head_circumference", gestational_age_weeks=gestational_age_weeks)
    low, high = centiles
    share = float(np.clip(rng.uniform(low / 100, high / 100), 1e-9, 1 - 1e-9))
    z = NormalDist().inv_cdf(share)
    index, index_sd, rho = cephalic_index_law(gestational_age_weeks=gestational_age_weeks)
    for _ in range(_MOST_DRAWS):
        drawn = index + index_sd * (rho * z + sqrt(1 - rho**2) * rng.standard_normal())
        if CEPHALIC_INDEX_RANGE[0] <= drawn <= CEPHALIC_INDEX_RANGE[1]:
            break
    else:
        drawn = float(np.clip(drawn, *CEPHALIC_INDEX_RANGE))
    return head_of(
        head_circumference_mm=mean + sd * z,
        cephalic_index=float(drawn),
        gestational_age_weeks=float(gestational_age_weeks),
    )


def check_centiles(centiles: tuple[float, float]) -> None:
    """Raise UserError unless the two are in order and within 0 to 100."""
    low, high = centiles
    if not 0 <= low < high <= 100:
        raise UserError(
            f"centiles {low:g} to {high:g}: give two from 0 to 100, the lower one first"
        )


def age_of_circumference(head_circumference_mm: float) -> float | None:
    """Age at which this circumference is the mean of the standard, weeks; None beyond 14 to 40.

    The inverse of the growth curve, by a table of 0.005 weeks: exact to 0.001 weeks. It is the age
    of an average head and tells nothing about growth: every head comes out at the 50th centile.
    """
    circumferences, ages = _age_table()
    if not circumferences[0] <= head_circumference_mm <= circumferences[-1]:
        return None
    return float(np.interp(head_circumference_mm, circumferences, ages))


@lru_cache(maxsize=1)
def _age_table() -> tuple[tuple[float, ...], tuple[float, ...]]:
    low, high = AGE_RANGE_WEEKS
    ages = np.linspace(low, high, round((high - low) / _TABLE_STEP_WEEKS) + 1)
    means = [growth_mean_mm("head_circumference", gestational_age_weeks=float(a)) for a in ages]
    return tuple(means), tuple(float(a) for a in ages)


def _diameters(weeks: float) -> tuple[float, float]:
    return (
        growth_mean_mm("biparietal_diameter", gestational_age_weeks=weeks),
        growth_mean_mm("occipitofrontal_diameter", gestational_age_weeks=weeks),
    )


def _diameter_sds(weeks: float) -> tuple[float, float]:
    return (
        growth_sd_mm("biparietal_diameter", gestational_age_weeks=weeks),
        growth_sd_mm("occipitofrontal_diameter", gestational_age_weeks=weeks),
    )


def _slopes(b: float, o: float) -> tuple[float, float]:
    """Derivatives of the circumference by the two diameters, by central differences."""

    def around(db: float, do: float) -> float:
        return ellipse_circumference(semi_major=(o + do) / 2, semi_minor=(b + db) / 2)

    step = _STEP_MM
    return (
        (around(step, 0) - around(-step, 0)) / (2 * step),
        (around(0, step) - around(0, -step)) / (2 * step),
    )
