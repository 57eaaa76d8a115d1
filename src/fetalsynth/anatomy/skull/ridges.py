"""Bright lines by direction: what a skull is made of in an ultrasound image."""

from __future__ import annotations

from math import ceil, cos, floor, pi, sin

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIRECTIONS = 16
_GAMMA = 0.7
_SIGMA = 1.5
_REACH = 3.0
_SMOOTH = 1.0
_TWO_SIDED = 0.5
_USUAL = 99.0
_LEAST, _MOST = -0.3, 1.0


def ridges(grey: Floats) -> Floats:
    """How far every pixel lies on a bright line across each of 16 directions, (16, H, W).

    Direction k is the normal of the line at k · 180° / 16 from +x towards +y. Half of the value is
    the negative second derivative along the normal (Gaussian, 1.5 pixels), half the smaller of the
    two differences to what lies 3 pixels to either side: a border between dark and bright
    tissue has the first but not the second. Both are divided by their 99th percentile over the
    image, so that 1 is a clear line, and limited to −0.3 … 1, so that one glaring spot counts no
    more than a piece of skull.
    """
    shown = grey**_GAMMA
    both = (1 - _TWO_SIDED) * _curvature(shown) + _TWO_SIDED * _two_sided(shown)
    return np.clip(_scaled(both), _LEAST, _MOST).astype(np.float32)


def _curvature(shown: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    xx, yy, xy = (gaussian_filter(shown, _SIGMA, order=o) for o in ((0, 2), (2, 0), (1, 1)))
    turn = np.arange(DIRECTIONS)[:, None, None] * (pi / DIRECTIONS)
    c, s = np.cos(turn), np.sin(turn)
    return _scaled(-(c * c * xx + 2 * c * s * xy + s * s * yy))


def _two_sided(shown: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(shown, _SMOOTH)
    turns = np.arange(2 * DIRECTIONS) * (pi / DIRECTIONS)
    falls = np.stack([smooth - _beside(smooth, turn) for turn in turns])
    return _scaled(np.minimum(falls[:DIRECTIONS], falls[DIRECTIONS:]))


def _beside(grey: Floats, turn: float) -> Floats:
    """The grey 3 pixels away in a direction, between pixels; the border goes on outside."""
    margin = ceil(_REACH) + 1
    padded = np.pad(grey, margin, mode="edge")
    height, width = grey.shape
    down, along = margin + _REACH * sin(turn), margin + _REACH * cos(turn)
    top, left = floor(down), floor(along)
    fy, fx = down - top, along - left
    found = np.zeros_like(grey)
    for i, j, share in (
        (0, 0, (1 - fy) * (1 - fx)),
        (0, 1, (1 - fy) * fx),
        (1, 0, fy * (1 - fx)),
        (1, 1, fy * fx),
    ):
        found += share * padded[top + i : top + i + height, left + j : left + j + width]
    return found


def _scaled(values: NDArray[np.floating]) -> Floats:
    usual = np.percentile(values.max(axis=0), _USUAL)
    return np.asarray(values / max(float(usual), 1e-9), np.float32)
