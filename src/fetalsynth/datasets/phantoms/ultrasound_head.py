"""The fetal head in an axial plane: skull outline, brain structures, thin bright reflectors.

Head coordinates: u along the occipitofrontal axis (forehead at +1, occiput at −1), v across it
(skull nearest to the probe at −1, farthest at +1), both in semi-axes of the outer skull ellipse.
Levels are dB relative to the brain's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.biometry import HeadBiometry
from fetalsynth.datasets.phantoms.ultrasound_scan import Floats, PolarGrid

TABLE = 1024
FIRST_HARMONIC = 3


@dataclass(frozen=True, kw_only=True)
class Blob:
    """An elliptic region of other echogenicity; semi-axes in head coordinates, soft at its rim."""

    u: float
    v: float
    semi_u: float
    semi_v: float
    tilt_deg: float
    level_db: float
    softness: float


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A thin reflector: a shallow arc around (u, v), ``length`` and ``bow`` in semi-minor axes."""

    u: float
    v: float
    length: float
    tilt_deg: float
    bow: float
    level_db: float


@dataclass(frozen=True, kw_only=True)
class Head:
    """One head: size, place in the window (mm), direction and content.

    ``angle_deg`` turns the occipitofrontal axis from +x towards +y; ``forehead`` is +1 or −1, the
    end of that axis where the forehead lies. ``harmonics`` are relative (cosine, sine) deviations
    of the skull from its ellipse, from the third order on, so that the ellipse stays the best
    fitting one. ``skull_harmonics`` modulate the skull's brightness around the head, in dB, from
    the first order on. A skull met at incidence cosine c echoes with floor + (1 − floor) ·
    c^sharpness of ``skull_level_db``, plus ``skull_roughness`` of that as scatter;
    ``skull_loss_db_per_mm`` is one-way. ``brain_texture_db`` is the standard deviation of each of
    the brain's two scales of texture.
    """

    biometry: HeadBiometry
    center_x_mm: float
    center_y_mm: float
    angle_deg: float
    forehead: int
    harmonics: tuple[tuple[float, float], ...]
    skull_harmonics: tuple[tuple[float, float], ...]
    skull_thickness_mm: float
    skull_level_db: float
    skull_floor: float
    skull_sharpness: float
    skull_roughness: float
    skull_loss_db_per_mm: float
    scalp_mm: float
    brain_level_db: float
    brain_texture_db: float
    blobs: tuple[Blob, ...]
    strokes: tuple[Stroke, ...]

    @property
    def semi_major_mm(self) -> float:
        """Half the occipitofrontal diameter."""
        return self.biometry.occipitofrontal_diameter_mm / 2

    @property
    def semi_minor_mm(self) -> float:
        """Half the biparietal diameter."""
        return self.biometry.biparietal_diameter_mm / 2

    @property
    def axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Unit vectors (x, y) of u and v."""
        c, s = cos(radians(self.angle_deg)), sin(radians(self.angle_deg))
        return (self.forehead * c, self.forehead * s), (-s, c)


@dataclass(frozen=True, kw_only=True)
class HeadFrame:
    """Polar samples in head coordinates, all (R, A).

    ``outside_mm`` is the signed distance to the outer skull border (first order, exact on the
    border); ``angle_index`` is the direction from the centre as an index into a table of TABLE;
    ``incidence`` is the cosine between the beam and the skull's normal, in [0, 1].
    """

    u: Floats
    v: Floats
    outside_mm: Floats
    angle_index: NDArray[np.int32]
    incidence: Floats


def head_frame(head: Head, grid: PolarGrid) -> HeadFrame:
    """Head coordinates of every sample of ``grid``."""
    x, y = grid.position_mm
    dx, dy = x - np.float32(head.center_x_mm), y - np.float32(head.center_y_mm)
    (ux, uy), (vx, vy) = head.axes
    a, b = head.semi_major_mm, head.semi_minor_mm
    u = dx * np.float32(ux / a) + dy * np.float32(uy / a)
    v = dx * np.float32(vx / b) + dy * np.float32(vy / b)
    rho = np.maximum(np.sqrt(u * u + v * v), np.float32(1e-4))
    index = ((np.arctan2(v, u) + np.float32(pi)) * np.float32(TABLE / (2 * pi))).astype(np.int32)
    index %= TABLE
    border = (1 + directional_table(head.harmonics, FIRST_HARMONIC))[index]
    nu, nv = u * np.float32(1 / a), v * np.float32(1 / b)
    steepness = np.maximum(np.sqrt(nu * nu + nv * nv), np.float32(1e-6))
    across, along = grid.beam
    incidence = nu * (ux * across + uy * along) + nv * (vx * across + vy * along)
    return HeadFrame(
        u=u,
        v=v,
        outside_mm=(rho / border - 1) * rho / steepness,
        angle_index=index,
        incidence=np.abs(incidence / steepness).astype(np.float32),
    )


def directional_table(harmonics: tuple[tuple[float, float], ...], first: int) -> Floats:
    """Fourier series of (cosine, sine) pairs from order ``first`` on, by direction, (TABLE,)."""
    angle = np.arange(TABLE) * (2 * pi / TABLE) - pi
    total = np.zeros(TABLE)
    for order, (even, odd) in enumerate(harmonics, start=first):
        total += even * np.cos(order * angle) + odd * np.sin(order * angle)
    return total.astype(np.float32)


def brain_level_db(head: Head, frame: HeadFrame) -> Floats:
    """Echogenicity (R, A) inside the skull, dB below white, without texture."""
    level = np.full(frame.u.shape, head.brain_level_db, np.float32)
    aspect = head.semi_minor_mm / head.semi_major_mm
    for blob in head.blobs:
        c, s = cos(radians(blob.tilt_deg)), sin(radians(blob.tilt_deg))
        du, dv = frame.u - np.float32(blob.u), (frame.v - np.float32(blob.v)) * np.float32(aspect)
        along = (du * np.float32(c) + dv * np.float32(s)) * np.float32(1 / blob.semi_u)
        across = dv * np.float32(c) - du * np.float32(s)
        across *= np.float32(1 / (blob.semi_v * aspect))
        rim = (1 - along * along - across * across) * np.float32(1 / blob.softness)
        weight = np.clip(rim * np.float32(0.5) + np.float32(0.5), 0, 1)
        level += weight * (np.float32(head.brain_level_db + blob.level_db) - level)
    return level


def skull_echo(head: Head, frame: HeadFrame) -> Floats:
    """Amplitude (R, A) of the skull's coherent echo: strong where the beam meets it squarely."""
    middle = np.float32(-head.skull_thickness_mm / 2)
    depth = (frame.outside_mm - middle) * np.float32(1.7 / head.skull_thickness_mm)
    profile = np.exp(-depth * depth)
    varied = 10 ** (directional_table(head.skull_harmonics, 1) / 20)
    facing = frame.incidence ** np.float32(head.skull_sharpness)
    strength = head.skull_floor + (1 - head.skull_floor) * facing
    peak = np.float32(10 ** (head.skull_level_db / 20))
    return np.asarray(peak * profile * strength * varied[frame.angle_index], dtype=np.float32)


def skull_loss(head: Head, frame: HeadFrame) -> Floats:
    """One-way loss (R, A), dB/mm, in the bone; grazing beams are refracted away and lose more."""
    inside = np.clip(0.5 - np.abs(frame.outside_mm / head.skull_thickness_mm + 0.5), -0.25, 0.25)
    bone = (inside * 2 + 0.5).astype(np.float32)
    grazing = (1 - frame.incidence) ** 2
    return np.asarray(bone * np.float32(head.skull_loss_db_per_mm) * (1 + 3 * grazing))
