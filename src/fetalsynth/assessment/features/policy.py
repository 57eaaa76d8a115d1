"""What happens to pixels before features are taken: grey, depth, window and size, by name.

Resizing alone moves a Fréchet distance by as much as a change of model does (Parmar et al., CVPR
2022), so every choice here is recorded with the result.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.scratch import scratch

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
LUMA = np.array([0.299, 0.587, 0.114])
_IMAGES_AT_ONCE = 16


def full_window(pixels: Pixels) -> tuple[float, float]:
    """The range of the pixel type: 0 to 255 or 0 to 65535."""
    return 0.0, float(np.iinfo(pixels.dtype).max)


def to_grey8(*, pixels: Pixels, window: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """(N, H, W, C) pixels as (N, H, W) uint8 grey.

    Colour becomes luminance (ITU-R BT.601). ``window`` (low, high) maps linearly to 0 … 255 with
    rounding, values beyond it to its ends; by default it is the range of the pixel type, which
    leaves 8-bit grey as it is, uncopied. Raises ValueError for other shapes, types or an empty
    window.
    """
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise ValueError(f"needs (N, H, W, 1) or (N, H, W, 3), not {pixels.shape}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"needs uint8 or uint16 pixels, not {pixels.dtype}")
    low, high = full_window(pixels) if window is None else window
    if not high > low:
        raise ValueError(f"the window from {low:g} to {high:g} is empty")
    if pixels.dtype == np.uint8 and pixels.shape[3] == 1 and (low, high) == (0.0, 255.0):
        return pixels[..., 0].astype(np.uint8, copy=False)
    grey8: NDArray[np.uint8] = scratch(shape=pixels.shape[:3], dtype=np.uint8)
    for start in range(0, len(pixels), _IMAGES_AT_ONCE):
        part = pixels[start : start + _IMAGES_AT_ONCE]
        grey = part[..., 0].astype(np.float64) if part.shape[3] == 1 else np.rint(part @ LUMA)
        scaled = (grey - low) * (255 / (high - low))
        grey8[start : start + len(part)] = np.rint(np.clip(scaled, 0, 255))
    return grey8


def resize_clean(images: NDArray[np.generic], *, side: int) -> NDArray[np.float32]:
    """(N, H, W) to (N, side, side): bicubic with antialiasing on floats, cut to 0 … 255.

    Pillow's filter on each image in float, never rounded, as clean-fid does it (Parmar et al.).
    """
    from PIL import Image

    resized = np.empty((len(images), side, side), np.float32)
    for number, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
        resized[number] = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
    return np.clip(resized, 0, 255, out=resized)


def resize_legacy(images: NDArray[np.generic], *, side: int) -> NDArray[np.float32]:
    """(N, H, W) to (N, side, side): bilinear without antialiasing, as pytorch-fid does it."""
    import torch
    from torch.nn import functional as F

    tensor = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    resized = F.interpolate(tensor, (side, side), mode="bilinear", align_corners=False)
    return np.asarray(resized[:, 0].numpy(), np.float32)


RESIZING: dict[str, Callable[..., NDArray[np.float32]]] = {
    "clean": resize_clean,
    "legacy": resize_legacy,
}
