"""Multi-scale structural similarity.

Formula
    MS-SSIM = Π_{j<M} cs_jʷʲ · ssim_Mʷᴹ over M scales, each half as fine as the one before (means
    of 2 pixels per axis; a last odd row is dropped). cs_j is the mean over the image of the
    contrast-structure factor of SSIM, ssim_M the mean of the whole SSIM, both with the Gaussian
    window (Wang, Simoncelli and Bovik, Asilomar 2003, eq. 7, with the weights of section 4.2 and
    the order of means and products of the authors' code). The weights were found for five scales;
    fewer use the first of them, divided by their sum.
Direction
    Higher is more alike.
Input
    As for SSIM. Every scale needs 11 pixels a side: 176 for five scales, 44 for three.
Ideal and chance
    1 for equal images, about 0 for unrelated noise. A negative mean has no real power and counts as
    0. Values at different numbers of scales are not comparable.
Least number of images
    One pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.ssim import ssim_maps
from fetalsynth.assessment.metrics.windows import Array, radius

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    scales: int = len(WEIGHTS),
) -> float:
    """MS-SSIM of one pair of (H, W) images or (I, J, K) volumes.

    Raises ValueError where the images are too small for ``scales`` or differ in shape.
    """
    return float(
        ms_ssim_batch(first=first[None], second=second[None], data_range=data_range, scales=scales)[
            0
        ]
    )


def ms_ssim_batch(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    data_range: float,
    scales: int = len(WEIGHTS),
) -> Array:
    """MS-SSIM (N,) of each pair of (N, H, W) images or (N, I, J, K) volumes."""
    if not 1 <= scales <= len(WEIGHTS):
        raise ValueError(f"there are 1 to {len(WEIGHTS)} scales, not {scales}")
    if scales > most_scales(first.shape[1:]):
        fitting = most_scales(first.shape[1:])
        raise ValueError(f"{scales} scales need larger images: {first.shape[1:]} fits {fitting}")
    shares = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = np.ones(len(first))
    for scale, share in enumerate(shares):
        last = scale == scales - 1
        maps = ssim_maps(first=first, second=second, data_range=data_range, luminance=last)
        product *= np.maximum(maps.reshape(len(maps), -1).mean(1), 0) ** share
        if not last:
            first, second = halved(first), halved(second)
    return product


def most_scales(sizes: tuple[int, ...]) -> int:
    """How many of the five scales fit into an image of these sizes; 0 where not even one does."""
    side = 2 * radius("gaussian") + 1
    return sum(min(sizes) >> scale >= side for scale in range(len(WEIGHTS)))


def halved(images: NDArray[np.generic]) -> Array:
    """(N, …) images with each axis but the first halved: the mean of 2 × 2 (× 2) pixels."""
    values = images.astype(np.float64)
    for axis in range(1, values.ndim):
        even = np.moveaxis(values, axis, 0)[: values.shape[axis] // 2 * 2]
        values = np.moveaxis((even[::2] + even[1::2]) / 2, 0, axis)
    return np.ascontiguousarray(values)
