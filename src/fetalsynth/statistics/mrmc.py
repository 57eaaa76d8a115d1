"""Several readers, the same images: intervals that hold for other images, and for other readers.

Decisions of several readers on one image are not independent, so that pooling them as if they were
promises too much. Here every reader has a figure (an area, a share) and every pair of readers a
covariance over images.

Sources
    Obuchowski and Rockette, *Commun. Stat. Simul.* 24:285, 1995; degrees of freedom: Hillis, *Stat.
    Med.* 26:596, 2007; one set: Hillis, *Stat. Med.* 33:330, 2014. Covariances: DeLong et al.,
    *Biometrics* 44:837, 1988.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.detection import placements
from fetalsynth.statistics.intervals import Interval, t_interval

Floats = NDArray[np.float64]
FEW_READERS = 5  # below, readers are fixed: the interval is for these readers and other images


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One figure per reader (or per set and reader) with covariances over images."""

    values: Floats
    covariance: Floats


@dataclass(frozen=True, kw_only=True)
class ReaderMean:
    """Mean of the readers' figures.

    ``random_readers`` tells whether the interval holds for other readers too (Obuchowski and
    Rockette, ``df`` by Hillis) or for these readers and other images only (``df`` infinite).
    """

    value: float
    se: float
    df: float
    interval: Interval
    p_value: float
    random_readers: bool
    readers: int


def area_figures(*, scores: ArrayLike, signal: ArrayLike) -> Figures:
    """Area of each row of ratings (rows, images), NaN where not rated, with DeLong's covariances.

    ``signal`` (images,) is true for synthetic ones; higher ratings mean "more synthetic". A row is
    a reader, or a reader on one set. Raises ValueError for a row with fewer than two of a class.
    """
    x, truth = np.asarray(scores, np.float64), np.asarray(signal, bool)
    parts: list[Floats] = [np.full_like(x, np.nan), np.full_like(x, np.nan)]
    for row, ratings in enumerate(x):
        rated = np.isfinite(ratings)
        up, down = rated & truth, rated & ~truth
        if min(up.sum(), down.sum()) < 2:
            raise ValueError("every reader needs ratings of two synthetic and two real images")
        parts[0][row, up], parts[1][row, down] = placements(
            signals=ratings[up], noises=ratings[down]
        )
    return Figures(
        values=np.nanmean(parts[0], axis=1),
        covariance=_covariance(parts[0]) + _covariance(parts[1]),
    )


def share_figures(*, outcomes: ArrayLike) -> Figures:
    """Share of ones of each row of outcomes (readers, images), NaN where there is none."""
    x = np.asarray(outcomes, np.float64)
    if (np.isfinite(x).sum(axis=1) < 2).any():
        raise ValueError("every reader needs at least two decisions")
    return Figures(values=np.nanmean(x, axis=1), covariance=_covariance(x))


def balanced_figures(*, correct: ArrayLike, signal: ArrayLike) -> Figures:
    """Balanced accuracy of each reader from correct (1) and wrong (0) decisions."""
    x, truth = np.asarray(correct, np.float64), np.asarray(signal, bool)
    one, other = share_figures(outcomes=x[:, truth]), share_figures(outcomes=x[:, ~truth])
    return Figures(
        values=(one.values + other.values) / 2,
        covariance=(one.covariance + other.covariance) / 4,
    )


def jackknife_figures(statistic: Callable[[NDArray[np.intp]], Floats], *, images: int) -> Figures:
    """Any figure of readers (J,) with covariances from leaving out one image after the other.

    ``statistic(places)`` computes the figures from the images at these places.
    """
    every = np.arange(images)
    left = np.array([statistic(np.delete(every, place)) for place in every])
    centred = left - left.mean(axis=0)
    return Figures(
        values=np.asarray(statistic(every), np.float64),
        covariance=(images - 1) / images * centred.T @ centred,
    )


def reader_mean(
    figures: Figures,
    *,
    chance: float = 0.5,
    bounds: Interval = (0.0, 1.0),
    random_readers: bool | None = None,
    level: float = 0.95,
) -> ReaderMean:
    """Mean over J readers with interval and p against ``chance``.

    Random readers: var = (MS(R) + J max(Cov₂, 0)) / J, df = (MS(R) + J max(Cov₂, 0))² (J − 1) /
    MS(R)²; fixed ones: the variance over images alone. By default random from five readers on.
    """
    values, n = figures.values, len(figures.values)
    random = n >= FEW_READERS if random_readers is None else random_readers and n > 1
    mean = float(values.mean())
    if random:
        spread, shared = _mean_square(values), _mean_covariance(figures.covariance)
        se, df = _random_error(spread, shared, n)
    else:
        se, df = float(np.sqrt(max(figures.covariance.mean(), 0.0))), float("inf")
    low, high = interval_of(mean, se, df, level)
    return ReaderMean(
        value=mean,
        se=se,
        df=df,
        interval=(max(bounds[0], low), min(bounds[1], high)),
        p_value=t_p_value(mean - chance, se, df),
        random_readers=bool(random),
        readers=n,
    )


def _random_error(spread: float, shared: float, n: int) -> tuple[float, float]:
    """Standard error and Hillis' degrees of freedom of a mean over random readers."""
    total = spread + n * max(shared, 0.0)
    df = total**2 * (n - 1) / spread**2 if spread > 0 else float("inf")
    return float(np.sqrt(total / n)), df


def bootstrap_over_images(
    statistic: Callable[[NDArray[np.intp]], float],
    *,
    signal: ArrayLike,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of ``statistic(places)``, whole images drawn again within each class.

    An image goes with all that was said about it by all readers. Readers stay as they are.
    """
    truth = np.asarray(signal, bool)
    groups = [np.flatnonzero(truth), np.flatnonzero(~truth)]
    drawn = np.array(
        [
            statistic(
                np.concatenate([g[rng.integers(0, len(g), len(g))] for g in groups if len(g)])
            )
            for _ in range(draws)
        ]
    )
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < draws / 2:
        return (float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def t_p_value(gap: float, se: float, df: float) -> float:
    """Two-sided p of gap / se; without error 1, or 0 where there is a gap."""
    from scipy.special import ndtr, stdtr

    if se <= 0:
        return 1.0 if abs(gap) < 1e-12 else 0.0
    t = -abs(gap) / se
    return 2 * float(ndtr(t) if np.isinf(df) else stdtr(df, t))


def interval_of(value: float, se: float, df: float, level: float) -> Interval:
    """value ± t se; normal where df is infinite."""
    return t_interval(value=value, se=se, df=min(df, 1e9), level=level)


def _covariance(parts: Floats) -> Floats:
    """Covariances of the means of rows that share images: Σ over shared ones, unbiased."""
    known = np.isfinite(parts)
    centred = np.where(known, parts - np.nanmean(parts, axis=1, keepdims=True), 0.0)
    counts = known.sum(axis=1)
    shared = known.astype(np.float64) @ known.T
    products = centred @ centred.T
    scale = np.divide(shared, shared - 1, out=np.zeros_like(shared), where=shared > 1)
    return products * scale / np.outer(counts, counts)


def _mean_square(values: Floats) -> float:
    return float(values.var(ddof=1))


def _mean_covariance(covariance: Floats) -> float:
    n = len(covariance)
    return float((covariance.sum() - np.trace(covariance)) / (n * (n - 1)))
