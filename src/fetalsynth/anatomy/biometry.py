"""Fetal head size by gestational age: the INTERGROWTH-21st standard, centiles and sampling.

Source of every curve: Papageorghiou et al., Lancet 2014;384:869-79 (Fetal Growth Longitudinal
Study of the INTERGROWTH-21st Project), fractional polynomials in exact weeks of gestation. All
three measures are taken at the outer border of the skull; the head circumference is that of the
fitted ellipse, whose axes are the biparietal and the occipitofrontal diameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from fetalsynth.errors import UserError

Measure = Literal["head_circumference", "biparietal_diameter", "occipitofrontal_diameter"]

AGE_RANGE_WEEKS = (14.0, 40.0)
CEPHALIC_INDEX_RANGE = (0.70, 0.95)
DIAMETER_CORRELATION = 0.5


@dataclass(frozen=True, kw_only=True)
class HeadBiometry:
    """Size of one head; the circumference is that of the ellipse with the two diameters."""

    gestational_age_weeks: float
    biparietal_diameter_mm: float
    occipitofrontal_diameter_mm: float

    @property
    def head_circumference_mm(self) -> float:
        """Circumference of the ellipse, mm."""
        return ellipse_circumference(
            semi_major=self.occipitofrontal_diameter_mm / 2,
            semi_minor=self.biparietal_diameter_mm / 2,
        )

    @property
    def cephalic_index(self) -> float:
        """Biparietal over occipitofrontal diameter."""
        return self.biparietal_diameter_mm / self.occipitofrontal_diameter_mm


def growth_mean_mm(measure: Measure, *, gestational_age_weeks: float) -> float:
    """Mean (and median: the standard is normal at every age) of ``measure``, mm.

    Raises UserError outside 14 to 40 weeks.
    """
    age = _checked(gestational_age_weeks)
    if measure == "head_circumference":
        return -28.2849 + 1.69267 * age**2 - 0.397485 * age**2 * log(age)
    if measure == "biparietal_diameter":
        return 5.60878 + 0.158369 * age**2 - 0.00256379 * age**3
    return -12.4097 + 0.626342 * age**2 - 0.148075 * age**2 * log(age)


def growth_sd_mm(measure: Measure, *, gestational_age_weeks: float) -> float:
    """Standard deviation of ``measure`` between fetuses of one age, mm.

    Raises UserError outside 14 to 40 weeks.
    """
    age = _checked(gestational_age_weeks)
    ln = log(age)
    if measure == "head_circumference":
        return 1.98735 + age**3 * (0.0136772 - 0.00726264 * ln + 0.000976253 * ln**2)
    if measure == "biparietal_diameter":
        return exp(0.101242 + age**3 * (0.00150557 - 0.000771535 * ln + 0.0000999638 * ln**2))
    return exp(-0.880034 + age**2 * (0.0631165 - 0.0317136 * ln + 0.00408302 * ln**2))


def growth_centile(measure: Measure, *, value_mm: float, gestational_age_weeks: float) -> float:
    """Centile of ``value_mm``, in (0, 100). Raises UserError outside 14 to 40 weeks."""
    mean = growth_mean_mm(measure, gestational_age_weeks=gestational_age_weeks)
    sd = growth_sd_mm(measure, gestational_age_weeks=gestational_age_weeks)
    return 100 * NormalDist(mean, sd).cdf(value_mm)


def growth_value_mm(measure: Measure, *, centile: float, gestational_age_weeks: float) -> float:
    """Value at ``centile``, mm; the inverse of :func:`growth_centile`.

    Raises UserError outside 14 to 40 weeks or for a centile not in (0, 100).
    """
    if not 0 < centile < 100:
        raise UserError(f"centile {centile:g} is outside (0, 100); give one between")
    mean = growth_mean_mm(measure, gestational_age_weeks=gestational_age_weeks)
    sd = growth_sd_mm(measure, gestational_age_weeks=gestational_age_weeks)
    return NormalDist(mean, sd).inv_cdf(centile / 100)


def sample_biometry(rng: np.random.Generator, *, gestational_age_weeks: float) -> HeadBiometry:
    """Draw a healthy head of this age.

    Both diameters follow their INTERGROWTH-21st normal distributions. The standard gives no
    correlation between them; 0.5 lets the circumference of the ellipse spread like the published
    one (standard deviation within 15 %) and the cephalic index with a standard deviation of 0.03
    to 0.05 (Hadlock 1981: mean 0.783, ±1 SD 0.74 to 0.83). Heads with a cephalic index outside
    0.70 to 0.95 (dolicho- and brachycephaly) are drawn again.

    Raises UserError outside 14 to 40 weeks.
    """
    age = _checked(gestational_age_weeks)
    mean_b = growth_mean_mm("biparietal_diameter", gestational_age_weeks=age)
    mean_o = growth_mean_mm("occipitofrontal_diameter", gestational_age_weeks=age)
    sd_b = growth_sd_mm("biparietal_diameter", gestational_age_weeks=age)
    sd_o = growth_sd_mm("occipitofrontal_diameter", gestational_age_weeks=age)
    low, high = CEPHALIC_INDEX_RANGE
    rho = DIAMETER_CORRELATION
    while True:
        first, second = rng.standard_normal(2)
        bpd = mean_b + sd_b * first
        ofd = mean_o + sd_o * (rho * first + sqrt(1 - rho**2) * second)
        if ofd > 0 and low <= bpd / ofd <= high:
            return HeadBiometry(
                gestational_age_weeks=age,
                biparietal_diameter_mm=float(bpd),
                occipitofrontal_diameter_mm=float(ofd),
            )


def ellipse_circumference(*, semi_major: float, semi_minor: float) -> float:
    """Circumference of an ellipse, in the unit of its semi-axes.

    Ramanujan's second approximation (1914); relative error below 4e-10 for axis ratios above 0.5.
    """
    total = semi_major + semi_minor
    h = ((semi_major - semi_minor) / total) ** 2
    return pi * total * (1 + 3 * h / (10 + sqrt(4 - 3 * h)))


def _checked(age: float) -> float:
    low, high = AGE_RANGE_WEEKS
    if not low <= age <= high:
        raise UserError(
            f"gestational age {age:g} weeks is outside the INTERGROWTH-21st standard; "
            f"give {low:g} to {high:g} weeks"
        )
    return float(age)
