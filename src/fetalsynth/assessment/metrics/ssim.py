"""Structural similarity of paired images and volumes.

Formula
    SSIM = (2 μₓμᵧ + C₁)(2 σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁)(σₓ² + σᵧ² + C₂)), C₁ = (0.01 L)²,
    C₂ = (0.03 L)², from means, variances and covariance in the window of every pixel, averaged
    over the pixels (Wang, Bovik, Sheikh and Simoncelli, *IEEE Trans. Image Process.* 13:600, 2004,
    eq. 13). Two windows with names of their own:
    ``gaussian``: Wang's, σ = 1.5 pixels cut at 3.5 σ (11 pixels), variances divided by the weights'
    sum. scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False.
    ``uniform7``: 7 pixels a side with equal weights, variances divided by one less than the pixels
    in the window. scikit-image's default.
    Pixels whose window would leave the image are left out, as scikit-image does.
Direction
    Higher is more alike.
Input
    Two images of one shape and L, the range of values: 255 for 8 bit, 2 for [−1, 1]. A wrong L
    changes the result. Computed in float64: in float32 the variances of flat regions cancel, and
    the mean was off by 2·10⁻⁶ on a smooth volume.
Ideal and chance
    1 for equal images; about 0 for unrelated noise. But two images with one flat background have
    1 there, whatever lies in the middle: read it over the foreground, next to the trivial
    baseline. It hardly notices blur and much notices a change of brightness.
Least number of images
    One pair; an interval needs at least two subjects.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.windows import Array, Window, radius, windowed_means
from fetalsynth.threads import allowed_cores

K1, K2 = 0.01, 0.03
# Blocks that stay in a processor's second cache; whole planes took half as long again.
_PIXELS_AT_ONCE = 1 << 16
_STEPS = {2: (64,), 3: (8, 32)}
_WORTH_THREADS = 16  # blocks


def ssim(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    window: Window = "gaussian",
) -> float:
    """Mean SSIM of one pair: images (H, W) or volumes (I, J, K), the window in all dimensions.

    Raises ValueError for differing shapes, images smaller than the window or a range that is not
    positive.
    """
    return float(
        ssim_maps(
            first=first[None], second=second[None], data_range=data_range, window=window
        ).mean()
    )


def ssim_batch(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    window: Window = "gaussian",
) -> Array:
    """Mean SSIM (N,) of each pair of (N, H, W) images or (N, I, J, K) volumes."""
    maps = ssim_maps(first=first, second=second, data_range=data_range, window=window)
    return np.asarray(maps.reshape(len(maps), -1).mean(1))


def ssim_maps(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    window: Window = "gaussian",
    luminance: bool = True,
) -> Array:
    """SSIM of every window that fits: (N, …) images to (N, …) maps, each axis 2 × radius shorter.

    Without ``luminance`` the first factor is left out (the contrast-structure term of MS-SSIM).
    """
    _check(first, second, data_range=data_range, window=window)
    margin = 2 * radius(window)
    count, *sizes = first.shape
    maps = np.empty((count, *(size - margin for size in sizes)))
    images = 1 if len(sizes) == 3 else max(1, _PIXELS_AT_ONCE // (sizes[0] * sizes[1]))
    steps = (images, *_STEPS[len(sizes)])

    def fill(corner: tuple[int, ...]) -> None:
        inside = tuple(slice(at, at + step) for at, step in zip(corner, steps, strict=True))
        around = (inside[0], *(slice(part.start, part.stop + margin) for part in inside[1:]))
        maps[inside] = _map(first[around], second[around], data_range, window, luminance)

    corners = list(product(*(range(0, n, s) for n, s in zip(maps.shape, steps, strict=False))))
    # The Gaussian's matrix products take every core by themselves.
    workers = allowed_cores() if window == "uniform7" and len(corners) > _WORTH_THREADS else 1
    if workers == 1:
        for corner in corners:
            fill(corner)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, corners))
    return maps


def _map(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    window: Window,
    luminance: bool,
) -> Array:
    """The map of a block that fits into the processor's cache."""
    axes = first.ndim - 1
    fields = np.empty((4, *first.shape))
    x, y, squares, joint = fields
    x[...], y[...] = first, second
    np.multiply(x, x, out=squares)
    squares += y * y
    np.multiply(x, y, out=joint)
    mean_x, mean_y, squares, joint = windowed_means(fields, window=window, axes=axes)
    pixels = (2 * radius(window) + 1) ** axes
    unbiased = 1.0 if window == "gaussian" else pixels / (pixels - 1)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    means = mean_x * mean_y
    mean_x *= mean_x
    mean_y *= mean_y
    power = np.add(mean_x, mean_y, out=mean_x)
    covariance, variances = np.subtract(joint, means, out=joint), squares
    variances -= power
    covariance *= 2 * unbiased
    variances *= unbiased
    covariance += c2
    variances += c2
    found: Array = np.divide(covariance, variances, out=mean_y)
    if luminance:
        means *= 2
        means += c1
        power += c1
        means /= power
        found *= means
    return found


def _check(
    first: NDArray[np.generic], second: NDArray[np.generic], *, data_range: float, window: Window
) -> None:
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")
    side = 2 * radius(window) + 1
    if first.ndim not in (3, 4) or min(first.shape[1:]) < side:
        raise ValueError(f"needs 2D or 3D images of at least {side} pixels a side")
    if not data_range > 0:
        raise ValueError(f"the data range must be positive, not {data_range}")
