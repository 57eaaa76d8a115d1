"""Heads of nested ellipsoids whose volumes at every age are known in closed form."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.population.space import Head

SPACING_MM = 2.0
# centre and radii at the head's size 1, mm; later ones lie inside earlier ones
BODIES = {
    1: ((0, 0, 0), (34, 42, 36)),
    2: ((0, 0, 3), (30, 38, 30)),
    3: ((0, 0, 4), (26, 34, 26)),
    6: ((0, 4, 2), (16, 13, 9)),
    4: ((0, -16, 8), (11, 8, 7)),
    5: ((0, -22, -17), (15, 8, 7)),
    7: ((0, -6, -16), (6, 6, 9)),
}


def stretch(weeks: float) -> NDArray[np.float64]:
    """Factors of growth along right, anterior and superior: each linear in age, each its own."""
    return 1 + np.array([0.022, 0.04, 0.03]) * (weeks - 27)


def head_ml(weeks: float) -> float:
    """Volume of the whole head."""
    return 4 / 3 * pi * float(np.prod(np.array(BODIES[1][1]) * stretch(weeks))) / 1000


def ellipsoid_head(
    weeks: float, *, spacing_mm: float = SPACING_MM, shift_mm: tuple[float, ...] = (0, 0, 0)
) -> Head:
    """The head at an age, its middle at ``shift_mm`` of the world."""
    size = stretch(weeks)
    half = np.ceil(np.array([40, 48, 44]) * size / spacing_mm).astype(int)
    axes = [np.arange(-n, n + 1) * spacing_mm for n in half]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) / size
    labels = np.zeros(points.shape[:3], np.uint8)
    for label, (centre, radii) in BODIES.items():
        labels[(((points - centre) / radii) ** 2).sum(axis=-1) <= 1] = label
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = np.array(shift_mm) - half * spacing_mm
    return Head(labels=labels, affine=affine, weeks=weeks)


def volume_ml(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> float:
    """Volume of everything that is labelled."""
    return float((labels > 0).sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1000
