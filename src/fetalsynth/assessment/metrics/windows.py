"""Weighted means over the window of every pixel: the only costly step of SSIM.

Both windows are separable. The Gaussian goes through small banded matrix products, the uniform
one through sums of two that are added to sums of seven. Only windows that lie wholly inside the
image are computed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Window = Literal["gaussian", "uniform7"]

SIGMA, TRUNCATE = 1.5, 3.5
_BLOCK = 24


def radius(window: Window) -> int:
    """Pixels that the window reaches to each side: 5 (Gaussian) or 3 (uniform)."""
    return int(TRUNCATE * SIGMA + 0.5) if window == "gaussian" else 3


def weights(window: Window) -> Array:
    """Weights along one axis, with sum 1: 11 (Gaussian) or 7 (uniform)."""
    reach = radius(window)
    steps = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 * (steps / SIGMA) ** 2) if window == "gaussian" else np.ones(len(steps))
    return np.asarray(bell / bell.sum())


def windowed_means(fields: Array, *, window: Window, axes: int) -> Array:
    """Means over the window along each of the last ``axes`` axes, which shrink by 2 × radius."""
    for axis in range(fields.ndim - axes, fields.ndim):
        fields = _gaussian(fields, axis) if window == "gaussian" else _sums_of_seven(fields, axis)
    if window == "uniform7":
        fields *= 1 / 7**axes
    return fields


def _gaussian(fields: Array, axis: int) -> Array:
    """One banded matrix product per block of outputs, so that few of its terms are zero."""
    kernel = weights("gaussian")
    reach = len(kernel) - 1
    before, size, after = _around(fields.shape, axis)
    columns = fields.reshape(before, size, after)
    means = np.empty((before, size - reach, after))
    for start in range(0, size - reach, _BLOCK):
        stop = min(size - reach, start + _BLOCK)
        band = _band(kernel, stop - start)
        if after == 1:
            np.matmul(columns[:, start : stop + reach, 0], band.T, out=means[:, start:stop, 0])
        else:
            np.matmul(band, columns[:, start : stop + reach], out=means[:, start:stop])
    return means.reshape(*fields.shape[:axis], size - reach, *fields.shape[axis + 1 :])


def _band(kernel: Array, rows: int) -> Array:
    band = np.zeros((rows, rows + len(kernel) - 1))
    for row in range(rows):
        band[row, row : row + len(kernel)] = kernel
    return band


def _sums_of_seven(fields: Array, axis: int) -> Array:
    before, size, after = _around(fields.shape, axis)
    columns = fields.reshape(before, size, after)
    count = size - 6
    twos = columns[:, :-1] + columns[:, 1:]
    sums = twos[:, :count] + twos[:, 2 : 2 + count]
    sums += twos[:, 4 : 4 + count]
    sums += columns[:, 6:]
    return sums.reshape(*fields.shape[:axis], count, *fields.shape[axis + 1 :])


def _around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    before, after = shape[:axis], shape[axis + 1 :]
    return int(np.prod(before, dtype=int)), shape[axis], int(np.prod(after, dtype=int))
