"""The cranial cavity and the smooth outline of the cerebrum within it.

The cavity is an egg (wider behind, lower half flatter) joined with the middle and the posterior
cranial fossae and the foramen magnum, so that the skull base has its three steps. Its greatest
width and length are exact: biparietal and occipitofrontal diameter less the skull.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fetalsynth.datasets.phantoms.brain_shapes import Field, Space, cut, ellipsoid, join, tube


@dataclass(frozen=True, kw_only=True)
class Skull:
    """Inner size of one head, mm: half width, half length, height above the widest plane.

    ``taper`` narrows the forehead, ``squareness`` fills the sides.
    """

    a: float
    b: float
    c: float
    taper: float
    squareness: float
    base: float

    @cached_property
    def widest(self) -> float:
        """Greatest half width of the untapered profile, relative to ``a``."""
        s = np.linspace(-1, 1, 4001, dtype=np.float32)
        return float(np.max(self._profile(s) * np.sqrt(np.maximum(1 - s * s, 0))))

    def width(self, y: Field) -> Field:
        """Half width of the egg at ``y``, before the curve of the ellipse."""
        s = np.clip(y / self.b, -1.3, 1.3)
        return np.asarray(self.a * self._profile(s) / self.widest, np.float32)

    def _profile(self, s: Field) -> Field:
        return np.asarray(1 - self.taper * s + self.squareness * s * s, np.float32)


def cavity(space: Space, skull: Skull, *, cerebellum_mm: float) -> tuple[Field, Field, Field]:
    """Signed distances of the cranial cavity, of its vault and of its middle fossae."""
    a, b, c = skull.a, skull.b, skull.c
    vault = _egg(space, skull)
    middle = ellipsoid(
        space.side,
        space.y,
        space.z,
        centre=(0.53 * a, 0.08 * b, -0.40 * c),
        radii=(0.40 * a, 0.48 * b, 0.44 * c),
    )
    wide = max(0.5 * cerebellum_mm + 0.07 * a + 0.5, 0.52 * a)
    behind = ellipsoid(
        space.x,
        space.y,
        space.z,
        centre=(0.0, -0.46 * b, -0.55 * c),
        radii=(wide, 0.36 * b, 0.40 * c),
    )
    canal = tube(
        space.x,
        space.y,
        space.z,
        points=((0.0, -0.12 * b, -0.50 * c), (0.0, -0.37 * b, -1.20 * c)),
        radii=(0.26 * a, 0.18 * a),
    )
    upper = join(vault, middle, blend=0.20 * a)
    lower = join(behind, canal, blend=0.2 * a)
    lower = cut(lower, -(space.z + 1.06 * c), blend=0.1 * a)
    return join(upper, lower, blend=0.25 * a), vault, middle


def cerebrum(vault: Field, middle: Field, space: Space, skull: Skull, *, gap_mm: Field) -> Field:
    """Signed distance of the smooth outline of both hemispheres, without their fissures."""
    base = np.asarray(gap_mm * (0.35 + 0.65 * _upper(space, skull)), np.float32)
    return join(
        vault + base, np.asarray(middle + 0.8 * base + 0.6, np.float32), blend=0.06 * skull.a
    )


def _upper(space: Space, skull: Skull) -> Field:
    return np.asarray(np.clip(space.z / (0.3 * skull.c) + 1, 0, 1), np.float32)


def _egg(space: Space, skull: Skull) -> Field:
    width = skull.width(space.y)
    high = np.where(space.z > 0, skull.c, skull.base * skull.c)
    u, v, w = space.x / width, space.y / skull.b, space.z / high
    level = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt((u / width) ** 2 + (v / skull.b) ** 2 + (w / high) ** 2)
    far = level * (level - 1) / np.maximum(slope, 1e-6)
    return np.asarray(np.where(level > 0.05, far, -skull.base * skull.c), np.float32)
