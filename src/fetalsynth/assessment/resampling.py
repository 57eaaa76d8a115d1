"""Uncertainty from half samples without replacement.

Duplicates break distances between sets: a bootstrap of a Fréchet or kernel distance lies above
its own estimate. Half samples have none. For a statistic of n images, the spread over samples of
b < n drawn without replacement is √((n − b)/b) times its standard error (the delete-d jackknife;
Shao and Wu, *Ann. Stat.* 17:1176, 1989), which is 1 for halves. Where the statistic is degenerate
(a kernel distance between equal distributions) the interval is wider than needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWS = 60
Interval = tuple[float, float]


def half_of_subjects(*, subjects: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Membership (N,) of a random half that takes subjects whole, never above ⌊N/2⌋ images."""
    names, inverse, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    taken = np.zeros(len(names), bool)
    room = len(subjects) // 2
    for name in rng.permutation(len(names)):
        if counts[name] <= room:
            taken[name] = True
            room -= counts[name]
    return np.asarray(taken[inverse])


def half_samples(
    *, subjects: NDArray[np.int64], rng: np.random.Generator, draws: int = DRAWS
) -> NDArray[np.bool_]:
    """``draws`` such halves as (draws, N)."""
    return np.stack([half_of_subjects(subjects=subjects, rng=rng) for _ in range(draws)])


def interval(
    *, value: float, halves: NDArray[np.float64], kept: float = 0.5, least: float = -np.inf
) -> Interval | None:
    """95 % interval around ``value`` from the statistic on samples of the share ``kept``.

    ``least`` is the smallest possible value. None where a half sample has no finite statistic.
    """
    if not np.isfinite(halves).all():
        return None
    error = float(halves.std(ddof=1)) * float(np.sqrt(kept / (1 - kept)))
    return max(value - 1.96 * error, least), value + 1.96 * error
