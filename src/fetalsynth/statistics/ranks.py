"""Rank tests of groups: Kruskal–Wallis, Dunn's comparisons, Jonckheere–Terpstra's trend.

Sources
    Kruskal and Wallis, *J. Am. Stat. Assoc.* 47:583, 1952, with ε² = H / (n − 1) as effect
    (Tomczak and Tomczak, *Trends Sport Sci.* 1:19, 2014); Dunn, *Technometrics* 6:241, 1964;
    Jonckheere, *Biometrika* 41:133, 1954, and Terpstra 1952, with Kendall's τ-b as effect;
    Cliff's δ of a pair of groups (Cliff, *Psychol. Bull.* 114:494, 1993). All with correction for
    ties.
Small groups
    With few values per group the χ² and normal approximations are off; give ``rng`` and p comes
    from all divisions of the values into groups where there are no more of them than
    ``permutations`` (1680 for three groups of three), else from random permutations,
    (1 + hits) / (1 + permutations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.correlation import Sign
from fetalsynth.statistics.divisions import permutation_p
from fetalsynth.statistics.intervals import sample
from fetalsynth.statistics.multiplicity import holm

Floats = NDArray[np.float64]
PERMUTATIONS = 9999


@dataclass(frozen=True, kw_only=True)
class KruskalWallis:
    """H with its degrees of freedom and p; ε² from 0 to 1."""

    statistic: float
    df: int
    p_value: float
    epsilon_squared: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two groups by position: z of first less second, p, p after Holm, Cliff's δ in −1 … 1."""

    first: int
    second: int
    z: float
    p_value: float
    p_holm: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class Trend:
    """J, its z, p in the ``expected`` direction, τ-b of values with the order of groups."""

    statistic: float
    z: float
    p_value: float
    expected: Sign
    tau: float
    n: int


def kruskal_wallis(
    groups: Sequence[ArrayLike],
    *,
    rng: np.random.Generator | None = None,
    permutations: int = PERMUTATIONS,
) -> KruskalWallis:
    """Whether k ≥ 2 groups share one distribution; NaN where all values are equal."""
    from scipy.special import chdtrc

    ranks, codes, sizes = _pooled(groups)
    n, df = len(ranks), len(sizes) - 1
    spread = float(((ranks - (n + 1) / 2) ** 2).sum()) / (n - 1)
    if spread == 0:
        return KruskalWallis(statistic=np.nan, df=df, p_value=np.nan, epsilon_squared=np.nan, n=n)

    def h(rows: Floats) -> Floats:
        sums = rows @ np.eye(len(sizes))[codes]
        return np.asarray((((sums / sizes) - (n + 1) / 2) ** 2 * sizes).sum(-1) / spread)

    statistic = float(h(ranks[None])[0])
    if rng is None:
        p = float(chdtrc(df, statistic))
    else:
        p = permutation_p(ranks, sizes, h, rng, permutations)
    return KruskalWallis(
        statistic=statistic, df=df, p_value=p, epsilon_squared=statistic / (n - 1), n=n
    )


def dunn(groups: Sequence[ArrayLike]) -> tuple[Comparison, ...]:
    """All pairs of groups by mean ranks of the pooled values, two-sided, with Holm's correction."""
    from scipy.special import ndtr

    ranks, codes, sizes = _pooled(groups)
    n = len(ranks)
    variance = float(((ranks - (n + 1) / 2) ** 2).sum()) / (n - 1)
    means = np.bincount(codes, weights=ranks) / sizes
    pairs = list(combinations(range(len(sizes)), 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.array(
            [
                (means[a] - means[b]) / np.sqrt(variance * (1 / sizes[a] + 1 / sizes[b]))
                for a, b in pairs
            ]
        )
    p = 2 * ndtr(-np.abs(z))
    adjusted = holm(p)
    return tuple(
        Comparison(
            first=a,
            second=b,
            z=float(z[k]),
            p_value=float(p[k]),
            p_holm=float(adjusted[k]),
            delta=cliffs_delta(groups[a], groups[b]),
        )
        for k, (a, b) in enumerate(pairs)
    )


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> float:
    """P(first > second) − P(first < second)."""
    a, b = sample(first, least=1), sample(second, least=1)
    return float(np.sign(a[:, None] - b[None, :]).mean())


def jonckheere_terpstra(
    groups: Sequence[ArrayLike],
    *,
    expected: Sign,
    rng: np.random.Generator | None = None,
    permutations: int = PERMUTATIONS,
) -> Trend:
    """Whether values rise (+1), fall (−1) or do either (0) along ordered groups.

    J counts pairs from an earlier and a later group that rise, ties by halves. z has the variance
    with ties in values and groups (Hollander, Wolfe and Chicken 2014, section 6.2).
    """
    from scipy.special import ndtr

    ranks, codes, sizes = _pooled(groups)
    later = np.sign(codes[None, :] - codes[:, None]).astype(np.float64)
    observed = float(_scores(ranks[None], later)[0])
    variance = _score_variance(len(ranks), sizes, np.unique(ranks, return_counts=True)[1])
    pairs_x = float((later != 0).sum() / 2)
    pairs_y = float((ranks[:, None] != ranks[None, :]).sum() / 2)
    z = observed / variance**0.5 if variance > 0 else np.nan
    if variance <= 0:
        p = np.nan
    elif rng is None:
        p = float(2 * ndtr(-abs(z)) if expected == 0 else ndtr(-z * expected))
    else:

        def directed(rows: Floats) -> Floats:
            scores = _scores(rows, later)
            return np.abs(scores) if expected == 0 else scores * expected

        p = permutation_p(ranks, sizes, directed, rng, permutations)
    return Trend(
        statistic=(observed + pairs_x) / 2,
        z=z,
        p_value=p,
        expected=expected,
        tau=observed / (pairs_x * pairs_y) ** 0.5 if variance > 0 else np.nan,
        n=len(ranks),
    )


def _scores(rows: Floats, later: Floats) -> Floats:
    """Rising less falling pairs of ranks (m, n), counted where the second group is later."""
    rises = np.sign(rows[:, None, :] - rows[:, :, None])
    return np.asarray((rises * later).sum((1, 2)) / 2)


def _score_variance(n: int, sizes: Floats, ties: NDArray[np.int64]) -> float:
    """Variance of Kendall's score under no association with ties on both sides."""

    def cubic(counts: NDArray[np.generic]) -> float:
        t = counts.astype(np.float64)
        return float((t * (t - 1) * (2 * t + 5)).sum())

    def triples(counts: NDArray[np.generic]) -> float:
        t = counts.astype(np.float64)
        return float((t * (t - 1) * (t - 2)).sum())

    def pairs(counts: NDArray[np.generic]) -> float:
        t = counts.astype(np.float64)
        return float((t * (t - 1)).sum())

    first = (n * (n - 1) * (2 * n + 5) - cubic(sizes) - cubic(ties)) / 18
    second = triples(sizes) * triples(ties) / (9 * n * (n - 1) * max(1, n - 2))
    return first + second + pairs(sizes) * pairs(ties) / (2 * n * (n - 1))


def _pooled(groups: Sequence[ArrayLike]) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Mid-ranks (n,) of all values, the group of each, and the sizes of groups (k,)."""
    from scipy.stats import rankdata

    parts = [sample(group, least=1) for group in groups]
    if len(parts) < 2:
        raise ValueError("needs at least two groups")
    sizes = np.array([len(part) for part in parts], np.float64)
    codes = np.repeat(np.arange(len(parts)), sizes.astype(np.intp))
    if len(codes) < 3:
        raise ValueError("needs at least three values")
    return np.asarray(rankdata(np.concatenate(parts)), np.float64), codes, sizes
