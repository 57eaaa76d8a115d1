"""Trends over numeric factors: change of a value per doubling of the training images or epochs.

Method
    The linear contrast of log₂(level). For a factor that differs between trainings: slope of the
    trainings' means after the other factors' main effects, against the spread of trainings within
    cells. For one that differs within a training: mean of the trainings' own slopes, against their
    spread, which needs no assumption about how a training's values correlate. With one training
    per level the distance of the points from the line is the error, lack of fit included.
    Levels that are not all above 0 are taken as they are: change per unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.factorial import make_stratum
from fetalsynth.statistics.intervals import Interval, t_interval
from fetalsynth.statistics.layout import Layout, columns, make_layout, numeric, orthonormal

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LogTrend:
    """Slope per doubling (or per unit) of a factor; t test against ``error`` with ``df``."""

    factor: str
    slope: float
    interval: Interval
    t: float
    df: float
    p_value: float
    per: str
    error: str


def log_trends(
    *,
    values: ArrayLike,
    factors: Mapping[str, Sequence[object]],
    units: Sequence[object] | None = None,
    level: float = 0.95,
) -> tuple[LogTrend, ...]:
    """Trends of all numeric factors, in their order; arguments as in :func:`factorial`."""
    layout = make_layout(values=values, factors=factors, units=units)
    return tuple(_trend(layout, name, level) for name in factors if numeric(layout.levels[name]))


def _trend(layout: Layout, name: str, level: float) -> LogTrend:
    from scipy.special import stdtr

    levels = np.array(layout.levels[name], np.float64)
    logarithmic = bool((levels > 0).all())
    x = np.log2(levels) if logarithmic else levels
    inside = name in layout.within
    slope, se, df, error = _within(layout, name, x) if inside else _between(layout, name, x)
    t = slope / se if se > 0 else np.nan
    return LogTrend(
        factor=name,
        slope=slope,
        interval=t_interval(value=slope, se=se, df=df, level=level),
        t=t,
        df=df,
        p_value=float(2 * stdtr(df, -abs(t))) if df > 0 else np.nan,
        per="doubling" if logarithmic else "unit",
        error=error,
    )


def _within(layout: Layout, name: str, x: Floats) -> tuple[float, float, float, str]:
    """Slope, its error, degrees of freedom and what the error is, from each training's slope."""
    points = x[layout.within[name]]
    points = points - points.mean()
    slopes = layout.table @ points / (points @ points)
    stratum = make_stratum(layout, (name,), slopes[:, None])
    variance = float((stratum.residuals**2).sum()) / stratum.df if stratum.df else np.nan
    return (
        float(slopes.mean()),
        float(np.sqrt(variance / len(slopes))),
        stratum.df,
        stratum.error,
    )


def _between(layout: Layout, name: str, x: Floats) -> tuple[float, float, float, str]:
    """The same from the trainings' means."""
    count = len(layout.table)
    means = layout.table.mean(1)
    others = [columns((n,), layout.between, count) for n in layout.between if n != name]
    basis = orthonormal(np.hstack([np.ones((count, 1)), *others]))
    own = x[layout.between[name]]
    own = own - basis @ (basis.T @ own)
    square = float(own @ own)
    slope = float(own @ means) / square
    stratum = make_stratum(layout, (), means[:, None])
    if stratum.df:
        sse, df, error = float((stratum.residuals**2).sum()), stratum.df, stratum.error
    else:
        left = means - basis @ (basis.T @ means) - slope * own
        sse, df = float(left @ left), count - basis.shape[1] - 1
        error = "distance of the levels from the line"
    return slope, float(np.sqrt(sse / df / square)) if df else np.nan, df, error
