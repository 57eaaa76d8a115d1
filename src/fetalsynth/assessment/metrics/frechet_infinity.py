"""Fréchet distance extrapolated to infinitely many images.

Formula
    Intercept of the least-squares line of the Fréchet distance against 1/n, at 15 counts n evenly
    spaced from min(5000, N/2) to N, each on a random subset of n images a side (Chong and Forsyth,
    CVPR 2020, §3, who vary the generated side only; here both sides have n, so that one line takes
    up the bias of both). Starting at 5000 with N just above it would leave the line no length.
Direction
    Lower is closer.
Input
    (N, D) and (M, D) features, more than 5000 images a side.
Ideal and chance
    0 on average for two sets of one distribution, up to the curvature of the bias in 1/n.
Least number of images
    More than 5000 a side, enforced: with 100 to 1000 images of 2048 features the line gave 16 for a
    true 1.8 and 15.6 for a true 0. It does not rescue small sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.frechet import frechet_distance

LEAST = 5000
POINTS = 15


def frechet_infinity(
    *,
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    rng: np.random.Generator,
    points: int = POINTS,
    least: int = LEAST,
) -> float:
    """The extrapolated squared Fréchet distance of feature sets (N, D) and (M, D).

    Raises ValueError where a set has no more than ``least`` rows.
    """
    most = min(len(first), len(second))
    if most <= least:
        raise ValueError(f"needs more than {least} images a side, not {most}")
    counts = np.linspace(min(least, most // 2), most, points).astype(int)
    distances = [
        frechet_distance(
            first=first[rng.permutation(len(first))[:count]],
            second=second[rng.permutation(len(second))[:count]],
        )
        for count in counts
    ]
    _, intercept = np.polyfit(1 / counts, distances, 1)
    return float(intercept)
