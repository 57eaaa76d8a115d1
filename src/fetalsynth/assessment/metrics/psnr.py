"""Peak signal-to-noise ratio.

Formula
    PSNR = 10 log₁₀(L² / MSE) in dB, with L the declared range of values and MSE the mean squared
    difference over all pixels (ITU-T J.340).
Direction
    Higher means closer, pixel by pixel.
Input
    Two images of one shape and their data range: 255 for 8 bit, 2 for [−1, 1].
Ideal and chance
    Identical images have no PSNR (it is infinite) and are counted apart. Two independent images
    with uniform noise on the whole range have 10 log₁₀ 6 = 7.8 dB.
Least number of images
    One pair. On unpaired sets it rewards grey, blurred images, because those lie near the mean of
    everything; it says little about quality.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_VALUES_AT_ONCE = 1 << 22


def psnr(*, first: NDArray[np.generic], second: NDArray[np.generic], data_range: float) -> float:
    """PSNR in dB of two images of one shape; infinite where they are identical.

    Raises ValueError for differing shapes or a range that is not positive.
    """
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")
    difference = first.astype(np.float64) - second.astype(np.float64)
    return float(from_mse(np.mean(difference**2), data_range=data_range))


def all_pairs(
    *, first: NDArray[np.generic], second: NDArray[np.generic], data_range: float
) -> NDArray[np.float64]:
    """PSNR in dB of every image of ``first`` (N, …) with every one of ``second`` (M, …): (N, M).

    Infinite for identical pairs, which is exact for integer images and for floats alike.
    """
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"images differ in shape: {first.shape[1:]} and {second.shape[1:]}")
    squared = squared_distances(first=first, second=second)
    return from_mse(squared / max(1, first[0].size), data_range=data_range)


def from_mse(mse: Any, *, data_range: float) -> NDArray[np.float64]:
    """PSNR in dB of mean squared errors; infinite where the error is 0."""
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, not {data_range}")
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(data_range**2 / np.asarray(mse, dtype=np.float64)))


def finite_mean(values: NDArray[np.float64]) -> tuple[float | None, int]:
    """Mean over the pairs that differ, and how many pairs are identical.

    The mean is None where every pair is identical.
    """
    finite = np.isfinite(values)
    mean = float(values[finite].mean()) if finite.any() else None
    return mean, int(values.size - finite.sum())


def squared_distances(
    *, first: NDArray[np.generic], second: NDArray[np.generic]
) -> NDArray[np.float64]:
    """‖a − b‖² of all pairs, (N, …) and (M, …) to (N, M), from matrix products in float64.

    Some pixels of all images at a time, so that no float copy of the images is made. For integer
    images every term is an integer below 2⁵³, so the result is exact. For floats the few pairs so
    close that cancellation would show are computed again by subtraction.
    """
    a, b = first.reshape(len(first), -1), second.reshape(len(second), -1)
    sums = np.zeros((len(a), len(b)))
    products = np.zeros_like(sums)
    step = max(1, _VALUES_AT_ONCE // (len(a) + len(b)))
    for start in range(0, a.shape[1], step):
        x, y = (side[:, start : start + step].astype(np.float64) for side in (a, b))
        products += x @ y.T
        sums += np.einsum("ij,ij->i", x, x)[:, None]
        sums += np.einsum("ij,ij->i", y, y)
    squared: NDArray[np.float64] = np.maximum(sums - 2 * products, 0)
    if first.dtype.kind in "ub" and second.dtype.kind in "ub":
        return squared
    for row, column in zip(*np.nonzero(squared <= 1e-6 * sums), strict=True):
        squared[row, column] = ((a[row].astype(np.float64) - b[column]) ** 2).sum()
    return squared
