"""What lies around the head: fluid pocket, uterine wall, placenta, limbs, and tissue texture."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.ultrasound_head import (
    TABLE,
    Blob,
    Head,
    HeadFrame,
    _series,
)
from fetalsynth.datasets.phantoms.ultrasound_scan import Floats, PolarGrid


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Tissue outside the skull; levels in dB below white, lengths in mm.

    ``fluid_harmonics`` give the width of the amniotic pocket around the head by direction (mean
    first); where it is negative, tissue lies against the scalp. The placenta fills everything
    beyond ``placenta_distance_mm`` from the window's centre in its direction (degrees, from +x
    towards +y). ``bodies`` are limbs and trunk, in mm from the window's centre.
    """

    tissue_level_db: float
    fluid_level_db: float
    fluid_mean_mm: float
    fluid_harmonics: tuple[tuple[float, float], ...]
    placenta_level_db: float
    placenta_direction_deg: float
    placenta_distance_mm: float
    wall_mm: float
    wall_level_db: float
    wall_texture_db: float
    patch_db: float
    texture_seed: int
    bodies: tuple[Blob, ...]


def outside_level_db(
    parts: Surroundings, head: Head, frame: HeadFrame, grid: PolarGrid, rng: np.random.Generator
) -> Floats:
    """Echogenicity (R, A) outside the skull, dB below white."""
    patches = smooth_noise(grid, rng, depth_mm=9.0, angle_rad=0.12)
    layers = smooth_noise(grid, rng, depth_mm=1.8, angle_rad=0.16)
    edge = smooth_noise(grid, rng, depth_mm=14.0, angle_rad=0.2)
    level = np.float32(parts.tissue_level_db) + np.float32(parts.patch_db) * patches
    level = _placenta(level, parts, grid, edge, patches)
    level = _bodies(level, parts, grid)
    level = _wall(level, parts, grid, edge, layers)
    margin = np.float32(parts.fluid_mean_mm) + _series(parts.fluid_harmonics, 1)
    width = margin[frame.angle_index] + edge
    beyond = np.clip((frame.outside_mm - head.scalp_mm - width) * 0.8, 0, 1)
    fluid = np.clip((frame.outside_mm - head.scalp_mm) * 1.5, 0, 1) * (1 - beyond)
    fluid *= np.clip(width, 0, 1)
    level += fluid * (np.float32(parts.fluid_level_db) - level)
    return np.asarray(level, dtype=np.float32)


def _placenta(
    level: Floats, parts: Surroundings, grid: PolarGrid, edge: Floats, patches: Floats
) -> Floats:
    x, y = grid.position_mm
    c, s = cos(radians(parts.placenta_direction_deg)), sin(radians(parts.placenta_direction_deg))
    far = x * np.float32(c) + y * np.float32(s) - np.float32(parts.placenta_distance_mm)
    weight = np.clip((far + 3 * edge) * 0.5, 0, 1)
    return level + weight * (np.float32(parts.placenta_level_db) + patches - level)


def _bodies(level: Floats, parts: Surroundings, grid: PolarGrid) -> Floats:
    x, y = grid.position_mm
    for body in parts.bodies:
        c, s = cos(radians(body.tilt_deg)), sin(radians(body.tilt_deg))
        dx, dy = x - np.float32(body.u), y - np.float32(body.v)
        along = (dx * np.float32(c) + dy * np.float32(s)) * np.float32(1 / body.semi_u)
        across = (dy * np.float32(c) - dx * np.float32(s)) * np.float32(1 / body.semi_v)
        rim = (1 - along * along - across * across) * np.float32(1 / body.softness)
        level = level + np.clip(rim, 0, 1) * (np.float32(body.level_db) - level)
    return level


def _wall(
    level: Floats, parts: Surroundings, grid: PolarGrid, edge: Floats, layers: Floats
) -> Floats:
    """Abdominal and uterine wall: layers parallel to the probe's surface."""
    above = np.float32(parts.wall_mm) + 2 * edge - grid.depth_mm[:, None]
    weight = np.clip(above * 0.5, 0, 1)
    wall = np.float32(parts.wall_level_db) + np.float32(parts.wall_texture_db) * layers
    return level + weight * (wall - level)


def smooth_noise(
    grid: PolarGrid, rng: np.random.Generator, *, depth_mm: float, angle_rad: float
) -> Floats:
    """Gaussian field (R, A) of mean 0 and variance 1 with the given correlation lengths.

    The field is one function of depth and angle: sampled more coarsely it keeps its values.
    """
    rows = _spline_weights(grid.depth_mm / depth_mm - grid.depth_mm[0] / depth_mm)
    start = np.deg2rad(grid.view.half_angle_deg)
    columns = _spline_weights((grid.angle_rad + start) / angle_rad)
    knots = rng.standard_normal((256, 64))[: rows.shape[1], : columns.shape[1]]
    return np.asarray(rows @ knots.astype(np.float32) @ columns.T)


def _spline_weights(place: NDArray[np.floating]) -> Floats:
    """Cubic B-spline weights (N, K) of each place, scaled to unit sum of squares."""
    place = np.asarray(place)
    knots = np.arange(int(place.max()) + 4) - 1
    t = np.abs(place[:, None] - knots[None, :])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.maximum(2 - t, 0) ** 3 / 6
    weights = np.where(t < 1, near, far)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return weights.astype(np.float32)


__all__ = ["TABLE", "Surroundings", "outside_level_db", "smooth_noise"]
