"""Intraclass correlations of ratings (items × readers): agreement as a share of variance.

Formulas
    Shrout and Fleiss, *Psychol. Bull.* 86:420, 1979, with their intervals; names ICC(model, k):
    1 readers differ from item to item, 2 readers are a sample, absolute agreement, 3 these readers
    only, consistency. k = 1 is the reliability of one rating, else of the mean of all readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval

Model = Literal["1", "2", "3"]


@dataclass(frozen=True, kw_only=True)
class Icc:
    """An intraclass correlation; ``average`` is that of the mean of all readers."""

    value: float
    interval: Interval
    average: float
    average_interval: Interval
    items: int
    readers: int


@dataclass(frozen=True, kw_only=True)
class _Squares:
    """Mean squares between items, within items, between readers, and what is left."""

    items: float
    within: float
    readers: float
    error: float
    n: int
    k: int


def intraclass(*, ratings: ArrayLike, model: Model, level: float = 0.95) -> Icc:
    """ICC from ratings (items, readers) without gaps.

    NaN comes back where the ratings do not vary. Raises ValueError for gaps, and for fewer than two
    items or readers.
    """
    squares = _mean_squares(ratings)
    tail = (1 - level) / 2
    n, k = squares.n, squares.k
    if squares.items <= 0 and squares.within <= 0:
        nan = float("nan")
        return Icc(
            value=nan,
            interval=(nan, nan),
            average=nan,
            average_interval=(nan, nan),
            items=n,
            readers=k,
        )
    if model == "2":
        return _two_way_random(squares, tail)
    noise, df = (
        (squares.within, n * (k - 1)) if model == "1" else (squares.error, (n - 1) * (k - 1))
    )
    return _from_f(squares, noise=noise, df=df, tail=tail)


def _mean_squares(ratings: ArrayLike) -> _Squares:
    x: NDArray[np.float64] = np.asarray(ratings, np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise ValueError("needs (items, readers) ratings without gaps, at least 2 × 2")
    n, k = x.shape
    middle = x.mean()
    items = k * float(((x.mean(axis=1) - middle) ** 2).sum())
    readers = n * float(((x.mean(axis=0) - middle) ** 2).sum())
    within = float(((x - x.mean(axis=1, keepdims=True)) ** 2).sum())
    return _Squares(
        items=items / (n - 1),
        within=within / (n * (k - 1)),
        readers=readers / (k - 1),
        error=max(within - readers, 0.0) / ((n - 1) * (k - 1)),
        n=n,
        k=k,
    )


def _from_f(squares: _Squares, *, noise: float, df: int, tail: float) -> Icc:
    """ICC(1) and ICC(3): a function of one F ratio, so that its interval is exact."""
    from scipy.special import fdtri

    n, k = squares.n, squares.k
    if noise <= 0:
        value, low, high = float("inf"), float("inf"), float("inf")
    else:
        value = squares.items / noise
        low = value / float(fdtri(n - 1, df, 1 - tail))
        high = value * float(fdtri(df, n - 1, 1 - tail))
    return Icc(
        value=_single(value, k),
        interval=(_single(low, k), _single(high, k)),
        average=_mean(value),
        average_interval=(_mean(low), _mean(high)),
        items=n,
        readers=k,
    )


def _single(f: float, k: int) -> float:
    return 1.0 if np.isinf(f) else (f - 1) / (f + k - 1)


def _mean(f: float) -> float:
    return 1.0 if np.isinf(f) else (1 - 1 / f if f > 0 else float("-inf"))


def _two_way_random(squares: _Squares, tail: float) -> Icc:
    """ICC(2): its interval rests on Satterthwaite's degrees of freedom."""
    from scipy.special import fdtri

    n, k = squares.n, squares.k
    between, readers, error = squares.items, squares.readers, squares.error
    whole = between + (k - 1) * error + k * (readers - error) / n
    if whole <= 0:  # two items, two readers, nothing but error
        nan = float("nan")
        return Icc(
            value=nan,
            interval=(nan, nan),
            average=nan,
            average_interval=(nan, nan),
            items=n,
            readers=k,
        )
    value = (between - error) / whole
    if error <= 0 and readers <= 0:
        low = high = 1.0
    else:
        a, b = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
        df = (a * readers + b * error) ** 2 / (
            (a * readers) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
        )
        f_low, f_high = float(fdtri(n - 1, df, 1 - tail)), float(fdtri(df, n - 1, 1 - tail))
        noise = k * readers + (k * n - k - n) * error
        low = n * (between - f_low * error) / (f_low * noise + n * between)
        high = n * (f_high * between - error) / (noise + n * f_high * between)
    return Icc(
        value=value,
        interval=(low, high),
        average=_stepped_up(value, k),
        average_interval=(_stepped_up(low, k), _stepped_up(high, k)),
        items=n,
        readers=k,
    )


def _stepped_up(value: float, k: int) -> float:
    """Spearman–Brown: reliability of the mean of k ratings."""
    return k * value / (1 + (k - 1) * value)
