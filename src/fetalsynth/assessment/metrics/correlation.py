"""Pearson correlation of the grey values of paired images.

Formula
    r = Σ (x − x̄)(y − ȳ) / √(Σ (x − x̄)² Σ (y − ȳ)²) over the pixels (Pearson 1895).
Direction
    Higher is more alike. It does not see a change of brightness or contrast.
Input
    Images of one shape; optionally the pixels that count.
Ideal and chance
    1 for images that are equal up to brightness and contrast, 0 on average for unrelated ones. A
    common background pulls it towards 1. An image without contrast has no correlation; it counts
    as 0, because it tells nothing about the other.
Least number of images
    One pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def correlation(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    where: NDArray[np.bool_] | None = None,
) -> float:
    """Correlation of two images over the pixels ``where`` is true (default: all); −1 to 1.

    Raises ValueError for differing shapes or fewer than two pixels.
    """
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")
    a, b = _centred(first, where), _centred(second, where)
    if a.size < 2:
        raise ValueError("a correlation needs at least two pixels")
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else 0.0


def _centred(image: NDArray[np.generic], where: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Values minus their mean, exactly 0 for a flat image whatever the rounding of its mean."""
    values = (image.ravel() if where is None else image[where]).astype(np.float64)
    if values.size and values.min() == values.max():
        return np.zeros_like(values)
    return np.asarray(values - values.mean())
