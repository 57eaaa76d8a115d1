"""Ellipses as five numbers, many at once, and how much of each lies on bright lines.

A ring is (x, y, log r, e₁, e₂): centre and mean radius r = √(ab) in pixels, and the elongation
e = ½ log(a / b) as a vector of direction twice the angle of the long axis, so that the five
numbers are smooth in the shape, circles included.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, log

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.anatomy.skull.ridges import DIRECTIONS

Floats = NDArray[np.float64]

POINTS = 64
SECTORS = 8
LARGER = 0.3
_MOST_ELONGATED = 0.5 * log(1 / 0.62)
_MARGIN = 4


@dataclass(frozen=True, kw_only=True)
class Field:
    """Ridges (16, H + 8, W + 8), nothing around them, to be read between pixels."""

    values: NDArray[np.float32]


def field_of(ridges: NDArray[np.float32]) -> Field:
    """The ridges (16, H, W) with a margin."""
    around = ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN))
    return Field(values=np.pad(ridges, around))


def semi_axes(rings: Floats) -> tuple[Floats, Floats, Floats]:
    """(a, b, angle of the long axis in radians) of rings (…, 5)."""
    elongation = np.hypot(rings[..., 3], rings[..., 4])
    angle = 0.5 * np.arctan2(rings[..., 4], rings[..., 3])
    radius = np.exp(rings[..., 2])
    return radius * np.exp(elongation), radius * np.exp(-elongation), angle


def ellipse_of(ring: Floats) -> Ellipse:
    """One ring (5,) as an ellipse."""
    a, b, angle = semi_axes(ring)
    return Ellipse(
        center_x_px=float(ring[0]),
        center_y_px=float(ring[1]),
        semi_major_px=float(a),
        semi_minor_px=float(b),
        angle_deg=degrees(float(angle)),
    )


def outline(rings: Floats, *, points: int = POINTS) -> tuple[Floats, Floats, Floats, Floats]:
    """(x, y, normal x, normal y) of points on rings (N, 5), each (N, points).

    Points are at equal steps of the eccentric angle and start half a step from the long axis, so
    that every symmetry of the ellipse maps them to each other.
    """
    a, b, angle = (part[:, None] for part in semi_axes(rings))
    turn = (np.arange(points) + 0.5) * (2 * np.pi / points)
    c, s = np.cos(turn), np.sin(turn)
    ct, st = np.cos(angle), np.sin(angle)
    length = np.hypot(b * c, a * s)
    nx, ny = b * c / length, a * s / length
    x, y = rings[:, :1] + a * c * ct - b * s * st, rings[:, 1:2] + a * c * st + b * s * ct
    return x, y, nx * ct - ny * st, nx * st + ny * ct


def along(field: Field, rings: Floats) -> Floats:
    """Ridge values on rings (N, 5) across their normals, (N, 64); 0 outside the picture."""
    x, y, nx, ny = outline(rings)
    _, height, width = field.values.shape
    k = np.rint(np.arctan2(ny, nx) * (DIRECTIONS / np.pi)).astype(np.intp) % DIRECTIONS
    x, y = np.clip(x + _MARGIN, 0, width - 1.001), np.clip(y + _MARGIN, 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - left, y - top
    at = (k * height + top) * width + left
    flat = field.values.ravel()
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


def evenness(values: NDArray[np.floating]) -> Floats:
    """Mean over eight sectors of the square root of their mean ridge, (points, N) → (N,).

    The root makes a ring that is seen all around better than one of which half is bright.
    """
    sectors = values.reshape(SECTORS, -1, values.shape[1]).mean(axis=1)
    return np.asarray(np.sqrt(np.maximum(sectors, 0)).mean(axis=0))


def score(field: Field, rings: Floats) -> Floats:
    """What the search maximises for rings (N, 5), (N,).

    :func:`evenness` times r^0.3, since a long ring is on lines by chance less often than a short
    one, less a penalty below a cephalic index of 0.62.
    """
    excess = np.maximum(np.hypot(rings[:, 3], rings[:, 4]) - _MOST_ELONGATED, 0)
    even = evenness(along(field, rings).T)
    return np.asarray(even * np.exp(LARGER * rings[:, 2]) * np.exp(-10 * excess))
