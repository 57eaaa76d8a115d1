"""What an image scores without any network: every tissue painted with its mean.

Formula
    Every label of the map, background included, gets the mean of the real image over its voxels.
    Without a map, the foreground gets its mean and the rest its own.
Use
    It is scored against the real image like a synthetic one. It is made from the real image
    itself, so no generator has the same knowledge; but it holds no detail whatever, and a score
    that it reaches too is no evidence of any. The 21-week brain of the spina bifida atlas (Zenodo
    5524312), cut out by its mask and painted so, reaches SSIM 0.989 and correlation 0.987 over the
    whole volume, and 0.67 and 0.73 within the brain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def painted(
    *, real: NDArray[np.generic], labels: NDArray[np.integer] | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """``real`` with every voxel replaced by the mean of its label; same shape, float64.

    ``labels`` is a label map or the mask of the foreground. Raises ValueError for other shapes.
    """
    if real.shape != labels.shape:
        raise ValueError(f"shapes differ: {real.shape} and {labels.shape}")
    _, codes = np.unique(labels.ravel(), return_inverse=True)
    means = np.bincount(codes, real.ravel().astype(np.float64)) / np.bincount(codes)
    return np.asarray(means[codes].reshape(real.shape))
