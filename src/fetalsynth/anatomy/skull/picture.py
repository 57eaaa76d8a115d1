"""Any grey image → the grid on which heads are searched, and ellipses on it back to the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse, map_ellipse

Floats = NDArray[np.float32]

SIDE = 128
LEAST_SIDE = 24
_LEAST_RATIO = 0.2
_BLUR = 0.45  # standard deviation of a pixel's own blur, in pixels


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image on the working grid: square pixels, the longer side ``SIDE`` of them.

    ``grey`` (H, W) runs from 0 (black) to 1 (the brightest half percent). ``scale_x`` and
    ``scale_y`` are working pixels per pixel of the image.
    """

    grey: Floats
    scale_x: float
    scale_y: float


def picture_of(image: NDArray[Any], *, pixel_ratio: float = 1.0) -> Picture | None:
    """The image (H, W) on the working grid, or None where it shows nothing (all of one grey).

    ``pixel_ratio`` is the height of a pixel over its width. Raises ValueError for another shape
    than (H, W) or (H, W, 1), a side below 24 pixels, values that are not finite, or a ratio
    that is not from 0.2 to 5.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    if not _LEAST_RATIO <= pixel_ratio <= 1 / _LEAST_RATIO:
        raise ValueError(f"a pixel {pixel_ratio:g} times as high as wide is not plausible")
    pixels = _checked(image)
    height, width = pixels.shape
    step = max(width, height * pixel_ratio) / SIDE  # widths of a pixel per working pixel
    scale_x, scale_y = 1 / step, pixel_ratio / step
    low, high = np.percentile(pixels, [1, 99.5])
    if not high > low:
        low, high = float(pixels.min()), float(pixels.max())
    if not high > low:
        return None
    smooth = [_BLUR * max(1 / scale**2 - 1, 0) ** 0.5 for scale in (scale_y, scale_x)]
    pixels = gaussian_filter(np.clip((pixels - low) / (high - low), 0, 1), smooth, mode="nearest")
    size = [max(1, round(n * scale)) for n, scale in ((height, scale_y), (width, scale_x))]
    at = np.meshgrid(
        *(
            (np.arange(n) + 0.5) / scale - 0.5
            for n, scale in zip(size, (scale_y, scale_x), strict=True)
        ),
        indexing="ij",
    )
    order = 1 if min(scale_x, scale_y) < 0.9 else 3
    grey = map_coordinates(pixels, at, order=order, mode="nearest")
    return Picture(grey=np.clip(grey, 0, 1).astype(np.float32), scale_x=scale_x, scale_y=scale_y)


def on_image(ellipse: Ellipse, picture: Picture) -> Ellipse:
    """The ellipse of the working grid in pixels of the image."""
    matrix = np.diag([1 / picture.scale_x, 1 / picture.scale_y])
    shift = (0.5 / picture.scale_x - 0.5, 0.5 / picture.scale_y - 0.5)
    return map_ellipse(ellipse, matrix=matrix, shift=shift)


def _checked(image: NDArray[Any]) -> NDArray[np.float64]:
    pixels = np.asarray(image, dtype=np.float64)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise ValueError(f"a grey image is (height, width), not {np.shape(image)}")
    if min(pixels.shape) < LEAST_SIDE:
        raise ValueError(f"an image of {pixels.shape[1]}×{pixels.shape[0]} pixels is too small")
    if not np.isfinite(pixels).all():
        raise ValueError("some pixels are no finite numbers")
    return pixels
