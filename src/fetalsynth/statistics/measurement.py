"""A measured quantity against what it should be: error, bias, limits of agreement, correlation.

Formulas
    Error e = measured / true − 1. Bias: mean e. Limits of agreement: bias ± 1.96 standard
    deviations of e (Bland and Altman, *Lancet* 327:307, 1986; of ratios: *Stat. Methods Med. Res.*
    8:135, 1999). Pearson's r of measured with true. Intervals: percentiles over resampled clusters
    (Efron and Tibshirani 1993, section 13.3); of shares, Wilson's.
Direction
    |e| lower is better, 0 ideal; r higher, 1 ideal, and says nothing about bias. Guessing the mean
    of the true values gives r = 0 and |e| as large as they are spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval, sample
from fetalsynth.statistics.proportions import wilson

Floats = NDArray[np.float64]

WITHIN = (0.03, 0.05, 0.10)
LEAST = 3
_NORMAL = 1.96


@dataclass(frozen=True, kw_only=True)
class Share:
    """Share of ``asked`` items whose error is at most ``within``, with Wilson's interval."""

    within: float
    count: int
    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class MeasurementError:
    """How n measured values agree with the true ones; all errors are relative (0.01 is 1 %).

    ``asked`` counts the items that should have been measured, those that could not be included:
    they count as outside in ``shares``. Intervals are None with fewer than three clusters, and r
    is None where measured or true values are all alike.
    """

    n: int
    asked: int
    median_absolute: float
    median_interval: Interval | None
    mean_absolute: float
    bias: float
    bias_interval: Interval | None
    sd: float
    limits: Interval
    r: float | None
    r_interval: Interval | None
    shares: tuple[Share, ...]


def measurement_error(
    *,
    measured: ArrayLike,
    true: ArrayLike,
    rng: np.random.Generator,
    clusters: Sequence[str] | None = None,
    missing: int = 0,
    draws: int = 1999,
) -> MeasurementError:
    """Compare ``measured`` (n,) with ``true`` (n,), both above 0 and n ≥ 3.

    ``clusters`` (n,) names what was sampled (subjects), rows by default. ``missing`` items could
    not be measured. Raises ValueError for other shapes or values.
    """
    a, b = sample(measured, least=LEAST), sample(true, least=LEAST)
    if a.shape != b.shape or min(a.min(), b.min()) <= 0:
        raise ValueError("measured and true values must pair up and be above 0")
    error = a / b - 1
    names = np.arange(len(a)) if clusters is None else np.asarray(clusters)
    median, bias, r = _intervals(a, b, names, rng=rng, draws=draws)
    sd = float(error.std(ddof=1))
    mean = float(error.mean())
    return MeasurementError(
        n=len(a),
        asked=len(a) + missing,
        median_absolute=float(np.median(np.abs(error))),
        median_interval=median,
        mean_absolute=float(np.abs(error).mean()),
        bias=mean,
        bias_interval=bias,
        sd=sd,
        limits=(mean - _NORMAL * sd, mean + _NORMAL * sd),
        r=None if np.isnan(_pearson(a, b)) else _pearson(a, b),
        r_interval=r,
        shares=tuple(_share(error, within, len(a) + missing) for within in WITHIN),
    )


def _share(error: Floats, within: float, asked: int) -> Share:
    count = int((np.abs(error) <= within).sum())
    return Share(within=within, count=count, value=count / asked, interval=wilson(count, asked))


def _intervals(
    a: Floats, b: Floats, names: NDArray[np.generic], *, rng: np.random.Generator, draws: int
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Of the median absolute error, the bias and r."""
    _, which = np.unique(names, return_inverse=True)
    members = [np.flatnonzero(which == k) for k in range(which.max() + 1)]
    if len(members) < LEAST:
        return None, None, None
    found = np.empty((draws, 3))
    for row in found:
        chosen = rng.integers(0, len(members), len(members))
        rows = np.concatenate([members[k] for k in chosen])
        error = a[rows] / b[rows] - 1
        row[:] = np.median(np.abs(error)), error.mean(), _pearson(a[rows], b[rows])
    median, bias, r = (_percentiles(column) for column in found.T)
    return median, bias, r


def _percentiles(values: Floats) -> Interval | None:
    known = values[np.isfinite(values)]
    if len(known) < 0.9 * len(values):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return (float(low), float(high))


def _pearson(a: Floats, b: Floats) -> float:
    x, y = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else float("nan")
