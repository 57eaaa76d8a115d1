"""A drawn head outline → filled mask and ellipse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_mask, fit_ellipse


def read_outline(outline: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Ellipse]:
    """Filled mask (0 or 255) and ellipse of a thin closed curve, every pixel above 0 being drawn.

    Pixels on the image border are left out of the fit, since there the border was drawn, not the
    head. Where the curve does not enclose its ellipse (a gap, a head that leaves the image) the
    part of the ellipse inside the image becomes the mask. Raises ValueError where there is no
    ellipse.
    """
    drawn = outline > 0
    inner = drawn.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    y, x = np.nonzero(inner)
    ellipse = fit_ellipse(np.column_stack([x, y]))
    height, width = drawn.shape
    whole = ellipse_mask(ellipse, height=height, width=width)
    filled = _fill(drawn)
    if np.count_nonzero(filled & (whole > 0)) < 0.9 * np.count_nonzero(whole):
        return whole, ellipse
    return np.where(filled, np.uint8(255), np.uint8(0)), ellipse


def _fill(drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The curve and what it encloses: all that the background around it does not reach."""
    from scipy.ndimage import label

    regions, _ = label(np.pad(~drawn, 1, constant_values=True))
    outside: NDArray[np.bool_] = regions[1:-1, 1:-1] == regions[0, 0]
    return ~outside
