"""Correlation of two variables, with the expected sign stated before looking.

Formulas
    Pearson's r; Spearman's ρ = r of mid-ranks; Kendall's τ-b = Σ sgn(Δx) sgn(Δy) over pairs /
    √(pairs not tied in x × pairs not tied in y) (Kendall, *Biometrika* 33:239, 1945).
    p: share of permutations of y whose coefficient, taken in the expected direction, is at least
    the observed one, (1 + hits) / (1 + permutations) (Phipson and Smyth, *Stat. Appl. Genet. Mol.
    Biol.* 9:39, 2010). A metric that correlates strongly with the wrong sign has a p near 1.
Direction
    ``expected`` is +1 or −1 for a one-sided test, 0 where nothing was foreseen (two-sided).
Constant variables have no correlation: NaN, with p NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval

Kind = Literal["pearson", "spearman", "kendall"]
Sign = Literal[-1, 0, 1]
Floats = NDArray[np.float64]
_TIE, _NUMBERS_AT_ONCE = 1e-12, 1 << 21


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A coefficient, the sign that was expected, its permutation p and bootstrap interval."""

    kind: Kind
    value: float
    n: int
    expected: Sign
    p_value: float
    interval: Interval | None

    @property
    def as_expected(self) -> bool:
        """Whether the observed sign is the expected one (always, where none was)."""
        return self.expected == 0 or self.value * self.expected > 0


def coefficient(x: ArrayLike, y: ArrayLike, *, kind: Kind) -> float:
    """Correlation of (n,) with (n,); raises ValueError for shapes that differ or n < 3."""
    a, b = _pair(x, y)
    return float(_values(b, a[:, None], kind)[0])


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: Kind,
    expected: Sign,
    rng: np.random.Generator,
    permutations: int = 19_999,
    clusters: ArrayLike | None = None,
    draws: int = 1999,
    level: float = 0.95,
) -> Correlation:
    """Coefficient of x with y, one-sided p in the ``expected`` direction, bootstrap interval.

    ``clusters`` (n,) names what was sampled (subject, image, set); rows by default. Permutations
    take rows as exchangeable: with repeated rows of a cluster average them first.
    """
    a, b = _pair(x, y)
    table = a[:, None]
    p = permutation_table(table, b, kind=kind, expected=[expected], rng=rng, draws=permutations)
    interval = cluster_bootstrap(
        a, b, kind=kind, clusters=clusters, rng=rng, draws=draws, level=level
    )
    return Correlation(
        kind=kind,
        value=float(p.values[0]),
        n=len(a),
        expected=expected,
        p_value=float(p.p_values[0]),
        interval=interval,
    )


@dataclass(frozen=True, kw_only=True)
class Permutations:
    """Coefficients (K,), their permutation p (K,), and p adjusted by the maximum over all K.

    ``p_max`` holds the chance of one false positive among all K, whatever their dependence
    (Westfall and Young, *Resampling-Based Multiple Testing*, 1993, single step).
    """

    values: Floats
    p_values: Floats
    p_max: Floats


def permutation_table(
    columns: ArrayLike,
    y: ArrayLike,
    *,
    kind: Kind,
    expected: ArrayLike,
    rng: np.random.Generator,
    blocks: ArrayLike | None = None,
    draws: int = 19_999,
) -> Permutations:
    """Test every column (n, K) against y (n,), the same permutations for all.

    ``expected`` (K,) holds the signs, 0 for two-sided. With false discovery rates over K columns
    the smallest p, 1 / (draws + 1), must lie well below 0.05 / K. Where rows belong together, as
    snapshots of one training do, ``blocks`` (n,) names what they belong to: then whole blocks
    are exchanged, and the places in them (epochs, in the order of the rows), the same in all
    blocks, so that what blocks or places have in common counts once. Raises ValueError where
    blocks differ in size.
    """
    table, b = np.asarray(columns, np.float64), np.asarray(y, np.float64)
    signs = np.asarray(expected, np.float64)
    if table.ndim != 2 or table.shape != (len(b), len(signs)) or len(b) < 3:
        raise ValueError(f"needs (n ≥ 3, K) columns, (n,) y and (K,) signs, not {table.shape}")
    observed = _values(b, table, kind)
    known = np.isfinite(observed)
    p_values, p_max = np.full(len(signs), np.nan), np.full(len(signs), np.nan)
    if known.any():
        target = _directed(observed[None, known], signs[known])[0] - _TIE
        hits, hits_max = np.zeros(known.sum()), np.zeros(known.sum())
        positions = _positions(blocks, len(b))
        for values in _permuted(b, table[:, known], kind, positions, rng=rng, draws=draws):
            directed = _directed(values, signs[known])
            hits += (directed >= target).sum(0)
            hits_max += (directed.max(1, keepdims=True) >= target).sum(0)
        p_values[known], p_max[known] = (1 + hits) / (1 + draws), (1 + hits_max) / (1 + draws)
    return Permutations(values=observed, p_values=p_values, p_max=p_max)


def cluster_bootstrap(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: Kind,
    rng: np.random.Generator,
    clusters: ArrayLike | None = None,
    draws: int = 1999,
    level: float = 0.95,
) -> Interval | None:
    """Percentile interval over resampled clusters (Efron and Tibshirani 1993, section 13.3).

    Somewhat too narrow below about 20 clusters. None with fewer than 3 clusters or where more
    than a tenth of the resamples have no coefficient.
    """
    a, b = _pair(x, y)
    names = np.arange(len(a)) if clusters is None else np.asarray(clusters)
    _, which = np.unique(names, return_inverse=True)
    members = [np.flatnonzero(which == k) for k in range(which.max() + 1)]
    if len(members) < 3:
        return None
    chosen = rng.integers(0, len(members), (draws, len(members)))
    if kind != "kendall" and len({len(rows) for rows in members}) == 1:
        rows = np.array(members)[chosen].reshape(draws, -1)
        values = _rowwise(a[rows], b[rows], kind)
    else:
        drawn = (np.concatenate([members[k] for k in each]) for each in chosen)
        values = np.array([_values(b[rows], a[rows, None], kind)[0] for rows in drawn])
    values = values[np.isfinite(values)]
    if len(values) < 0.9 * draws:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 3:
        raise ValueError(f"needs two (n ≥ 3,) variables, not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("variables must be finite; leave incomplete rows out")
    return a, b


def _directed(values: Floats, signs: Floats) -> Floats:
    return np.where(signs == 0, np.abs(values), values * signs)


def _values(y: Floats, columns: Floats, kind: Kind) -> Floats:
    """Coefficients (K,) of columns (n, K) with y (n,)."""
    return np.asarray(_unit(y[:, None], kind)[:, 0] @ _unit(columns, kind), np.float64)


def _rowwise(a: Floats, b: Floats, kind: Kind) -> Floats:
    """Pearson's or Spearman's coefficient of each row of (m, n) with the same row of (m, n)."""
    return np.asarray((_unit(a.T, kind) * _unit(b.T, kind)).sum(0), np.float64)


def _positions(blocks: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Rows of every block as (blocks, rows a block); each row its own by default."""
    if blocks is None:
        return np.arange(n)[:, None]
    _, which = np.unique(np.asarray(blocks), return_inverse=True)
    sizes = np.bincount(which)
    if len(which) != n or (sizes != sizes[0]).any():
        raise ValueError("blocks must name every row and be of one size")
    return np.argsort(which, kind="stable").reshape(len(sizes), -1)


def _permuted(
    y: Floats,
    columns: Floats,
    kind: Kind,
    positions: NDArray[np.intp],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Iterator[Floats]:
    """Coefficients (count, K) when blocks of y change places, some permutations at a time."""
    features, own = _unit(columns, kind), _unit(y[:, None], kind)[:, 0]
    at_once = max(1, _NUMBERS_AT_ONCE // len(own))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        chosen = rng.permuted(np.tile(np.arange(len(positions)), (count, 1)), axis=1)
        places = rng.permuted(np.tile(np.arange(positions.shape[1]), (count, 1)), axis=1)
        mixed_up = np.take_along_axis(positions[chosen], places[:, None, :], axis=2)
        order = np.empty((count, len(y)), np.intp)
        order[:, positions.ravel()] = mixed_up.reshape(count, -1)
        if kind == "kendall":
            square = own.reshape(len(y), len(y))
            mixed = square[order[:, :, None], order[:, None, :]].reshape(count, -1)
        else:
            mixed = own[order]
        yield mixed @ features


def _unit(columns: Floats, kind: Kind) -> Floats:
    """Unit vectors (F, K) whose dot products are the coefficients; NaN for constant columns."""
    if kind == "kendall":
        signs = np.sign(columns[:, None, :] - columns[None, :, :])
        features = signs.reshape(-1, columns.shape[1])
    else:
        raw = _ranks(columns) if kind == "spearman" else columns
        features = raw - raw.mean(0)
    norms = np.linalg.norm(features, axis=0)
    flat = columns.max(0) == columns.min(0)
    return np.asarray(features / np.where(flat, np.nan, norms), np.float64)


def _ranks(columns: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(columns, axis=0), np.float64)
