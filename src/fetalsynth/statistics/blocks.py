"""Rank test of what is compared within the same training: Friedman's test and its pairs.

Sources
    Friedman, *J. Am. Stat. Assoc.* 32:675, 1937, with correction for ties; effect: Kendall's
    W = χ² / (n (k − 1)), 0 for no agreement of the trainings, 1 for one order in all. Pairs by
    difference of mean ranks, z = (R̄ᵢ − R̄ⱼ) / √(2 s² / n), s² the variance of ranks within blocks,
    k (k + 1) / 12 without ties, with Holm's correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.multiplicity import holm
from fetalsynth.statistics.ranks import PERMUTATIONS, Comparison

Floats = NDArray[np.float64]
_TIE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Friedman:
    """χ² with its degrees of freedom and p; Kendall's W; n blocks of k values."""

    statistic: float
    df: int
    p_value: float
    w: float
    n: int


def friedman(
    table: ArrayLike, *, rng: np.random.Generator | None = None, permutations: int = PERMUTATIONS
) -> Friedman:
    """Whether k columns of (n, k) blocks share one distribution; NaN where all are tied.

    With ``rng`` p comes from permutations within blocks, else from χ² with k − 1 degrees.
    """
    from scipy.special import chdtrc

    ranks = _ranks(table)
    n, k = ranks.shape
    spread = float(ranks.var(1, ddof=1).sum())
    if spread == 0:
        return Friedman(statistic=np.nan, df=k - 1, p_value=np.nan, w=np.nan, n=n)

    def chi_squared(stack: Floats) -> Floats:
        return np.asarray(((stack.sum(-2) - n * (k + 1) / 2) ** 2).sum(-1) / spread)

    statistic = float(chi_squared(ranks))
    if rng is None:
        p = float(chdtrc(k - 1, statistic))
    else:
        stack = rng.permuted(np.broadcast_to(ranks, (permutations, n, k)).copy(), axis=-1)
        hits = int((chi_squared(stack) >= statistic * (1 - _TIE)).sum())
        p = (1 + hits) / (1 + permutations)
    return Friedman(statistic=statistic, df=k - 1, p_value=p, w=statistic / (n * (k - 1)), n=n)


def friedman_pairs(table: ArrayLike) -> tuple[Comparison, ...]:
    """All pairs of columns, two-sided, after Holm; δ is the share of blocks above less below."""
    from scipy.special import ndtr

    ranks = _ranks(table)
    n, k = ranks.shape
    variance = 2 * float(ranks.var(1, ddof=1).mean()) / n
    means, pairs = ranks.mean(0), list(combinations(range(k), 2))
    scale = np.sqrt(variance) if variance > 0 else np.nan
    z = np.array([(means[a] - means[b]) / scale for a, b in pairs])
    p = 2 * ndtr(-np.abs(z))
    adjusted = holm(p)
    return tuple(
        Comparison(
            first=a,
            second=b,
            z=float(z[i]),
            p_value=float(p[i]),
            p_holm=float(adjusted[i]),
            delta=float(np.sign(ranks[:, a] - ranks[:, b]).mean()),
        )
        for i, (a, b) in enumerate(pairs)
    )


def _ranks(table: ArrayLike) -> Floats:
    from scipy.stats import rankdata

    values = np.asarray(table, np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        said = "by".join(f" {size} " for size in values.shape).strip()
        raise ValueError(
            f"needs a finite table of two blocks or more by two values or more, not one of {said}"
        )
    return np.asarray(rankdata(values, axis=1), np.float64)
