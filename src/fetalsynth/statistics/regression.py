"""Straight lines through points, plain or in the logarithm of x, with intervals.

Formula
    y = a ln x + b by least squares, the "logarithmic trend line" of spreadsheets and of Bautista
    et al. 2022, Fig. 2 (x the reader score, y the metric). Intervals and p are those of normal
    errors of equal spread; R² = r² of y with ln x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval, t_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Line:
    """y = slope · g(x) + intercept, g the logarithm or nothing; p is two-sided for the slope."""

    slope: float
    intercept: float
    slope_interval: Interval
    intercept_interval: Interval
    p_value: float
    r: float
    n: int
    logarithmic: bool
    residual_sd: float
    covariance: Floats

    def predict(self, x: ArrayLike) -> Floats:
        """The line at x."""
        return self.slope * self._g(x) + self.intercept

    def band(self, x: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
        """Interval of the line, point by point, at x (m,)."""
        from scipy.special import stdtrit

        rows = np.stack([self._g(x), np.ones_like(self._g(x))], axis=-1)
        se = np.sqrt(np.einsum("...i,ij,...j->...", rows, self.covariance, rows))
        half = float(stdtrit(self.n - 2, 0.5 + level / 2)) * se
        middle = self.predict(x)
        return middle - half, middle + half

    def _g(self, x: ArrayLike) -> Floats:
        values = np.asarray(x, np.float64)
        return np.asarray(np.log(values) if self.logarithmic else values)


def log_fit(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Line:
    """y = a ln x + b; raises ValueError where an x is not above 0."""
    values = np.asarray(x, np.float64)
    if (values <= 0).any():
        raise ValueError("a logarithmic line needs scores (x) above 0")
    return _fit(np.log(values), y, logarithmic=True, level=level)


def line_fit(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Line:
    """y = a x + b."""
    return _fit(np.asarray(x, np.float64), y, logarithmic=False, level=level)


def _fit(g: Floats, y: ArrayLike, *, logarithmic: bool, level: float) -> Line:
    from scipy.special import stdtr

    values = np.asarray(y, np.float64)
    n = len(values)
    if g.ndim != 1 or g.shape != values.shape or n < 3:
        raise ValueError(f"needs (n ≥ 3,) points, not {g.shape} and {values.shape}")
    if not (np.isfinite(g).all() and np.isfinite(values).all()):
        raise ValueError("points must be finite")
    if g.max() == g.min():
        raise ValueError("all scores (x) are the same")
    design = np.stack([g, np.ones(n)], axis=1)
    (slope, intercept), *_ = np.linalg.lstsq(design, values, rcond=None)
    residuals = values - design @ (slope, intercept)
    variance = float(residuals @ residuals) / (n - 2)
    covariance = variance * np.linalg.inv(design.T @ design)
    errors = np.sqrt(np.diag(covariance))
    flat = values.max() == values.min()
    t = 0.0 if flat else (abs(slope) / errors[0] if errors[0] > 0 else np.inf)
    return Line(
        slope=float(slope),
        intercept=float(intercept),
        slope_interval=t_interval(value=float(slope), se=errors[0], df=n - 2, level=level),
        intercept_interval=t_interval(value=float(intercept), se=errors[1], df=n - 2, level=level),
        p_value=float(2 * stdtr(n - 2, -t)),
        r=np.nan if flat else float(np.corrcoef(g, values)[0, 1]),
        n=n,
        logarithmic=logarithmic,
        residual_sd=float(np.sqrt(variance)),
        covariance=np.asarray(covariance, np.float64),
    )
