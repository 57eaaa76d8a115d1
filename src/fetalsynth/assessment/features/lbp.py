"""Texture features without weights: the histogram of local binary patterns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.lbp import CODES, lbp_vectors

DIMENSIONS = CODES


def lbp_features(
    *, images: NDArray[np.uint8], exclude_outside_fan: bool = False
) -> NDArray[np.float64]:
    """16 √p (N, 256) of (N, H, W) images, p being the share of each LBP code in the image.

    The root makes Euclidean distance the Hellinger distance of the histograms and evens out the
    noise of counts (Bartlett 1936), so that the one or two codes that fill most of an image do
    not drown the rest; 16 gives every row a mean square of 1, as kernels with k(x, y) =
    f(x·y/D) expect. An image without any counted pixel becomes zeros.
    """
    return from_counts(lbp_vectors(images=images, exclude_outside_fan=exclude_outside_fan))


def from_counts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The features out of raw counts (N, 256)."""
    total = counts.sum(1, keepdims=True)
    return np.asarray(np.sqrt(CODES * counts / np.maximum(total, 1)))
