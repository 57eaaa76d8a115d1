"""Kolmogorov–Smirnov distance between two samples of numbers, here one number per image.

Formula
    D = max over t of |share of a at most t − share of b at most t| (Smirnov 1939).
Direction
    Lower is closer.
Input
    Two vectors of real numbers of any range.
Ideal and chance
    0 for equal samples, 1 for samples apart. Two samples of n values of one distribution have D of
    about 1.2/√n on average, so values at different counts cannot be compared.
Least number of images
    About 20 a side for the test to see gross differences.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ks_distance(*, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """D of two vectors (see the module); raises ValueError where one is empty."""
    if not (first.size and second.size):
        raise ValueError("a sample is empty")
    points = np.concatenate([first, second])
    below_first = np.searchsorted(np.sort(first), points, side="right") / len(first)
    below_second = np.searchsorted(np.sort(second), points, side="right") / len(second)
    return float(np.abs(below_first - below_second).max())


def ks_p_value(*, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Two-sided p-value of D: exact for small samples, asymptotic beyond (SciPy's choice)."""
    from scipy import stats

    return float(stats.ks_2samp(first, second).pvalue)
