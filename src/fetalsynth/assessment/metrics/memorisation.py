"""Has the generator stored its training images? Two published summaries of nearest distances.

Formula
    *Data-copying z*: the Mann–Whitney statistic of the distances to the nearest training image,
    synthetic against held-out, as z = (U − mn/2)/σ with σ corrected for ties, U counting the pairs
    in which the synthetic image is farther (Meehan, Chaudhuri and Dasgupta, AISTATS 2020, §3;
    C_T with the whole space as its one cell).
    *Authentic share*: the share of images farther from their nearest training image than that one
    is from its own nearest neighbour among the training images (Alaa et al., ICML 2022, §3.3).
Direction
    z: none; far below 0 is copying, far above 0 is unlike anything in training. Authentic share:
    higher.
Input
    Distances (m,) and (n,) to the same training images.
Ideal and chance
    z is standard normal if synthetic images are as near as held-out ones; below −3 is taken as
    copying, but blurred images, which are near to everything, go there as well. The authentic share
    of held-out images is the value to expect, often about one half.
Least number of images
    20 a side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def data_copying_z(*, synthetic: Values, held_out: Values) -> float:
    """z of distances (m,) against (n,); 0 where all are equal."""
    m, n = len(synthetic), len(held_out)
    _, place, counts = np.unique(
        np.concatenate([synthetic, held_out]), return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    farther = ranks[:m].sum() - m * (m + 1) / 2
    ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / ((m + n) * (m + n - 1))
    variance = m * n / 12 * (m + n + 1 - ties)
    return float((farther - m * n / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def authentic_share(*, distance: Values, index: NDArray[np.int64], own: Values) -> float:
    """Share of images whose ``distance`` (m,) to training image ``index`` exceeds ``own``.

    ``own`` (number of training images,) holds each one's distance to its nearest other one.
    """
    return float((distance > own[index]).mean())
