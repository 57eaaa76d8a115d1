"""Random phantoms: which head, seen from where, in what surroundings, by which scanner.

The distributions of place, direction and zoom follow HC18 (van den Heuvel et al. 2018): heads
lie mostly level, fill 0.2 to 0.4 of the image's width per semi-axis, and have their centre near
the image's. Ventricle, cavum and sulcal landmarks follow the gestational age.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np

from fetalsynth.anatomy.biometry import HeadBiometry, sample_biometry
from fetalsynth.datasets.phantoms.ultrasound_acoustics import Acoustics
from fetalsynth.datasets.phantoms.ultrasound_head import Blob, Head, Stroke
from fetalsynth.datasets.phantoms.ultrasound_scan import ASPECT, View
from fetalsynth.datasets.phantoms.ultrasound_surroundings import Surroundings

AGE_WEEKS = (16.0, 36.0)


@dataclass(frozen=True, kw_only=True)
class PhantomParams:
    """Everything a phantom image is made from; ``speckle_seed`` fixes the scatterers."""

    head: Head
    surroundings: Surroundings
    view: View
    acoustics: Acoustics
    speckle_seed: int


def sample_params(
    rng: np.random.Generator,
    *,
    gestational_age_weeks: float | None = None,
    age_range_weeks: tuple[float, float] = AGE_WEEKS,
) -> PhantomParams:
    """Draw one phantom; the age is uniform over ``age_range_weeks`` unless it is given.

    Raises UserError outside 14 to 40 weeks.
    """
    age = gestational_age_weeks
    if age is None:
        age = float(rng.uniform(*age_range_weeks))
    biometry = sample_biometry(rng, gestational_age_weeks=age)
    head, width = _head(rng, biometry)
    view = _view(rng, head, width)
    return PhantomParams(
        head=head,
        surroundings=_surroundings(rng, head, view),
        view=view,
        acoustics=_acoustics(rng, head, view),
        speckle_seed=int(rng.integers(2**62)),
    )


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """Normal draw limited to [low, high]."""
    return float(np.clip(rng.normal(mean, sd), low, high))


def _harmonics(
    rng: np.random.Generator, *, count: int, sd: float, fall: float
) -> tuple[tuple[float, float], ...]:
    scale = sd / np.arange(1, count + 1) ** fall
    return tuple(
        (float(a * s), float(b * s))
        for (a, b), s in zip(rng.standard_normal((count, 2)), scale, strict=True)
    )


def _head(rng: np.random.Generator, biometry: HeadBiometry) -> tuple[Head, float]:
    """The head and the width of the window that shows it, mm."""
    age = biometry.gestational_age_weeks
    a, b = biometry.occipitofrontal_diameter_mm / 2, biometry.biparietal_diameter_mm / 2
    spread = 5.0 if rng.random() < 0.72 else 32.0
    angle = _normal(rng, 0, spread, -85, 85)
    high = hypot(a * sin(radians(angle)), b * cos(radians(angle)))
    wide = hypot(a * cos(radians(angle)), b * sin(radians(angle)))
    share = _normal(rng, 0.20 + 0.11 * min(max((age - 12) / 9, 0), 1), 0.045, 0.16, 0.38)
    width = max(a / share, 2 * high / (0.96 * ASPECT), 2 * wide / 0.90)
    spare_x, spare_y = width / 2 - wide, width * ASPECT / 2 - high
    thickness = _normal(rng, 1.0 + 0.05 * age, 0.3, 1.2, 3.4)
    head = Head(
        biometry=biometry,
        center_x_mm=_normal(rng, 0, 0.05 * width, -0.8 * spare_x, 0.8 * spare_x),
        center_y_mm=_normal(rng, 0, 0.04 * width, -0.8 * spare_y, 0.8 * spare_y),
        angle_deg=angle,
        forehead=1 if rng.random() < 0.5 else -1,
        harmonics=_harmonics(rng, count=4, sd=0.006, fall=0.7),
        skull_harmonics=_harmonics(rng, count=24, sd=2.2, fall=0.5),
        skull_thickness_mm=thickness,
        skull_level_db=_normal(rng, 4, 3, -3, 10),
        skull_floor=float(rng.uniform(0.02, 0.12)),
        skull_loss_db_per_mm=float(rng.uniform(0.7, 1.5)) * (0.6 + 0.015 * age),
        scalp_mm=_normal(rng, 1.0 + 0.04 * age, 0.4, 0.8, 4.0),
        brain_level_db=_normal(rng, -37, 3, -44, -30),
        brain_texture_db=float(rng.uniform(1.5, 3.5)),
        blobs=_blobs(rng, age),
        strokes=_strokes(rng, age),
    )
    return head, width


def _blobs(rng: np.random.Generator, age: float) -> tuple[Blob, ...]:
    """Thalami, cavum, ventricles with choroid plexus; the plexus shrinks as the brain grows."""

    def blob(u: float, v: float, su: float, sv: float, tilt: float, level: float) -> Blob:
        return Blob(
            u=float(u + rng.normal(0, 0.025)),
            v=float(v + rng.normal(0, 0.025)),
            semi_u=float(su * rng.uniform(0.85, 1.15)),
            semi_v=float(sv * rng.uniform(0.85, 1.15)),
            tilt_deg=float(tilt + rng.normal(0, 6)),
            level_db=level,
            softness=float(rng.uniform(0.3, 0.6)),
        )

    young = float(np.clip((24 - age) / 8, 0, 1))
    plexus = float(rng.uniform(9, 15))
    parts = []
    for side in (-1.0, 1.0):
        dim = 0.0 if side > 0 else -4.0
        v = side * (0.36 - 0.02 * young)
        ventricle = (0.30 + 0.22 * young, 0.13 + 0.13 * young)
        choroid = (0.20 + 0.24 * young, 0.10 + 0.13 * young)
        parts += [
            blob(-0.36 + 0.15 * young, v, *ventricle, 8 * side, -9.0),
            blob(-0.42 + 0.18 * young, v, *choroid, 12 * side, plexus + dim),
            blob(0.02, side * 0.17, 0.20, 0.15, 15 * side, -float(rng.uniform(1, 5))),
            blob(0.10, side * 0.55, 0.36, 0.20, 0, float(rng.normal(2, 2))),
        ]
    parts.append(blob(0.47, 0, 0.10, 0.05, 0, -10.0))
    for _ in range(6):
        u, v = rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6)
        parts.append(blob(u, v, 0.2, 0.15, 0, float(rng.normal(0, 3))))
    return tuple(parts)


def _strokes(rng: np.random.Generator, age: float) -> tuple[Stroke, ...]:
    """Falx, cavum walls, ventricle walls, insula, sulci and the many specks of vessel and pia."""
    strokes: list[Stroke] = []

    def add(u: float, v: float, length: float, level: float, tilt: float, bow: float) -> None:
        strokes.append(
            Stroke(
                u=float(u + rng.normal(0, 0.015)),
                v=float(v + rng.normal(0, 0.012)),
                length=float(length * rng.uniform(0.7, 1.2)),
                tilt_deg=float(tilt + rng.normal(0, 4)),
                bow=bow,
                level_db=float(level + rng.normal(0, 4)),
            )
        )

    falx = float(rng.uniform(-20, -8))
    for u in np.arange(-0.85, 0.9, 0.14):
        if not 0.36 < u < 0.58 and rng.random() < 0.75:
            add(u, 0, 0.24, falx, 0, 0)
    cavum = 0.035 + 0.02 * float(np.clip((age - 14) / 10, 0, 1))
    for side in (-1.0, 1.0):
        hidden = -6.0 if side < 0 else 0.0
        add(0.47, side * cavum, 0.24, -6 + hidden / 2, 0, 0)
        add(0.52, side * 0.26, 0.2, -14 + hidden, 6 * side, 0.01)
        add(-0.36, side * 0.25, 0.45, -14 + hidden, 6 * side, 0.02 * side)
        add(-0.36, side * 0.47, 0.45, -10 + hidden, 8 * side, -0.02 * side)
        add(0.12, side * 0.62, 0.4, -12 + hidden, 0, 0.03 * side)
        add(0.02, side * 0.03, 0.16, -14, 0, 0)
    for _ in range(int(rng.integers(8, 26))):
        u, v = rng.normal(0, 0.38), rng.normal(0.05, 0.28)
        if u * u + v * v < 0.7:
            add(u, v, 0.12, float(rng.uniform(-26, -10)), float(rng.normal(0, 12)), 0)
    for _ in range(int(rng.poisson(max(0.0, (age - 20) * 1.4)))):
        turn, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.88)
        tilt = float(rng.normal(0, 25))
        level = float(rng.uniform(-26, -12))
        add(radius * cos(turn), radius * sin(turn), 0.2, level, tilt, float(rng.normal(0, 0.03)))
    return tuple(strokes)


def _view(rng: np.random.Generator, head: Head, width: float) -> View:
    """Where the probe lies above the head and how wide and deep it scans."""
    angle = radians(head.angle_deg)
    high = hypot(head.semi_major_mm * sin(angle), head.semi_minor_mm * cos(angle))
    wide = hypot(head.semi_major_mm * cos(angle), head.semi_minor_mm * sin(angle))
    radius, half = float(rng.uniform(38, 60)), float(rng.uniform(29, 38))
    cover = abs(head.center_x_mm) * 0.5 + 1.08 * wide
    wall = float(rng.gamma(4.0, 5.0)) + 6
    reach = max(radius + wall + high, cover / np.tan(radians(half)))
    below = max(height_left(head, width), high) + float(rng.exponential(18))
    return View(
        width_mm=float(width),
        apex_x_mm=float(head.center_x_mm * 0.5 + rng.normal(0, 0.03 * width)),
        apex_y_mm=float(head.center_y_mm - reach),
        probe_radius_mm=radius,
        depth_mm=float(reach - radius + below),
        half_angle_deg=half,
    )


def height_left(head: Head, width: float) -> float:
    """Distance from the head's centre down to just above the window's bottom, mm."""
    return width * ASPECT / 2 - head.center_y_mm - 0.04 * width


def _surroundings(rng: np.random.Generator, head: Head, view: View) -> Surroundings:
    angle = radians(head.angle_deg)
    high = hypot(head.semi_major_mm * sin(angle), head.semi_minor_mm * cos(angle))
    above = head.center_y_mm - high - (view.apex_y_mm + view.probe_radius_mm)
    bodies = []
    for _ in range(int(rng.poisson(1.6))):
        side = 1 if rng.random() < 0.5 else -1
        size = float(rng.uniform(4, 14))
        bodies.append(
            Blob(
                u=head.center_x_mm + side * float(rng.uniform(1.05, 1.5)) * head.semi_major_mm,
                v=head.center_y_mm + float(rng.normal(0.2, 0.5)) * head.semi_minor_mm,
                semi_u=size * float(rng.uniform(0.8, 2.0)),
                semi_v=size,
                tilt_deg=float(rng.uniform(-60, 60)),
                level_db=float(rng.uniform(-26, -14)),
                softness=float(rng.uniform(0.2, 0.6)),
            )
        )
    tissue = _normal(rng, -29, 4, -40, -20)
    return Surroundings(
        tissue_level_db=tissue,
        fluid_level_db=-58.0,
        fluid_mean_mm=float(rng.uniform(-8, 7)),
        fluid_harmonics=_harmonics(rng, count=4, sd=9.0, fall=0.6),
        placenta_level_db=tissue + float(rng.uniform(3, 12)),
        placenta_direction_deg=float(rng.uniform(-180, 180)),
        placenta_distance_mm=float(rng.uniform(0.25, 0.6)) * view.width_mm,
        wall_mm=above * float(rng.uniform(0.3, 0.9)),
        wall_level_db=_normal(rng, -26, 4, -36, -18),
        wall_texture_db=float(rng.uniform(2, 6)),
        patch_db=float(rng.uniform(2, 5)),
        texture_seed=int(rng.integers(2**62)),
        bodies=tuple(bodies),
    )


def _acoustics(rng: np.random.Generator, head: Head, view: View) -> Acoustics:
    depth = head.center_y_mm - view.apex_y_mm - view.probe_radius_mm
    return Acoustics(
        axial_sigma_mm=float(rng.uniform(0.22, 0.4)),
        axial_growth_per_mm=0.004,
        lateral_sigma_mm=float(rng.uniform(0.45, 0.9)),
        focus_mm=depth * float(rng.uniform(0.7, 1.3)),
        focal_zone_mm=float(rng.uniform(35, 70)),
        looks=int(rng.integers(1, 4)),
        attenuation_db_per_mm=float(rng.uniform(0.0, 0.06)),
        gain_db=_normal(rng, 0, 4, -9, 8),
        gain_knots_db=tuple(float(g) for g in rng.normal(0, 2.5, 5)),
        edge_loss_db=float(rng.uniform(0, 10)),
        reverberation=float(rng.uniform(0.01, 0.06)),
        reverberation_decay_db_per_mm=float(rng.uniform(0.4, 1.2)),
        side_lobe=float(rng.uniform(0.01, 0.05)),
        noise_db=float(rng.uniform(-66, -54)),
        dynamic_range_db=float(rng.uniform(48, 60)),
        gamma=float(rng.uniform(1.1, 1.7)),
    )
