"""What lies around the head: fluid pocket, uterine wall, placenta, limbs, and tissue texture."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.ultrasound_head import (
    Head,
    HeadFrame,
    directional_table,
)
from fetalsynth.datasets.phantoms.ultrasound_scan import Floats, PolarGrid

SPARE_MM = 10.0


@dataclass(frozen=True, kw_only=True)
class Body:
    """A limb or a part of the trunk: an ellipse with a soft rim, mm from the window's centre."""

    x_mm: float
    y_mm: float
    semi_long_mm: float
    semi_short_mm: float
    tilt_deg: float
    level_db: float
    softness: float


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Tissue outside the skull; levels in dB below white.

    ``fluid_mean_mm`` and ``fluid_harmonics`` (from the first order on) give the width of the
    amniotic pocket around the head by direction; where it is negative, tissue lies against the
    scalp. The placenta fills everything beyond ``placenta_distance_mm`` from the window's centre
    in its direction (from +x towards +y). ``wall_mm`` is the depth of the abdominal and uterine
    wall. ``patch_db``, ``wall_texture_db`` and ``shade_db`` are standard deviations of the
    brightness between patches of tissue, between layers, and between beams of unequal contact;
    ``interface_db`` is what the pocket's border adds where it faces the beam.
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
    interface_db: float
    shade_db: float
    texture_seed: int
    bodies: tuple[Body, ...]


def outside_level_db(
    parts: Surroundings, head: Head, frame: HeadFrame, grid: PolarGrid, rng: np.random.Generator
) -> Floats:
    """Echogenicity (R, A) outside the skull, dB below white."""
    patches = smooth_noise(grid, rng, depth_mm=14.0, angle_rad=0.14)
    patches += np.float32(0.7) * smooth_noise(grid, rng, depth_mm=3.5, angle_rad=0.05)
    layers = smooth_noise(grid, rng, depth_mm=1.8, angle_rad=0.16)
    edge = smooth_noise(grid, rng, depth_mm=14.0, angle_rad=0.2)
    level = np.float32(parts.tissue_level_db) + np.float32(parts.patch_db) * patches
    level = level + np.float32(0.5 * parts.wall_texture_db) * layers
    level = _placenta(level, parts, grid, edge, patches)
    level = _bodies(level, parts, grid)
    level = _wall(level, parts, grid, edge, layers)
    margin = np.float32(parts.fluid_mean_mm) + directional_table(parts.fluid_harmonics, 1)
    width = margin[frame.angle_index] + edge
    past = frame.outside_mm - head.scalp_mm + 0.5 * patches
    beyond = np.clip((past - width) * 0.4, 0, 1)
    fluid = np.clip(past * 0.8, 0, 1) * (1 - beyond)
    fluid *= np.clip(width, 0, 1)
    level += fluid * (np.float32(parts.fluid_level_db) - level)
    rim = (frame.outside_mm - head.scalp_mm - width - 1) * np.float32(1 / 0.9)
    facing = np.clip(width, 0, 1) * frame.incidence**2
    level += np.float32(parts.interface_db) * facing * np.exp(-rim * rim)
    level += smooth_noise(grid, rng, depth_mm=500.0, angle_rad=0.11) * np.float32(parts.shade_db)
    return np.asarray(level, dtype=np.float32)


def _placenta(
    level: Floats, parts: Surroundings, grid: PolarGrid, edge: Floats, patches: Floats
) -> Floats:
    x, y = grid.position_mm
    c, s = cos(radians(parts.placenta_direction_deg)), sin(radians(parts.placenta_direction_deg))
    far = x * np.float32(c) + y * np.float32(s) - np.float32(parts.placenta_distance_mm)
    weight = np.clip((far + 3 * edge) * 0.5, 0, 1)
    return np.asarray(level + weight * (np.float32(parts.placenta_level_db) + patches - level))


def _bodies(level: Floats, parts: Surroundings, grid: PolarGrid) -> Floats:
    x, y = grid.position_mm
    for body in parts.bodies:
        c, s = cos(radians(body.tilt_deg)), sin(radians(body.tilt_deg))
        dx, dy = x - np.float32(body.x_mm), y - np.float32(body.y_mm)
        along = (dx * np.float32(c) + dy * np.float32(s)) * np.float32(1 / body.semi_long_mm)
        across = (dy * np.float32(c) - dx * np.float32(s)) * np.float32(1 / body.semi_short_mm)
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
    return np.asarray(level + weight * (wall - level))


def smooth_noise(
    grid: PolarGrid, rng: np.random.Generator, *, depth_mm: float, angle_rad: float
) -> Floats:
    """Gaussian field (R, A) of mean 0 and variance 1 with the given distance between knots.

    The field is one function of depth and angle for a given view: a coarser grid samples the
    same one.
    """
    view = grid.view
    half = np.deg2rad(view.half_angle_deg)
    shape = int((view.depth_mm + SPARE_MM) / depth_mm) + 4, int(2 * half / angle_rad) + 4
    knots = rng.standard_normal(shape, dtype=np.float32)
    rows = _spline_weights(grid.depth_mm / depth_mm, knots=shape[0])
    columns = _spline_weights((grid.angle_rad + half) / angle_rad, knots=shape[1])
    return np.asarray(rows @ knots @ columns.T)


def _spline_weights(place: NDArray[np.floating], *, knots: int) -> Floats:
    """Cubic B-spline weights (N, K) of each place, scaled to unit sum of squares."""
    t = np.abs(place[:, None] - (np.arange(knots) - 1)[None, :])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.maximum(2 - t, 0) ** 3 / 6
    weights = np.where(t < 1, near, far)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return np.asarray(weights, dtype=np.float32)
