"""Ultrasound-like pictures of a known head: skull with gaps, midline, tissue, fan, grain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from fetalsynth.anatomy.ellipse import Ellipse, map_ellipse

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What is in the picture; the ellipse is the outer border of the skull, in pixels."""

    ellipse: Ellipse
    thickness: float
    gaps: bool = True
    midline: bool = True
    arc: bool = True
    noise: float = 0.12
    seed: int = 0


HEAD = Ellipse(
    center_x_px=68.0, center_y_px=71.0, semi_major_px=38.0, semi_minor_px=30.0, angle_deg=-12.0
)
PLANTED = Planted(ellipse=HEAD, thickness=2.6)


def scaled(ellipse: Ellipse, factor: float) -> Ellipse:
    """The ellipse on a picture with ``factor`` times as many pixels a side."""
    return map_ellipse(ellipse, matrix=np.eye(2) * factor, shift=(0.5 * factor - 0.5,) * 2)


def picture(planted: Planted, *, height: int, width: int) -> Floats:
    """(height, width) grey values, about 0 to 1."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    depth, turn = _inside(planted.ellipse, x, y)
    thick = planted.thickness
    band = np.exp(-(((depth - thick / 2) / (0.8 * thick)) ** 2))
    seen = np.clip(1.3 * np.abs(np.sin(turn)) - 0.25, 0, 1) if planted.gaps else 1.0
    grey = 0.12 + 0.16 * expit(-depth / thick) + 0.75 * band * seen
    if planted.midline:
        grey += 0.5 * _midline(planted.ellipse, x, y, thick)
    rng = np.random.default_rng(planted.seed)
    grain = gaussian_filter(rng.standard_normal((height, width)), 0.008 * width)
    grey *= 1 + planted.noise * grain / grain.std()
    if planted.arc:
        grey = _fan(grey, x, y)
    return np.clip(grey, 0, None)


def _inside(ellipse: Ellipse, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Depth below the outline (first order) and eccentric angle of every pixel."""
    angle = np.radians(ellipse.angle_deg)
    dx, dy = x - ellipse.center_x_px, y - ellipse.center_y_px
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / ellipse.semi_major_px
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / ellipse.semi_minor_px
    level = np.hypot(u, v) + 1e-9
    slope = np.hypot(u / ellipse.semi_major_px, v / ellipse.semi_minor_px) / level + 1e-9
    return (1 - level) / slope, np.arctan2(v, u)


def _midline(ellipse: Ellipse, x: Floats, y: Floats, thick: float) -> Floats:
    angle = np.radians(ellipse.angle_deg)
    dx, dy = x - ellipse.center_x_px, y - ellipse.center_y_px
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    length = np.abs(along) < 0.8 * ellipse.semi_major_px
    return np.exp(-((across / (0.5 * thick)) ** 2)) * length


def _fan(grey: Floats, x: Floats, y: Floats) -> Floats:
    """A sector with bright tissue and an arc near the probe, black outside."""
    height, width = grey.shape
    radius = np.hypot(x - width / 2, y + 0.55 * height)
    angle = np.abs(np.arctan2(x - width / 2, y + 0.55 * height))
    near = 0.62 * height
    grey = grey + 0.5 * np.exp(-(((radius - near - 0.03 * height) / (0.02 * height)) ** 2))
    return np.where((radius > near) & (angle < 0.62), grey, 0.0)
