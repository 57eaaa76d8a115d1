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
_CANDIDATES = 32


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
    member = np.zeros((1 + permutations, len(distances)), bool)
    member[:, :count] = True
    member[1:] = rng.permuted(member[1:], axis=1)
    ratios = np.stack([_nearest_ratios(distances, member), _pair_ratios(distances, member)], 1)
    as_low = (ratios[1:] <= ratios[0] + 1e-12).sum(0)
    return np.asarray((1 + as_low) / (1 + permutations))


def _nearest_ratios(distances: Matrix, member: NDArray[np.bool_]) -> Matrix:
    """For each labelling (P, N): mean distance to the nearest of the own group, first over rest.

    Few of an image's nearest places are needed until one is of its own group.
    """
    order = np.argsort(distances, axis=1)[:, :_CANDIDATES]
    ranked = np.take_along_axis(distances, order, 1)
    ratios = np.empty(len(member))
    rows = np.arange(len(distances))
    for number, first in enumerate(member):
        own = first[order] == first[:, None]
        place = own.argmax(1)
        nearest = np.where(own[rows, place], ranked[rows, place], np.inf)
        missed = np.flatnonzero(~np.isfinite(nearest))
        if len(missed):
            allowed = first[missed, None] == first
            nearest[missed] = np.where(allowed, distances[missed], np.inf).min(1)
        ours, theirs = nearest[first].mean(), nearest[~first].mean()
        ratios[number] = ours / theirs if theirs > 0 else 1.0
    return ratios


def _pair_ratios(distances: Matrix, member: NDArray[np.bool_]) -> Matrix:
    """For each labelling (P, N): mean distance of all pairs, first over rest."""
    finite = np.where(np.isfinite(distances), distances, 0.0)
    means = []
    for group in (member.astype(np.float64), 1.0 - member):
        size = group[0].sum()
        means.append(((group @ finite) * group).sum(1) / (size * (size - 1)))
    ours, theirs = means
    return np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1), 1.0)


def random_pairs(
    *, count: int, pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions (P,) of the first and second of at most ``pairs`` different pairs of images."""
    first, second = np.triu_indices(count, 1)
    chosen = np.sort(rng.permutation(len(first))[:pairs])
    return first[chosen], second[chosen]


def pair_error(*, values: Matrix, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Standard error of the mean of ``values`` (P,) over pairs of images that share images.

    Pairs with a common image are correlated; the variance adds the products of their residuals
    (Fafchamps and Gubert, *J. Dev. Econ.* 83:326, 2007, eq. 2.4), times n(n − 1)/(n − 2)² for n
    images, which makes it unbiased where all pairs are taken and a pair's value is a sum of effects
    of its two images. Never below that of independent pairs.
    """
    residual = values - values.mean()
    per_image = np.bincount(
        np.concatenate([first, second]), weights=np.concatenate([residual, residual])
    )
    own = float((residual**2).sum())
    n = len(np.union1d(first, second))
    unbiased = n * (n - 1) / (n - 2) ** 2 if n > 2 else 1.0
    return float(np.sqrt(max(unbiased * (float((per_image**2).sum()) - own), own)) / len(values))
