"""Precision, recall, density and coverage of a synthetic set, from nearest neighbours.

Formula
    With r(x) the distance of an image to its k-th nearest neighbour in its own set and B(x) the
    closed ball of that radius: *precision* is the share of synthetic images inside some real B;
    *recall* the share of real images inside some synthetic B (Kynkäänniemi et al., NeurIPS 2019,
    eq. 1–3); *density* the mean number of real balls around a synthetic image, divided by k;
    *coverage* the share of real images with a synthetic one inside their B (Naeem et al., ICML
    2020, eq. 3 and 4). k = 5.
Direction
    Higher is better; density is best near 1 and may exceed it.
Input
    (N, D) features of equally many images on both sides. Distances that are equal up to rounding
    count as equal, so copies and repeated images are met at distance 0.
Ideal and chance
    1 for precision and recall, but two sets of one distribution reach only about 0.88 at 1000
    images and 0.94 at 50: read all four against the same between real sets of the same size.
    Coverage of one distribution is 1 − Π (N − 1 − j)/(2N − 1 − j), j = 0 … k − 1, whatever the
    distribution: 0.97. Collapse lowers recall and coverage and leaves precision high; a single
    outlier with a wide ball raises precision and recall.
Least number of images
    k + 2 for the formula, 20 here, 50 before the numbers mean much.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.pairwise import euclidean

K = 5


@dataclass(frozen=True, kw_only=True)
class Support:
    """How far two sets lie on each other's support; fields as in the module."""

    precision: float
    recall: float
    density: float
    coverage: float

    def values(self) -> NDArray[np.float64]:
        """(4,) in the order of the fields."""
        return np.array(astuple(self))


def precision_recall(
    *, real: NDArray[np.floating], synthetic: NDArray[np.floating], k: int = K
) -> Support:
    """All four of two feature sets (N, D).

    Raises ValueError for unequal counts, for N ≤ k + 1 and for features that are not finite.
    """
    if real.shape != synthetic.shape:
        raise ValueError(f"needs equally many images, not {real.shape} and {synthetic.shape}")
    distances = euclidean(rows=np.concatenate([real, synthetic]))
    first = np.arange(len(real))
    return among(distances=distances, real=first, synthetic=len(real) + first, k=k)


def among(
    *,
    distances: NDArray[np.float32],
    real: NDArray[np.int64],
    synthetic: NDArray[np.int64],
    k: int = K,
) -> Support:
    """All four of two groups (N,) of positions in a pooled matrix (T, T) of distances.

    The matrix is that of :func:`~fetalsynth.assessment.metrics.pairwise.euclidean`: its diagonal
    is exactly 0, so that an image's own place comes first even among copies of it. Raises
    ValueError for groups of unequal size or of at most k + 1 images.
    """
    if len(real) != len(synthetic):
        raise ValueError(f"needs equally many images, not {len(real)} and {len(synthetic)}")
    if len(real) <= k + 1:
        raise ValueError(f"{len(real)} images a side are too few for {k} neighbours")
    around_real, around_synthetic = _radii(distances, real, k), _radii(distances, synthetic, k)
    across = distances[np.ix_(real, synthetic)]
    inside = across <= around_real[:, None]
    return Support(
        precision=float(inside.any(0).mean()),
        recall=float((across <= around_synthetic).any(1).mean()),
        density=float(np.count_nonzero(inside) / (k * len(synthetic))),
        coverage=float(inside.any(1).mean()),
    )


def _radii(distances: NDArray[np.float32], group: NDArray[np.int64], k: int) -> NDArray[np.float32]:
    within = distances[np.ix_(group, group)]
    within.partition(k, axis=1)
    return within[:, k]


def expected_coverage(*, count: int, k: int = K) -> float:
    """Coverage to expect of two sets of ``count`` images of one continuous distribution.

    Naeem et al., lemma 2, for equal counts; tends to 1 − 2⁻ᵏ.
    """
    steps = np.arange(k)
    return float(1 - np.prod((count - 1 - steps) / (2 * count - 1 - steps)))
