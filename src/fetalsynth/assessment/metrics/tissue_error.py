"""Error of the grey values tissue by tissue.

Formula
    Per label: mean |synthetic − real| and mean (synthetic − real) over its voxels, divided by the
    declared range of values. The signed one says that a tissue is too bright (above 0) or too dark;
    the absolute one holds that and everything else.
Direction
    Absolute: lower is closer. Signed: 0 is ideal, neither way is better.
Input
    Two images of one shape, a label map of the same shape, the range of values.
Ideal and chance
    0. A tissue painted with its own mean has a signed error of 0 and an absolute error that is the
    mean deviation within the tissue.
Least number of images
    One pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TissueError:
    """Mean absolute and mean signed error of one label, in shares of the range of values."""

    label: int
    voxels: int
    absolute: float
    signed: float


def tissue_errors(
    *,
    real: NDArray[np.generic],
    synthetic: NDArray[np.generic],
    labels: NDArray[np.integer],
    data_range: float,
) -> tuple[TissueError, ...]:
    """Errors of every label that occurs, background 0 left out, in order of the labels.

    Raises ValueError for differing shapes or a range that is not positive.
    """
    if not real.shape == synthetic.shape == labels.shape:
        raise ValueError(f"shapes differ: {real.shape}, {synthetic.shape} and {labels.shape}")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, not {data_range}")
    inside = labels != 0
    names, codes = np.unique(labels[inside], return_inverse=True)
    difference = (synthetic[inside].astype(np.float64) - real[inside]) / data_range
    voxels = np.bincount(codes)
    signed = np.bincount(codes, difference) / voxels
    absolute = np.bincount(codes, np.abs(difference)) / voxels
    return tuple(
        TissueError(label=int(name), voxels=int(n), absolute=float(a), signed=float(s))
        for name, n, a, s in zip(names, voxels, absolute, signed, strict=True)
    )
