"""How far an ultrasound sector reaches behind a box that hides its corner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_SIDE = 40  # pixels of visible straight side to extrapolate
_LEAST_ARC = 0.25  # of the width, that the visible bottom arc must span


def sector_right_of(picture: NDArray[np.bool_], *, left: int) -> NDArray[np.bool_]:
    """Where the sector should be, judged by what is seen of it; (H, W).

    ``picture`` is true where there is signal. The right side is the longest edge of the convex
    hull that flares out downwards, prolonged; the bottom is a circle through the hull left of
    column ``left``. What is not visible is taken to reach the frame of the picture. The box
    is at the right and begins at column ``left``.
    """
    height, width = picture.shape
    y, x = np.arange(height)[:, None], np.arange(width)
    points = _outline(picture)
    if len(points) < 3:
        return np.zeros_like(picture)
    hull = _hull(points)
    right, bottom = points[:, 0].max(), points[:, 1].max()
    inside = (x <= right) & (y <= bottom) & (y >= points[:, 1].min())
    side = _right_side(hull, right=right)
    if side is not None:
        slope, offset = side
        inside = inside & (x <= slope * y + offset)
    circle = _bottom_arc(hull, left=left, bottom=bottom, width=width)
    if circle is not None:
        centre_x, centre_y, radius = circle
        inside = inside & (np.hypot(x - centre_x, y - centre_y) <= radius)
    return np.asarray(inside, dtype=bool)


def _outline(picture: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First and last signal of every row as (x, y); specks below five pixels do not count."""
    from scipy.ndimage import binary_opening

    solid = binary_opening(picture[::2, ::2], np.ones((3, 3)))
    rows = np.flatnonzero(solid.any(axis=1))
    first = solid[rows].argmax(axis=1)
    last = solid.shape[1] - 1 - solid[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([first, rows], 1), np.stack([last, rows], 1)])
    return 2.0 * ends


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull, in order."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        corners: NDArray[np.float64] = points[ConvexHull(points).vertices]
    except QhullError:
        return points[:1]
    return corners


def _right_side(hull: NDArray[np.float64], *, right: float) -> tuple[float, float] | None:
    """(slope, offset) of x = slope · y + offset."""
    best, found = float(_LEAST_SIDE), None
    for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        upper, lower = (a, b) if a[1] < b[1] else (b, a)
        drop = lower[1] - upper[1]
        flare = (lower[0] - upper[0]) / drop if drop > 0 else 0.0
        at_frame = upper[0] >= right - 3
        if drop >= best and 0.03 < flare < 2 and not at_frame and lower[0] > hull[:, 0].mean():
            best, found = drop, (flare, upper[0] - flare * upper[1])
    return found


def _bottom_arc(
    hull: NDArray[np.float64], *, left: int, bottom: float, width: int
) -> tuple[float, float, float] | None:
    """Circle (centre x, centre y, radius), None where the sector is cut off by the frame."""
    inner = hull[(hull[:, 0] > hull[:, 0].min() + 3) & (hull[:, 0] < left)]
    low = inner[(inner[:, 1] > 0.6 * bottom) & (inner[:, 1] < bottom - 3)]
    lowest = inner[inner[:, 1] >= bottom - 3]
    cut_by_frame = len(lowest) > 1 and np.ptp(lowest[:, 0]) > _LEAST_ARC * width
    points = low if cut_by_frame else np.concatenate([low, lowest])
    if len(low) < 4 or np.ptp(points[:, 0]) < _LEAST_ARC * width:
        return None
    terms = np.column_stack([2 * points, np.ones(len(points))])
    (x, y, rest), *_ = np.linalg.lstsq(terms, (points**2).sum(axis=1), rcond=None)
    radius = float(np.sqrt(max(rest + x * x + y * y, 0)))
    return (float(x), float(y), radius) if y < 0.6 * bottom < radius + y else None
