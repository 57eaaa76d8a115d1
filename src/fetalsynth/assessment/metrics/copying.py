"""How many values lie below a low percentile of a calibration sample, and is that too many?

Formula
    threshold = k-th smallest of n calibration values, k = ⌊0.01 n⌋, at least 1; x = number of the m
    values below it. If nothing was copied, all values are draws of one distribution and x is
    beta-binomial with parameters m, k and n − k + 1 (Wilks, *Ann. Math. Stat.* 13:400, 1942);
    p = P(X ≥ x). A binomial test at 1 % would ignore that the threshold is an estimate.
Direction
    Fewer is better.
Input
    Distances of synthetic images (values) and of held-out real images (calibration) to the same
    training images.
Ideal and chance
    A share of at most about 1 %.
Least number of images
    20 calibration values; with 200 of them and 800 values, p < 0.001 needs a share of 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.nearest import Neighbours

SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Screened:
    """Which synthetic images (m,) look like copies, and the chance of so many without copying."""

    suspicious: NDArray[np.bool_]
    p_value: float


def screened(*, synthetic: Neighbours, held_out: Neighbours) -> Screened:
    """Suspicious images are low in distance and in isolation; p is the larger of the two."""
    measures = (
        (synthetic.distance, held_out.distance),
        (synthetic.isolation, held_out.isolation),
    )
    low = [low_values(values=ours, calibration=theirs) for ours, theirs in measures]
    p_values = [excess_p_value(values=ours, calibration=theirs) for ours, theirs in measures]
    return Screened(suspicious=low[0] & low[1], p_value=max(p_values))


def low_values(
    *, values: NDArray[np.float64], calibration: NDArray[np.float64], share: float = SHARE
) -> NDArray[np.bool_]:
    """Which of ``values`` (m,) lie below the threshold from ``calibration`` (n,)."""
    threshold = np.sort(calibration)[_rank(len(calibration), share) - 1]
    return np.asarray(values < threshold)


def excess_p_value(
    *, values: NDArray[np.float64], calibration: NDArray[np.float64], share: float = SHARE
) -> float:
    """Chance of at least so many low values if all are draws of one continuous distribution."""
    from scipy import stats

    n, k = len(calibration), _rank(len(calibration), share)
    low = int(low_values(values=values, calibration=calibration, share=share).sum())
    return float(stats.betabinom.sf(low - 1, len(values), k, n - k + 1))


def _rank(n: int, share: float) -> int:
    return max(1, int(share * n))
