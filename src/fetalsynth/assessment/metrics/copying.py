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
    A share of at most k/(n + 1): 1 % at 99 calibration values, 4.8 % at 20.
Least number of images
    20 calibration values, and many more to find few copies: among 400 images, p < 0.0008 takes
    about 27 close copies against 100 held-out images, 17 against 200 and 11 against 400.
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
    """Suspicious images are low in distance and in isolation; p is the larger of the two.

    It is taken at the threshold of the 1st percentile, which a stray held-out image cannot spoil,
    and at the least held-out value, which finds fewer copies; the lower p counts, doubled.
    """
    measures = (
        (synthetic.distance, held_out.distance),
        (synthetic.isolation, held_out.isolation),
    )
    low = [low_values(values=ours, calibration=theirs) for ours, theirs in measures]
    ranks = {1, rank(len(held_out.distance))}
    p_values = [max(_p_value(*pair, k) for pair in measures) for k in ranks]
    return Screened(suspicious=low[0] & low[1], p_value=min(1.0, len(ranks) * min(p_values)))


def low_values(
    *, values: NDArray[np.float64], calibration: NDArray[np.float64], share: float = SHARE
) -> NDArray[np.bool_]:
    """Which of ``values`` (m,) lie below the threshold from ``calibration`` (n,)."""
    threshold = np.sort(calibration)[rank(len(calibration), share) - 1]
    return np.asarray(values < threshold)


def excess_p_value(
    *, values: NDArray[np.float64], calibration: NDArray[np.float64], share: float = SHARE
) -> float:
    """Chance of at least so many low values if all are draws of one continuous distribution."""
    return _p_value(values, calibration, rank(len(calibration), share))


def _p_value(values: NDArray[np.float64], calibration: NDArray[np.float64], k: int) -> float:
    from scipy import stats

    low = int((values < np.sort(calibration)[k - 1]).sum())
    return float(stats.betabinom.sf(low - 1, len(values), k, len(calibration) - k + 1))


def rank(n: int, share: float = SHARE) -> int:
    """Which of n calibration values, counted from the least, is the threshold."""
    return max(1, int(share * n))


def expected_share(n: int, share: float = SHARE) -> float:
    """Mean share of values below the threshold from n, if all are draws of one distribution."""
    return rank(n, share) / (n + 1)
