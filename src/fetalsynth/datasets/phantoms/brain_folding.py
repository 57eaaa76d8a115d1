"""Sulci: sheets of fluid that cut into the hemispheres from their surface.

Secondary sulci stand on the zero lines of a labyrinth-like random field over the surface of each
hemisphere, so that gyri between them have one width and wind; primary sulci stand where anatomy
has them. A sheet is wide at the surface and narrow below, which rounds the crowns of the gyri.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.brain_core import arch_level
from fetalsynth.datasets.phantoms.brain_head import Skull
from fetalsynth.datasets.phantoms.brain_noise import band_noise
from fetalsynth.datasets.phantoms.brain_shapes import Field, Space, ramp

_STEP_MM = 2.0


@dataclass(frozen=True, kw_only=True)
class Folding:
    """How one brain is folded; lengths in mm.

    ``primary`` holds the depths of the parieto-occipital, calcarine, cingulate, central and
    superior temporal sulcus. ``insula`` is the depth of the insula below the convexity relative to
    the half width, ``opening_mm`` the half width of the Sylvian fissure.
    """

    seed: int
    period_mm: float
    depth_mm: float
    width_mm: float
    flare_mm: float
    primary: tuple[float, float, float, float, float]
    insula: float
    opening_mm: float


def sulci(space: Space, skull: Skull, folding: Folding, *, below: Field) -> Field:
    """Signed distance (mm, negative inside) of all sulci but the Sylvian fissure.

    ``below`` is the depth under the outline of the hemisphere, mm, negative outside it.
    """
    flare = folding.flare_mm * np.exp(-np.maximum(below, 0) / 1.8)
    cleft = _primary(space, skull, folding, below=below)
    if folding.depth_mm > 0:
        cleft = np.minimum(cleft, _secondary(space, skull, folding, below=below, primary=cleft))
    return np.asarray(cleft - flare - folding.width_mm, np.float32)


def _primary(space: Space, skull: Skull, folding: Folding, *, below: Field) -> Field:
    a, b, c = skull.a, skull.b, skull.c
    side, y, z = space.side, space.y, space.z
    occipital, calcarine, cingulate, central, temporal = folding.primary
    turn = np.sin(space.x / (0.21 * a) + 1.3 + z / (0.3 * a)) + np.sin((z + 0.6 * y) / (0.15 * a))
    wave = 0.06 * a * turn
    ring = np.abs(arch_level(space, skull) - 1.42) * 0.42 * c + 0.6 * wave
    sheets = (
        (
            np.abs(y + 0.64 * b + 0.35 * z - 0.5 * side + wave),
            occipital,
            0.42 * a - side,
            z + 0.02 * c,
        ),
        (np.abs(z + 0.03 * c + wave), calcarine, 0.5 * a - side, -0.56 * b - y),
        (np.abs(ring), cingulate, 0.45 * a - side, np.minimum(z + 0.05 * c, y + 0.48 * b)),
        (np.abs(y + 0.06 * b - 0.30 * (side - 0.5 * a) + wave), central, z - 0.25 * c, z),
        (np.abs(z + 0.42 * c + 0.25 * y + wave), temporal, side - 0.62 * a, 0.3 * b - y),
    )
    nearest = np.full(space.x.shape, 1e3, np.float32)
    for sheet, depth, first, second in sheets:
        if depth > 0:
            reach = np.maximum(below - depth, -np.minimum(first, second))
            nearest = np.minimum(nearest, _sheet(sheet, reach))
    return nearest


def _secondary(
    space: Space, skull: Skull, folding: Folding, *, below: Field, primary: Field
) -> Field:
    """Distance to the labyrinth's sheets, only where they may reach."""
    near = (below > -4) & (below < folding.depth_mm + 6)
    rng = np.random.default_rng(folding.seed)
    points, stretch = _on_capsule(space, skull, near)
    reach_x, reach_y, reach_z = np.abs(points).max(axis=1) / _STEP_MM
    size = (2 * int(reach_x) + 10, 2 * int(reach_y) + 10, 2 * int(reach_z) + 10)
    field = band_noise(rng, shape=size, period=1.5 * folding.period_mm / _STEP_MM, bandwidth=0.22)
    slope = np.sqrt(np.sum(np.square(np.gradient(field, _STEP_MM)), axis=0))
    slope = np.maximum(slope, 0.45 * slope.mean()).astype(np.float32)
    reach = band_noise(rng, shape=size, period=34 / _STEP_MM, bandwidth=0.5)
    value, steep, far = _look_up((field, slope, reach), points)
    # The medial wall has its own, primary sulci.
    medial = 1 - 0.45 * (1 - ramp(np.abs(space.x[near]), 0.15 * skull.a, 0.4 * skull.a))
    depth = folding.depth_mm * np.clip(0.85 + 0.22 * far, 0.25, 1.1) * medial
    sheet = np.asarray(np.abs(value) / steep * stretch, np.float32)
    depth = depth * (0.25 + 0.75 * ramp(primary[near], 2.0, 7.0))
    beyond = np.asarray(below[near] - depth, np.float32)
    distance = np.full(space.x.shape, 1e3, np.float32)
    distance[near] = _sheet(sheet, beyond)
    return distance


def _sheet(distance: Field, beyond: Field) -> Field:
    """Distance to a sheet that ends where ``beyond`` is positive."""
    return np.asarray(np.hypot(distance, np.maximum(beyond, 0)), np.float32)


def _on_capsule(space: Space, skull: Skull, near: NDArray[np.bool_]) -> tuple[Field, Field]:
    """Where voxels fall when moved straight out to a capsule inside each hemisphere.

    Returns points (3, n), mm, and how much wider the hemisphere is there than the capsule.
    """
    x, y, z = space.x[near], space.y[near], space.z[near]
    half = 0.45 * skull.b
    middle = np.clip(y, -half, half)
    across = np.abs(x) - 0.40 * skull.a
    along = y - middle
    far = np.sqrt(across * across + along * along + z * z) + 1e-3
    radius = 0.75 * skull.a
    scale = radius / far
    shift = np.where(x < 0, -1.0, 1.0) * 1.4 * skull.a
    points = np.stack([across * scale + shift, middle + along * scale, z * scale])
    return points.astype(np.float32), np.asarray(1 / np.clip(scale, 0.6, 3.0), np.float32)


def _look_up(fields: tuple[Field, ...], points: Field) -> list[Field]:
    from scipy.ndimage import map_coordinates

    place = points / _STEP_MM + np.array(fields[0].shape, np.float32)[:, None] / 2
    return [map_coordinates(field, place, order=1, mode="wrap") for field in fields]


def sylvian(space: Space, skull: Skull, folding: Folding) -> Field:
    """Signed distance of the Sylvian fissure: a cleft down to the insula, broad at its floor."""
    a, b, c = skull.a, skull.b, skull.c
    start, end = (0.46 * b, -0.30 * c), (-0.38 * b, 0.06 * c)
    length = float(np.hypot(start[0] - end[0], start[1] - end[1]))
    ahead = ((start[0] - end[0]) / length, (start[1] - end[1]) / length)
    along = (space.y - end[0]) * ahead[0] + (space.z - end[1]) * ahead[1]
    up = -(space.y - end[0]) * ahead[1] + (space.z - end[1]) * ahead[0]
    t = np.asarray(np.clip(along / length, 0, 1), np.float32)
    body = ramp(t, 0.0, 0.30) * (1 - 0.5 * ramp(t, 0.75, 1.0))
    floor = a * (0.97 - folding.insula * body)
    inwards = 0.97 * a - space.side
    bend = up + 0.05 * c * np.sin(3.0 * t) - 0.25 * inwards + 0.03 * a * np.sin(inwards / 2.5)
    open_half = folding.opening_mm * (0.25 + 0.75 * body)
    past = np.maximum(-along, along - length)
    cleft = np.maximum(np.maximum(np.abs(bend) - open_half, floor - space.side), past)
    half = 0.17 * c * body * ramp(folding.insula, 0.16, 0.24) + 0.1
    # The insula bulges outwards between the limbs of its circular sulcus.
    bulge = np.abs(space.side - floor - 0.6 + 0.09 * a * np.square(np.clip(bend / half, -1.2, 1.2)))
    pocket = np.maximum(np.maximum(np.abs(bend) - half, past), bulge - 0.7)
    return np.asarray(np.minimum(cleft, pocket), np.float32)
