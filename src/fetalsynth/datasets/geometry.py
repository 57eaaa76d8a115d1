"""Images onto a square grid, with everything that is measured in their pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.anatomy.ellipse import map_ellipse
from fetalsynth.datasets.decoding import Pixels, to_depth
from fetalsynth.datasets.source import SourceImage

Fit = Literal["pad", "squash"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an image lands on the square: resampled to height × width at (top, left)."""

    height: int
    width: int
    top: int
    left: int
    size: int


def place(*, height: int, width: int, size: int, fit: Fit) -> Placement:
    """``pad`` keeps the aspect, centred on black; ``squash`` fills the square, as Bautista et al.
    2022 did. Sizes in pixels.
    """
    if fit == "squash":
        return Placement(height=size, width=size, top=0, left=0, size=size)
    scale = size / max(height, width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    return Placement(height=h, width=w, top=(size - h) // 2, left=(size - w) // 2, size=size)


def fit_to_square(image: SourceImage, *, size: int, fit: Fit) -> SourceImage:
    """The image, mask, ellipse and pixel spacing on a size × size grid.

    Pixels and mask are resampled with an antialiasing triangle filter, which cannot overshoot; the
    mask is cut at one half. Pixel centres map by x' = (x + ½) s − ½ + left, per axis. An image
    that is size × size already comes back as it is.
    """
    height, width = image.pixels.shape[:2]
    if height == width == size:
        return image
    spot = place(height=height, width=width, size=size, fit=fit)
    y_scale, x_scale = spot.height / height, spot.width / width
    shift = (x_scale / 2 - 0.5 + spot.left, y_scale / 2 - 0.5 + spot.top)
    ellipse, spacing = image.ellipse, image.pixel_spacing_mm
    return replace(
        image,
        pixels=_resample(image.pixels, spot),
        mask=None if image.mask is None else _resample_mask(image.mask, spot),
        ellipse=ellipse and map_ellipse(ellipse, matrix=np.diag([x_scale, y_scale]), shift=shift),
        pixel_spacing_mm=spacing and (spacing[0] / y_scale, spacing[1] / x_scale),
    )


def _resample(pixels: Pixels, spot: Placement) -> Pixels:
    deep = pixels.dtype == np.uint16
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    resized = np.stack([_plane(planes[..., i], spot) for i in range(planes.shape[2])], axis=-1)
    square = np.zeros((spot.size, spot.size, planes.shape[2]), resized.dtype)
    square[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width] = resized
    return to_depth(square[..., 0] if pixels.ndim == 2 else square, deep=deep)


def _plane(plane: NDArray[Any], spot: Placement) -> NDArray[Any]:
    deep = plane.dtype == np.uint16
    image = Image.fromarray(np.ascontiguousarray(plane.astype(np.float32) if deep else plane))
    resized = image.resize((spot.width, spot.height), Image.Resampling.BILINEAR)
    return np.rint(np.asarray(resized)).clip(0, 65535) if deep else np.asarray(resized)


def _resample_mask(mask: NDArray[np.uint8], spot: Placement) -> NDArray[np.uint8]:
    soft = _resample(mask, spot)
    return np.where(soft >= 128, np.uint8(255), np.uint8(0))
