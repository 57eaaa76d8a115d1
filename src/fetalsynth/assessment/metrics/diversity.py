"""How varied a set of images is, relative to another of the same size.

Formula
    *nearest*: mean over images of the distance to the nearest other image of the set; *pairwise*:
    mean distance over all pairs. Each is divided by the same of the reference set.
Direction
    Higher is more varied.
Input
    Distances between images, the diagonal infinite; equally many images in both sets, because the
    nearest of more images is nearer.
Ideal and chance
    1 for sets of one distribution; 0 where every image occurs twice (nearest) or all are one
    (pairwise). Ten pictures with small changes bring *nearest* near 0 and leave *pairwise* high.
Least number of images
    About 20 a side for the test; a distance to the nearest needs 50 to be of use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def spread(*, distances: Matrix) -> tuple[float, float]:
    """(nearest, pairwise) mean distances within a set, from (N, N) with an infinite diagonal."""
    inside = distances[np.isfinite(distances)]
    return float(distances.min(1).mean()), float(inside.mean())


def spread_ratios(*, distances: Matrix, reference: Matrix) -> tuple[float, float]:
    """(nearest, pairwise) of one set over those of the reference; 1 where the reference has 0."""
    ours, theirs = spread(distances=distances), spread(distances=reference)
    nearest, pairwise = (a / b if b > 0 else 1.0 for a, b in zip(ours, theirs, strict=True))
    return nearest, pairwise


def low_ratio_p_values(
    *, distances: Matrix, count: int, permutations: int, rng: np.random.Generator
) -> Matrix:
    """One-sided p-values (2,) of the ratios of the first ``count`` images to the rest.

    ``distances`` is (N, N) of both sets together. Each p is the share of relabellings whose ratio
    is as low as the observed one, (1 + b)/(1 + permutations).
    """
    order = np.arange(len(distances))
    ratios = np.empty((1 + permutations, 2))
    for row in range(1 + permutations):
        ours, theirs = (np.sort(group) for group in (order[:count], order[count:]))
        ratios[row] = spread_ratios(
            distances=distances[np.ix_(ours, ours)], reference=distances[np.ix_(theirs, theirs)]
        )
        order = rng.permutation(len(distances))
    as_low = (ratios[1:] <= ratios[0] + 1e-12).sum(0)
    return np.asarray((1 + as_low) / (1 + permutations))
