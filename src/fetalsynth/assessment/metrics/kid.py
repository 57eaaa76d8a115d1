"""Kernel distance between two sets of features (KID when the features are Inception's).

Formula
    MMD² = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y), the first two over different images
    only, with k(x, y) = (x·y/D + 1)³ (Bińkowski et al., ICLR 2018, eq. 4; Gretton et al., *JMLR*
    13:723, 2012, eq. 3). All images at once: no subsets.
Direction
    Lower is closer.
Input
    (N, D) and (M, D) features.
Ideal and chance
    Unbiased: 0 on average for two sets of one distribution, at any count, so it is negative about
    half the time then. Its floor is 0 up to noise.
Least number of images
    2 a side for the formula; the permutation test needs about 20 a side to reach p = 0.01 against
    effects of interest. Resampling with replacement is invalid: a duplicate meets itself off the
    diagonal. The standard error here comes from half samples without replacement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def polynomial_kernel(*, first: NDArray[np.floating], second: NDArray[np.floating]) -> Matrix:
    """k(x, y) = (x·y/D + 1)³ of all rows of (N, D) and (M, D), as (N, M) float64."""
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"needs (N, D) and (M, D), not {first.shape} and {second.shape}")
    x, y = first.astype(np.float64), second.astype(np.float64)
    base: Matrix = x @ y.T
    base /= x.shape[1]
    base += 1
    cubed = base * base
    cubed *= base
    return cubed


def kernel_distance(*, first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Unbiased MMD² of two feature sets (see the module)."""
    kernel = polynomial_kernel(first=(pooled := np.concatenate([first, second])), second=pooled)
    member = np.zeros((1, len(pooled)), bool)
    member[0, : len(first)] = True
    return float(group_distances(kernel=kernel, first=member, second=~member)[0])


def group_distances(
    *, kernel: Matrix, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> Matrix:
    """Unbiased MMD² of many pairs of groups out of one pooled kernel (T, T).

    ``first`` and ``second`` are (G, T) memberships; the answer is (G,). Every group needs two
    members.
    """
    x, y = first.astype(np.float64), second.astype(np.float64)
    n, m = x.sum(1), y.sum(1)
    if min(n.min(), m.min()) < 2:
        raise ValueError("each group needs at least two images")
    diagonal = np.diagonal(kernel)
    times_x, times_y = x @ kernel, y @ kernel
    within_x = ((times_x * x).sum(1) - x @ diagonal) / (n * (n - 1))
    within_y = ((times_y * y).sum(1) - y @ diagonal) / (m * (m - 1))
    across = (times_x * y).sum(1) / (n * m)
    return np.asarray(within_x + within_y - 2 * across)


def permutation_p_value(
    *, kernel: Matrix, n_first: int, permutations: int, rng: np.random.Generator
) -> float:
    """Share of relabellings whose MMD² is at least the observed one, (1 + b)/(1 + permutations).

    ``kernel`` is (T, T) of the pooled sets, the first ``n_first`` rows being the first set. Exact
    for exchangeable images (Phipson and Smyth 2010). Values equal up to
    rounding are equal.
    """
    observed = np.zeros((1, len(kernel)), bool)
    observed[0, :n_first] = True
    value = group_distances(kernel=kernel, first=observed, second=~observed)[0]
    shuffled = rng.permuted(np.repeat(observed, permutations, axis=0), axis=1)
    null = group_distances(kernel=kernel, first=shuffled, second=~shuffled)
    rounding = 1e-12 * float(np.abs(kernel).max())
    return float((1 + (null >= value - rounding).sum()) / (1 + permutations))
