"""Effect sizes of an F test with intervals: partial η² and ω², and of a standardised difference.

Formulas
    η²p = SS / (SS + SS_error) = F df₁ / (F df₁ + df₂);
    ω²p = df₁ (F − 1) / (df₁ (F − 1) + n), n values in all (Olejnik and Algina,
    *Psychol. Methods* 8:434, 2003);
    interval: the noncentralities λ at which the observed F is the 97.5th and the 2.5th percentile,
    as λ / (λ + df₁ + df₂ + 1) (Smithson, *Educ. Psychol. Meas.* 61:605, 2001). It is about the
    share of variance in the population; η²p itself lies above it in small samples, ω²p does not.
    Hedges' g = d (1 − 3 / (4 df − 1)) (Hedges 1981).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fetalsynth.statistics.intervals import Interval, sample


@dataclass(frozen=True, kw_only=True)
class VarianceShare:
    """Partial η² and ω² of an effect and the interval of the share of variance."""

    eta_squared: float
    omega_squared: float
    interval: Interval


def variance_share(
    *, f: float, df1: float, df2: float, n: float | None = None, level: float = 0.95
) -> VarianceShare:
    """Effect of an F value; raises ValueError for an F below 0 or no degrees of freedom.

    ``n`` is the number of values, by default that of a one-way design.
    """
    if not f >= 0 or df1 <= 0 or df2 <= 0:
        raise ValueError(f"no effect size for F({df1:g}, {df2:g}) = {f:g}")
    count = df1 + df2 + 1 if n is None else n
    low, high = noncentrality(f=f, df1=df1, df2=df2, level=level)
    return VarianceShare(
        eta_squared=f * df1 / (f * df1 + df2),
        omega_squared=df1 * (f - 1) / (df1 * (f - 1) + count),
        interval=(low / (low + df1 + df2 + 1), high / (high + df1 + df2 + 1)),
    )


def noncentrality(*, f: float, df1: float, df2: float, level: float = 0.95) -> Interval:
    """Interval of the noncentrality λ behind an observed F; 0 where none is small enough."""
    from scipy.special import ncfdtr

    def share_below(value: float) -> float:
        return float(ncfdtr(df1, df2, value, f))

    tail = (1 - level) / 2
    return (_falling_root(share_below, 1 - tail), _falling_root(share_below, tail))


def hedges_g(first: ArrayLike, second: ArrayLike) -> float:
    """Standardised difference of means, first less second, corrected for small samples."""
    a, b = sample(first), sample(second)
    df = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / df
    if pooled == 0:
        return 0.0 if a.mean() == b.mean() else float(np.copysign(np.inf, a.mean() - b.mean()))
    return float((a.mean() - b.mean()) / np.sqrt(pooled) * (1 - 3 / (4 * df - 1)))


def _falling_root(function: Callable[[float], float], target: float) -> float:
    """λ ≥ 0 where a falling function meets ``target``, by bisection; 0 where it starts below."""
    if function(1e-12) <= target:
        return 0.0
    low, high = 0.0, 1.0
    while function(high) > target and high < 1e7:
        low, high = high, high * 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > target else (low, middle)
    return (low + high) / 2
