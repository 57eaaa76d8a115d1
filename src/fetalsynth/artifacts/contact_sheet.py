"""Many images in one picture, for people who would rather look than read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GAP = 2
BACKGROUND = 32


def contact_sheet(images: NDArray[np.uint8], *, columns: int) -> NDArray[np.uint8]:
    """Arrange (N, H, W) or (N, H, W, 3) images row by row with thin gaps between them."""
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *images.shape[3:])
    sheet = np.full(shape, BACKGROUND, np.uint8)
    for k, image in enumerate(images):
        top, left = (k // columns) * (height + GAP), (k % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def drop_grey_axis(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, 1) → (N, H, W); colour images (N, H, W, 3) stay as they are."""
    return images[..., 0] if images.shape[-1] == 1 else images
