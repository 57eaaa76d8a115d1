"""Euclidean distances between all rows of a feature matrix, exact where rows coincide.

Formula
    ‖a − b‖² = ‖a‖² + ‖b‖² − 2a·b on rows freed of their mean: one matrix product. Pairs so close
    that cancellation would show are computed again by subtraction, so that equal rows are at
    distance 0. Single precision makes distances that are equal up to rounding equal.
Direction
    None; a building block.
Input
    (N, D) finite rows.
Ideal and chance
    0 for equal rows.
Least number of images
    1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 512
_CLOSE = 1e-8
_VALUES_AT_ONCE = 1 << 22


def euclidean(*, rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Distances (N, N) between rows (N, D); the diagonal is 0.

    Raises ValueError for other shapes and for values that are not finite.
    """
    if rows.ndim != 2:
        raise ValueError(f"needs (N, D), not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("features are not finite")
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    norms = (centred**2).sum(1)
    distances = np.empty((len(rows), len(rows)), np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        squared = _squared(centred[part], norms[part], centred, norms)
        distances[part] = np.sqrt(squared, out=squared)
    np.fill_diagonal(distances, 0)
    return distances


def _squared(
    a: NDArray[np.float64],
    norm_a: NDArray[np.float64],
    b: NDArray[np.float64],
    norm_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    sums = norm_a[:, None] + norm_b
    squared: NDArray[np.float64] = sums - 2 * (a @ b.T)
    row, column = np.nonzero(squared <= _CLOSE * sums)
    step = max(1, _VALUES_AT_ONCE // a.shape[1])
    for start in range(0, len(row), step):
        i, j = row[start : start + step], column[start : start + step]
        squared[i, j] = ((a[i] - b[j]) ** 2).sum(1)
    return squared
