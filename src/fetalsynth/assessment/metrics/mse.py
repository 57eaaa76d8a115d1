"""Mean squared error of paired images.

Formula
    MSE = Σ (x − y)² / n over the pixels, in squared units of the stored values. The normalised
    form divides by L², the square of the declared range of values, so that it can be compared
    between scales and does not depend on how many decimals a table keeps.
Direction
    Lower is closer.
Input
    Images of one shape; optionally the pixels that count.
Ideal and chance
    0. Two independent images of uniform noise have a normalised MSE of 1/6. Zeros in a common
    background lower it in proportion to their share.
Least number of images
    One pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mse(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    where: NDArray[np.bool_] | None = None,
) -> float:
    """Mean squared error of two images, over the pixels ``where`` is true (default: all).

    Raises ValueError for differing shapes or where no pixel is left.
    """
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")
    a, b = (first, second) if where is None else (first[where], second[where])
    if not a.size:
        raise ValueError("no pixel to compare")
    difference = a.astype(np.float64) - b.astype(np.float64)
    return float(np.mean(difference**2))


def normalised_mse(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    where: NDArray[np.bool_] | None = None,
) -> float:
    """MSE / data_range², without unit."""
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, not {data_range}")
    return mse(first=first, second=second, where=where) / data_range**2
