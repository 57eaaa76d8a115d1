"""How many seeds (trainings) an effect needs, from the spread between seeds.

Formulas
    Two groups of k: noncentral t with 2k − 2 degrees of freedom, δ = d √(k / 2) for a difference of
    d standard deviations (Cohen 1988, chapter 2). A factor in a balanced design: noncentral F,
    λ = N f² (chapter 8). Equivalence: the chance that both one-sided tests reject, from the normal
    and χ² distributions of mean and variance (Owen, *Biometrika* 52:437, 1965). A correlation:
    Fisher's z, n = ((z(1−α/2) + z(1−β)) / artanh r)² + 3.

A standard deviation from few seeds is itself uncertain: with three it may be half or six times
the truth. Ask also with the upper limit that :func:`fetalsynth.statistics.intervals.sd_interval`
gives.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np

MOST = 100_000


def power_of_difference(*, seeds: int, difference: float, sd: float, alpha: float = 0.05) -> float:
    """Power of the two-sided t test between two groups of ``seeds`` each."""
    from scipy.special import nctdtr, stdtrit

    if seeds < 2:
        return 0.0
    if sd <= 0:
        return 1.0 if difference else alpha
    df = 2 * seeds - 2
    delta = abs(difference) / sd * (seeds / 2) ** 0.5
    critical = float(stdtrit(df, 1 - alpha / 2))
    if delta > 35:
        return 1.0
    return float(1 - nctdtr(df, delta, critical) + nctdtr(df, delta, -critical))


def seeds_for_difference(
    *, difference: float, sd: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Seeds per group that show ``difference``; None where 100 000 are too few."""
    return _least(
        lambda k: power_of_difference(seeds=k, difference=difference, sd=sd, alpha=alpha), power
    )


def detectable_difference(
    *, seeds: int, sd: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The difference that so many seeds per group show with this power; ∞ for one seed."""
    if seeds < 2:
        return float("inf")
    low, high = 0.0, sd
    while power_of_difference(seeds=seeds, difference=high, sd=sd, alpha=alpha) < power:
        low, high = high, high * 2
        if sd <= 0:
            return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        enough = power_of_difference(seeds=seeds, difference=middle, sd=sd, alpha=alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def power_of_factor(*, f: float, df1: float, df2: float, n: float, alpha: float = 0.05) -> float:
    """Power of the F test of an effect of Cohen's size f = σ(means) / σ in n values."""
    from scipy.special import fdtri, ncfdtr

    if df1 <= 0 or df2 <= 0:
        return 0.0
    critical = float(fdtri(df1, df2, 1 - alpha))
    return float(1 - ncfdtr(df1, df2, n * f * f, critical)) if f > 0 else alpha


def seeds_for_factor(
    *, f: float, levels: int, cells: int, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Seeds per cell that show a main effect of ``levels`` in a design of ``cells`` cells."""

    def reached(seeds: int) -> float:
        return power_of_factor(
            f=f, df1=levels - 1, df2=cells * (seeds - 1), n=cells * seeds, alpha=alpha
        )

    return _least(reached, power)


def power_of_equivalence(
    *, seeds: int, margin: float, sd: float, difference: float = 0.0, alpha: float = 0.05
) -> float:
    """Chance that two groups of ``seeds`` come out equivalent when they truly differ so much."""
    from scipy.special import chdtri, ndtr, stdtrit

    if seeds < 2:
        return 0.0
    if sd <= 0:
        return float(abs(difference) < margin)
    df = 2 * seeds - 2
    share = (np.arange(400) + 0.5) / 400
    spread = np.sqrt(chdtri(df, 1 - share) / df)
    reach = margin - float(stdtrit(df, 1 - alpha)) * spread * sd * (2 / seeds) ** 0.5
    scale = sd * (2 / seeds) ** 0.5
    inside = ndtr((reach - difference) / scale) - ndtr((-reach - difference) / scale)
    return float(np.where(reach > 0, inside, 0.0).mean())


def seeds_for_equivalence(
    *, margin: float, sd: float, difference: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Seeds per group that show equivalence within ``margin``; None where no number does."""
    if abs(difference) >= margin:
        return None
    return _least(
        lambda k: power_of_equivalence(
            seeds=k, margin=margin, sd=sd, difference=difference, alpha=alpha
        ),
        power,
    )


def sets_for_correlation(*, r: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Independent sets that show a correlation r, two-sided: 85 for 0.3."""
    from scipy.special import ndtri

    z = float(ndtri(1 - alpha / 2) + ndtri(power))
    return ceil((z / float(np.arctanh(abs(r)))) ** 2 + 3)


def _least(reached: Callable[[int], float], power: float) -> int | None:
    """The least count from 2 on whose power, which rises with the count, is enough."""
    if reached(MOST) < power:
        return None
    low, high = 1, 2
    while reached(high) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return high
