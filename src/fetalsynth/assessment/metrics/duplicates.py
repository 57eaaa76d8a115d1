"""Which images of one set are nearly the same picture?

Formula
    Images closer than a threshold t are linked; clusters are the connected components of two or
    more. t is where real images of different subjects would give 0.05 links in a set of this size.
    With a pair's chance p(t) of being closer than t growing as a power of t, the nearest-neighbour
    distances of n real images follow P(D < t) = 1 − exp(−(n − 1)·p(t)), a Weibull law (the
    extreme-value law of minima), which their 10th and 70th percentile fix; t solves
    m(m − 1)/2·p(t) = 0.05 for m images and is at most the 10th percentile.
Direction
    Fewer is better.
Input
    Nearest-neighbour distances of real images of different subjects; distances within the set.
Ideal and chance
    No cluster. Of sets drawn like the real one, 0 to 4 in 100 had any with 100 to 400 real images
    (head ultrasound and random textures), 6 to 13 in 100 with 50.
Least number of images
    50 real ones of different subjects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINKS = 0.05
_LOW, _HIGH = 0.1, 0.7


def duplicate_threshold(
    *, nearest: NDArray[np.float64], count: int, links: float = LINKS
) -> float | None:
    """Distance below which two of ``count`` images are duplicates.

    ``nearest`` (n,) are distances of real images to their nearest one of another subject. None
    where they do not tell: twins among the real images, or no spread between the percentiles.
    """
    low, high = np.quantile(nearest, [_LOW, _HIGH])
    if not 0 < low < high:
        return None
    power = np.log(np.log1p(-_HIGH) / np.log1p(-_LOW)) / np.log(high / low)
    rate = links * 2 * (len(nearest) - 1) / (count * max(count - 1, 1))
    return float(low * min(1.0, (rate / -np.log1p(-_LOW)) ** (1 / power)))


def clusters(*, distances: NDArray[np.floating], threshold: float) -> list[NDArray[np.int64]]:
    """Groups of positions linked by ``distances`` (N, N) below ``threshold``, the largest first."""
    from scipy import sparse
    from scipy.sparse import csgraph

    close = np.asarray(distances) < threshold
    np.fill_diagonal(close, False)
    _, label = csgraph.connected_components(sparse.csr_array(close), directed=False)
    members = np.argsort(label, kind="stable")
    groups = np.split(members, np.cumsum(np.bincount(label))[:-1])
    return sorted((g for g in groups if len(g) > 1), key=lambda g: (-len(g), int(g[0])))
