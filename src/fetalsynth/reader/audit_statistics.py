"""Do numbers tell two classes apart? Permutation tests with one level for all of them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

PERMUTATIONS = 9999
_FOLDS = 10
_RIDGE = 1.0
_ROWS = 1000  # permutations at a time


@dataclass(frozen=True, kw_only=True)
class Told:
    """How well each column tells the classes apart.

    ``auc``: the chance that a real item's number is the larger one (ties half). ``p``: adjusted
    for all columns (and the classifier). ``combined`` and ``combined_p`` are of the cross-validated
    classifier, None where there was none.
    """

    auc: Numbers
    p: Numbers
    combined: float | None
    combined_p: float | None


def tell_apart(
    columns: Numbers,
    real: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    classifier: bool = True,
    permutations: int = PERMUTATIONS,
) -> Told:
    """Test every column of (n, p) ``columns``, and a classifier that may combine them.

    Statistics are areas under the ROC curve, standardised by their permutation distribution; the
    largest of a permutation is what each is compared with (max-T, Westfall and Young 1993). The
    labels ``real`` (n,) are permuted, so the error rate is exact whatever the numbers are like.
    The classifier counts above chance only, single columns either way.
    """
    ranks = _ranks(columns)
    smoother = cross_validated(ranks, rng=rng) if classifier and columns.shape[1] else None
    shuffled = rng.permuted(np.tile(real, (permutations, 1)), axis=1)
    labels = np.concatenate([real[None], shuffled])
    areas = np.concatenate(
        [
            _areas(labels[start : start + _ROWS], ranks, smoother)
            for start in range(0, permutations + 1, _ROWS)
        ]
    )
    centre, spread = areas.mean(axis=0), areas.std(axis=0)
    scaled = (areas - centre) / np.where(spread > 0, spread, np.inf)
    size = np.abs(scaled)
    if smoother is not None:
        size[:, -1] = scaled[:, -1]
    largest = size.max(axis=1)
    # a hair of tolerance: equal statistics differ in their last digits
    p = (largest[:, None] >= size[0] - 1e-9).mean(axis=0)
    count = columns.shape[1]
    return Told(
        auc=areas[0, :count],
        p=p[:count],
        combined=float(areas[0, -1]) if smoother is not None else None,
        combined_p=float(p[-1]) if smoother is not None else None,
    )


def _ranks(columns: Numbers) -> Numbers:
    """Mid-ranks of every column, from 1."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(columns, axis=0), np.float64)


def _areas(labels: NDArray[np.bool_], ranks: Numbers, smoother: Numbers | None) -> Numbers:
    """(B, p [+ 1]) areas under the curve for B labellings: Mann and Whitney's from rank sums."""
    ones = int(labels[0].sum())
    pairs = ones * (labels.shape[1] - ones)
    offset = ones * (ones + 1) / 2
    given = labels.astype(np.float64)
    areas: Numbers = (given @ ranks - offset) / pairs
    if smoother is None:
        return areas
    scores = given @ smoother.T
    order = scores.argsort(axis=1).argsort(axis=1) + 1.0
    own = ((order * given).sum(axis=1) - offset) / pairs
    found: Numbers = np.column_stack([areas, own])
    return found


def cross_validated(ranks: Numbers, *, rng: np.random.Generator) -> Numbers:
    """(n, n) matrix that maps labels to the scores of items by a classifier without them.

    Ridge regression of the labels on normal scores of the ranks with a linear and a Gaussian
    kernel (least-squares support vector machine, Suykens and Vandewalle 1999), ten folds. Its
    scores are linear in the labels, so that thousands of permutations cost a product of matrices.
    """
    from scipy.special import ndtri

    features = ndtri((ranks - 0.5) / len(ranks))
    # a class may be in the middle of a column instead of at one end
    features = np.column_stack([features, np.abs(features)])
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    width = features.shape[1]
    squares = (features**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * features @ features.T
    kernel = features @ features.T / width + np.exp(-apart / (2 * width))
    folds = rng.permutation(len(ranks)) % min(_FOLDS, len(ranks))
    found = np.zeros((len(ranks), len(ranks)))
    for fold in range(int(folds.max()) + 1):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        centring = np.eye(len(inside)) - 1 / len(inside)
        own = centring @ kernel[np.ix_(inside, inside)] @ centring
        cross = kernel[np.ix_(outside, inside)] - kernel[np.ix_(inside, inside)].mean(axis=0)
        weights = np.linalg.solve(own + _RIDGE * np.eye(len(inside)), centring)
        found[np.ix_(outside, inside)] = cross @ centring @ weights
    return found


def least_p(real: NDArray[np.bool_]) -> float:
    """The smallest p-value that any test of so many items can reach: one over all labellings."""
    from scipy.special import binom

    return float(2 / binom(len(real), int(real.sum())))


def detectable(real: NDArray[np.bool_], *, level: float, columns: int) -> float:
    """The AUC that one of so many columns must have to be found with a chance of 80 %, about.

    From the null variance of the rank sum, with Bonferroni's share of the ``level``.
    """
    from scipy.special import ndtri

    ones = int(real.sum())
    spread = np.sqrt((len(real) + 1) / (12 * ones * (len(real) - ones)))
    return float(min(1.0, 0.5 + spread * (ndtri(1 - level / 2 / columns) + ndtri(0.8))))
