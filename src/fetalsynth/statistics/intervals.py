"""Intervals of means, of differences of means and of variances; the type that all intervals have.

Formulas
    mean: x̄ ± t(n − 1) s / √n; difference: Welch's t with Satterthwaite's degrees of freedom
    (Welch, *Biometrika* 34:28, 1947); standard deviation: s √((n − 1) / χ²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its standard error, degrees of freedom and interval."""

    value: float
    se: float
    df: float
    interval: Interval


def sample(values: ArrayLike, *, least: int = 2) -> NDArray[np.float64]:
    """Values (n,) as float64; raises ValueError for fewer than ``least`` or any not finite."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < least:
        raise ValueError(f"needs (n,) values, at least {least}, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("values must be finite")
    return array


def t_interval(*, value: float, se: float, df: float, level: float = 0.95) -> Interval:
    """value ± t se; without bounds where there are no degrees of freedom."""
    from scipy.special import stdtrit

    if df <= 0:
        return (-np.inf, np.inf)
    half = float(stdtrit(df, 0.5 + level / 2)) * se
    return (value - half, value + half)


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Mean of (n ≥ 2,) independent values with the t interval."""
    x = sample(values)
    value, se, df = float(x.mean()), float(x.std(ddof=1)) / len(x) ** 0.5, len(x) - 1.0
    interval = t_interval(value=value, se=se, df=df, level=level)
    return Estimate(value=value, se=se, df=df, interval=interval)


def welch(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Difference of means, a less b, of two independent groups with unequal variances."""
    x, y = sample(a), sample(b)
    vx, vy = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    total = vx + vy
    denominator = vx**2 / (len(x) - 1) + vy**2 / (len(y) - 1)
    df = float(total**2 / denominator) if denominator else float(len(x) + len(y) - 2)
    value, se = float(x.mean() - y.mean()), float(np.sqrt(total))
    interval = t_interval(value=value, se=se, df=df, level=level)
    return Estimate(value=value, se=se, df=df, interval=interval)


def sd_interval(*, sd: float, df: float, level: float = 0.95) -> Interval:
    """Interval of a standard deviation that was estimated with ``df`` degrees of freedom."""
    from scipy.special import chdtri

    tail = (1 - level) / 2
    low, high = chdtri(df, tail), chdtri(df, 1 - tail)
    return (sd * float(np.sqrt(df / low)), sd * float(np.sqrt(df / high)))
