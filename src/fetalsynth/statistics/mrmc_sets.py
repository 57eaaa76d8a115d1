"""Several sets (modalities) read by the same readers: do they differ?

Sources
    Obuchowski and Rockette, *Commun. Stat. Simul.* 24:285, 1995; degrees of freedom: Hillis, *Stat.
    Med.* 26:596, 2007. Sets share real images and readers, not synthetic images: the covariances of
    :func:`fetalsynth.statistics.mrmc.area_figures` take that up, image by image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval
from fetalsynth.statistics.mrmc import interval_of, t_p_value

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SetsTest:
    """F test that all sets have one figure, and the differences of pairs of sets."""

    f: float
    df: tuple[float, float]
    p_value: float
    differences: tuple[tuple[int, int, float, Interval, float], ...]


def compare_sets(
    *,
    values: ArrayLike,
    cov2: float,
    cov3: float,
    level: float = 0.95,
) -> SetsTest:
    """Compare sets by figures (sets, readers), readers and images random.

    F = MS(T) / (MS(TR) + J max(Cov₂ − Cov₃, 0)), df₂ after Hillis. ``cov2``: covariance of two
    readers on one set; ``cov3``: of two readers on two sets. Raises ValueError for fewer than two
    sets or readers.
    """
    from scipy.special import fdtrc

    x = np.asarray(values, np.float64)
    sets, readers = x.shape
    if min(sets, readers) < 2:
        raise ValueError("needs at least two sets and two readers")
    means = x.mean(axis=1)
    left = x - means[:, None] - x.mean(axis=0)[None, :] + x.mean()
    interaction = float((left**2).sum() / ((sets - 1) * (readers - 1)))
    noise = interaction + readers * max(cov2 - cov3, 0.0)
    df = noise**2 * (sets - 1) * (readers - 1) / interaction**2 if interaction > 0 else float("inf")
    f = readers * float(means.var(ddof=1)) / noise if noise > 0 else float("nan")
    se = float(np.sqrt(2 * noise / readers))
    pairs = []
    for i in range(sets):
        for j in range(i + 1, sets):
            gap = float(means[i] - means[j])
            pairs.append((i, j, gap, interval_of(gap, se, df, level), t_p_value(gap, se, df)))
    return SetsTest(
        f=f,
        df=(sets - 1.0, df),
        p_value=float(fdtrc(sets - 1, min(df, 1e9), f)),
        differences=tuple(pairs),
    )


def covariances_of_sets(covariance: Floats, *, sets: int, readers: int) -> tuple[float, ...]:
    """(error, Cov₁, Cov₂, Cov₃) from a covariance (sets · readers)², sets varying slowest."""
    grid = covariance.reshape(sets, readers, sets, readers)
    kinds: dict[tuple[bool, bool], list[float]] = {}
    for (i, j, k, m), value in np.ndenumerate(grid):
        kinds.setdefault((i == k, j == m), []).append(float(value))
    order = ((True, True), (False, True), (True, False), (False, False))
    return tuple(float(np.mean(kinds.get(kind, [0.0]))) for kind in order)
