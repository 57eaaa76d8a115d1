"""Geometry of a convex ultrasound scan: the fan, its polar sampling grid and scan conversion.

Millimetres throughout; x to the right, y down (away from the probe), origin at the centre of the
image. Beams leave the convex probe as if from one virtual apex above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Floats = NDArray[np.float32]

ASPECT = 540 / 800


@dataclass(frozen=True, kw_only=True)
class View:
    """What the scanner shows: a window of ``width_mm`` × 0.675 ``width_mm`` on a convex fan.

    ``probe_radius_mm`` is the radius of the probe's surface around the apex, ``depth_mm`` how far
    below that surface the scan reaches, ``half_angle_deg`` half the opening of the fan.
    """

    width_mm: float
    apex_x_mm: float
    apex_y_mm: float
    probe_radius_mm: float
    depth_mm: float
    half_angle_deg: float

    @property
    def height_mm(self) -> float:
        """Height of the window, mm."""
        return self.width_mm * ASPECT


@dataclass(frozen=True, kw_only=True)
class PolarGrid:
    """Samples along beams: ``depth_mm`` (R,) below the probe, ``angle_rad`` (A,) off the vertical.

    The axial step grows with depth like the axial resolution does (``growth_per_mm``), so that
    one filter in samples is a depth-dependent one in mm.
    """

    view: View
    depth_mm: Floats
    angle_rad: Floats
    axial_step_mm: float
    growth_per_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(R, A)."""
        return self.depth_mm.size, self.angle_rad.size

    @property
    def angle_step_rad(self) -> float:
        """Angle between neighbouring beams."""
        return float(self.angle_rad[1] - self.angle_rad[0])

    @cached_property
    def radius_mm(self) -> Floats:
        """Distance from the apex, (R, 1)."""
        return np.asarray(self.depth_mm + np.float32(self.view.probe_radius_mm))[:, None]

    @cached_property
    def step_mm(self) -> Floats:
        """Length of each axial sample, (R, 1)."""
        return (self.axial_step_mm * (1 + self.growth_per_mm * self.depth_mm))[:, None]

    @cached_property
    def beam(self) -> tuple[Floats, Floats]:
        """Direction of each beam (x, y), each (A,)."""
        return np.sin(self.angle_rad), np.cos(self.angle_rad)

    @cached_property
    def position_mm(self) -> tuple[Floats, Floats]:
        """Place (x, y) of every sample, each (R, A)."""
        across, along = self.beam
        x = np.float32(self.view.apex_x_mm) + self.radius_mm * across
        y = np.float32(self.view.apex_y_mm) + self.radius_mm * along
        return x, y

    def rows(self, depth_mm: NDArray[np.floating]) -> NDArray[np.floating]:
        """Fractional row of each depth."""
        grown = np.log1p(self.growth_per_mm * np.maximum(depth_mm, 0))
        first = np.log1p(self.growth_per_mm * float(self.depth_mm[0]))
        return np.asarray((grown - first) / (self.growth_per_mm * self.axial_step_mm))

    def columns(self, angle_rad: NDArray[np.floating]) -> NDArray[np.floating]:
        """Fractional column of each angle."""
        return np.asarray((angle_rad - self.angle_rad[0]) / self.angle_step_rad)


def polar_grid(
    view: View, *, axial_step_mm: float, lateral_step_mm: float, growth_per_mm: float
) -> PolarGrid:
    """Grid over the visible part of the fan; ``lateral_step_mm`` holds at the window's centre."""
    top, bottom = -view.height_mm / 2 - view.apex_y_mm, view.height_mm / 2 - view.apex_y_mm
    side = view.width_mm / 2 + abs(view.apex_x_mm)
    half = min(np.deg2rad(view.half_angle_deg), np.arctan2(side, max(top, 1.0)))
    nearest = max(top, view.probe_radius_mm * np.cos(half), 1.0)
    first = max(0.0, nearest - view.probe_radius_mm)
    last = min(view.depth_mm, float(np.hypot(bottom, side)) - view.probe_radius_mm)
    span = np.log((1 + growth_per_mm * last) / (1 + growth_per_mm * first)) / growth_per_mm
    rows = np.arange(int(span / axial_step_mm) + 2) * axial_step_mm
    depth = ((1 + growth_per_mm * first) * np.exp(growth_per_mm * rows) - 1) / growth_per_mm
    angle_step = lateral_step_mm / -view.apex_y_mm
    half_lines = int(half / angle_step) + 1
    angle = np.linspace(-half, half, 2 * half_lines + 1)
    return PolarGrid(
        view=view,
        depth_mm=depth.astype(np.float32),
        angle_rad=angle.astype(np.float32),
        axial_step_mm=axial_step_mm,
        growth_per_mm=growth_per_mm,
    )


def pixel_centres_mm(view: View, *, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(x, y) of the pixels of a ``size`` × ``size`` image, as (1, size) and (size, 1)."""
    at = np.asarray((np.arange(size) - (size - 1) / 2) * (view.width_mm / size), dtype=np.float64)
    return at[None, :], at[:, None]


def fan_mask(view: View, *, size: int) -> NDArray[np.bool_]:
    """Pixels (size, size) whose centres lie in the fan and in the window."""
    x, y = pixel_centres_mm(view, size=size)
    radius = np.hypot(x - view.apex_x_mm, y - view.apex_y_mm)
    angle = np.arctan2(x - view.apex_x_mm, y - view.apex_y_mm)
    depth = radius - view.probe_radius_mm
    inside = (depth >= 0) & (depth <= view.depth_mm)
    inside &= np.abs(angle) <= np.deg2rad(view.half_angle_deg)
    return np.asarray(inside & (np.abs(y) <= view.height_mm / 2))


def scan_convert(values: Floats, grid: PolarGrid, *, size: int) -> Floats:
    """Bilinear polar-to-square conversion of (R, A) values to (size, size), 0 outside the fan."""
    view = grid.view
    mask = fan_mask(view, size=size)
    x, y = pixel_centres_mm(view, size=size)
    row, column = np.nonzero(mask)
    dx, dy = x[0, column] - view.apex_x_mm, y[row, 0] - view.apex_y_mm
    at_row = grid.rows(np.hypot(dx, dy) - view.probe_radius_mm)
    at_column = grid.columns(np.arctan2(dx, dy))
    image = np.zeros((size, size), np.float32)
    image[mask] = map_coordinates(values, (at_row, at_column), order=1, mode="nearest")
    return image
