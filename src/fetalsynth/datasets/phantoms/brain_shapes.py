"""Implicit shapes: signed distances (mm, negative inside) and smooth unions of them.

Distances of ellipsoids are first-order estimates, exact on the surface and near enough within a
few millimetres of it; smooth unions follow the polynomial smooth minimum (I. Quilez, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Space:
    """Head coordinates of every voxel, mm: x to the right, y forward, z up; ``side`` is |x|."""

    x: Field
    y: Field
    z: Field
    spacing_mm: float

    @property
    def side(self) -> Field:
        """Distance from the midsagittal plane."""
        return np.abs(self.x)


def ellipsoid(x: Field, y: Field, z: Field, *, centre: Point, radii: Point) -> Field:
    """Signed distance from an ellipsoid with axes along x, y and z, to first order."""
    u, v, w = ((c - o) / r for c, o, r in zip((x, y, z), centre, radii, strict=True))
    level = np.sqrt(u * u + v * v + w * w)
    a, b, c = (f / r for f, r in zip((u, v, w), radii, strict=True))
    slope = np.sqrt(a * a + b * b + c * c)
    far = level * (level - 1) / np.maximum(slope, 1e-6)
    # Seen from the centre, where the formula has no gradient, the nearest wall is the short axis.
    return np.asarray(np.where(level > 0.05, far, -min(radii)), np.float32)


def tube(
    x: Field | float,
    y: Field,
    z: Field,
    *,
    points: tuple[Point, ...],
    radii: tuple[float | Field, ...],
) -> Field:
    """Signed distance from a chain of round cones through ``points``."""
    nearest: Field | None = None
    for k in range(len(points) - 1):
        p, q = (np.array(points[j], np.float32) for j in (k, k + 1))
        axis = q - p
        along = ((x - p[0]) * axis[0] + (y - p[1]) * axis[1] + (z - p[2]) * axis[2]) / (axis @ axis)
        along = np.clip(along, 0, 1)
        gap = [c - p[j] - along * axis[j] for j, c in enumerate((x, y, z))]
        far = np.sqrt(gap[0] * gap[0] + gap[1] * gap[1] + gap[2] * gap[2])
        far = far - (radii[k] + along * (radii[k + 1] - radii[k]))
        nearest = far if nearest is None else np.minimum(nearest, far)
    return np.asarray(nearest, np.float32)


def join(a: Field, b: Field, *, blend: float) -> Field:
    """Union of two shapes whose seam is rounded over ``blend`` mm."""
    mix = np.clip(0.5 + 0.5 * (b - a) / blend, 0, 1)
    return np.asarray(b + (a - b) * mix - blend * mix * (1 - mix), np.float32)


def cut(a: Field, b: Field, *, blend: float) -> Field:
    """Intersection of two shapes whose edge is rounded over ``blend`` mm."""
    return -join(-a, -b, blend=blend)


def soft(distance: Field, *, width: float) -> Field:
    """Share of a voxel inside a shape, from its signed distance: a ramp of ``width`` mm."""
    return np.asarray(np.clip(0.5 - distance / width, 0, 1), np.float32)


def ramp(value: float | Field, low: float, high: float) -> Field:
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
