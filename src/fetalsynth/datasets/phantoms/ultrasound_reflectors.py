"""Thin bright reflectors in the head: falx, ventricle walls, fissures, vessels."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.phantoms.ultrasound_head import Head, Stroke
from fetalsynth.datasets.phantoms.ultrasound_scan import Floats, PolarGrid


def lay_strokes(head: Head, grid: PolarGrid, rng: np.random.Generator) -> Floats:
    """Coherent echoes (R, A) of the strokes, before the point spread.

    Every stroke is a row of point reflectors spread bilinearly onto the grid; a reflector counts
    by its length across the beam, so that strokes along the beam stay invisible.
    """
    points = [_stroke_points(head, stroke, rng) for stroke in head.strokes]
    out = np.zeros(grid.shape[0] * grid.shape[1], np.float32)
    if not points:
        return out.reshape(grid.shape)
    x, y, dx, dy, peak = (np.concatenate(part) for part in zip(*points, strict=True))
    x, y = x - grid.view.apex_x_mm, y - grid.view.apex_y_mm
    radius = np.hypot(x, y)
    facing = np.abs(dx * y - dy * x) / radius
    length = np.hypot(dx, dy) + 1e-9
    across = facing * (facing / length) ** 2 / (radius * grid.angle_step_rad)
    row = grid.rows(radius - grid.view.probe_radius_mm)
    column = grid.columns(np.arctan2(x, y))
    return _deposit(out, grid.shape, row, column, peak * across)


def _stroke_points(
    head: Head, stroke: Stroke, rng: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
    """Places (x, y), directions (x, y) and amplitudes along a stroke's rough surface."""
    b = head.semi_minor_mm
    count = max(8, int(stroke.length * b / 0.15))
    along = np.linspace(-0.5, 0.5, count)
    c, s = cos(radians(stroke.tilt_deg)), sin(radians(stroke.tilt_deg))
    bow = stroke.bow * (4 * along**2 - 1)
    right, down = stroke.length * along * c - bow * s, stroke.length * along * s + bow * c
    p, q = stroke.u * head.semi_major_mm + right * b, stroke.v * b + down * b
    (ux, uy), (vx, vy) = head.axes
    x, y = head.center_x_mm + p * ux + q * vx, head.center_y_mm + p * uy + q * vy
    taper = np.sqrt(np.clip(1 - (2 * along) ** 2, 0, 1))
    rough = np.convolve(rng.standard_normal(count + 8), np.full(9, 1 / 3), "valid")
    jitter = np.convolve(rng.standard_normal(count + 4), np.full(5, 0.05), "valid")
    peak = 10 ** (stroke.level_db / 20) * taper * np.abs(1 + 0.8 * rough)
    return x, y + jitter, np.gradient(x), np.gradient(y), peak


def _deposit(
    out: Floats,
    shape: tuple[int, int],
    row: NDArray[np.floating],
    column: NDArray[np.floating],
    value: NDArray[np.floating],
) -> Floats:
    rows, columns = shape
    keep = (row >= 0) & (row < rows - 1) & (column >= 0) & (column < columns - 1)
    row, column, value = row[keep], column[keep], value[keep]
    top, left = row.astype(np.int64), column.astype(np.int64)
    below, right = row - top, column - left
    for r, wr in ((top, 1 - below), (top + 1, below)):
        for c, wc in ((left, 1 - right), (left + 1, right)):
            out += np.bincount(r * columns + c, value * wr * wc, out.size).astype(np.float32)
    return out.reshape(shape)
