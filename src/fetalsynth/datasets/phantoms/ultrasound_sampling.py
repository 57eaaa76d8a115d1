"""Random phantoms: which head, seen from where, in what surroundings, by which scanner.

The distributions of place, direction and zoom follow HC18 (van den Heuvel et al. 2018): heads
lie mostly level, fill 0.2 to 0.4 of the image's width per semi-axis, and have their centre near
the image's. Ventricle, cavum and sulcal landmarks follow the gestational age.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np

from fetalsynth.anatomy.biometry import AGE_RANGE_WEEKS, HeadBiometry, sample_biometry
from fetalsynth.datasets.phantoms.ultrasound_acoustics import Acoustics
from fetalsynth.datasets.phantoms.ultrasound_head import Head
from fetalsynth.datasets.phantoms.ultrasound_landmarks import sample_blobs, sample_strokes
from fetalsynth.datasets.phantoms.ultrasound_scan import ASPECT, View
from fetalsynth.datasets.phantoms.ultrasound_surroundings import Body, Surroundings
from fetalsynth.errors import UserError

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
    check_ages(age_range_weeks)
    drawn = float(rng.uniform(*age_range_weeks))
    age = drawn if gestational_age_weeks is None else gestational_age_weeks
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


def check_ages(age_range_weeks: tuple[float, float]) -> None:
    """Raise UserError unless the range lies in what the growth standard covers."""
    low, high = age_range_weeks
    if not AGE_RANGE_WEEKS[0] <= low <= high <= AGE_RANGE_WEEKS[1]:
        raise UserError(
            f"gestational ages {low:g} to {high:g} weeks: give a range from low to high within "
            f"{AGE_RANGE_WEEKS[0]:g} to {AGE_RANGE_WEEKS[1]:g}"
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


def _far_side_up(
    harmonics: tuple[tuple[float, float], ...],
) -> tuple[tuple[float, float], ...]:
    """The far wall reflects from inside, where it is concave, and looks brighter by 3 dB."""
    (even, odd), *rest = harmonics
    return ((even, odd + 1.5), *rest)


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
    thickness = _normal(rng, 0.6 + 0.042 * age, 0.25, 1.0, 2.6)
    head = Head(
        biometry=biometry,
        center_x_mm=_normal(rng, 0, 0.05 * width, -0.8 * spare_x, 0.8 * spare_x),
        center_y_mm=_normal(rng, 0, 0.04 * width, -0.8 * spare_y, 0.8 * spare_y),
        angle_deg=angle,
        forehead=1 if rng.random() < 0.5 else -1,
        harmonics=_harmonics(rng, count=14, sd=0.009, fall=0.9),
        skull_harmonics=_far_side_up(_harmonics(rng, count=40, sd=4.5, fall=0.75)),
        skull_thickness_mm=thickness,
        skull_level_db=_normal(rng, -5.5, 3, -11, 1),
        skull_floor=float(rng.uniform(0.02, 0.20)),
        skull_sharpness=float(rng.uniform(2.5, 7)),
        skull_roughness=float(rng.uniform(0.2, 0.6)),
        skull_loss_db_per_mm=float(rng.uniform(0.3, 0.8)) * (0.6 + 0.015 * age),
        scalp_mm=_normal(rng, 1.0 + 0.04 * age, 0.4, 0.8, 4.0),
        brain_level_db=_normal(rng, -43, 2, -48, -37),
        brain_texture_db=float(rng.uniform(1.2, 2.7)),
        blobs=sample_blobs(rng, gestational_age_weeks=age),
        strokes=sample_strokes(rng, gestational_age_weeks=age),
    )
    return head, width


def _view(rng: np.random.Generator, head: Head, width: float) -> View:
    """Where the probe lies above the head and how wide and deep it scans.

    The whole head lies in the fan.
    """
    radius, half = float(rng.uniform(38, 60)), float(rng.uniform(18, 36))
    wall = float(rng.gamma(4.0, 5.0)) + 6
    apex_x = float(head.center_x_mm * 0.5 + rng.normal(0, 0.03 * width))
    turn = np.linspace(0, 2 * np.pi, 73)
    (ux, uy), (vx, vy) = head.axes
    along, across = head.semi_major_mm * np.cos(turn), head.semi_minor_mm * np.sin(turn)
    x, y = head.center_x_mm + along * ux + across * vx, head.center_y_mm + along * uy + across * vy
    apex_y = float(np.min(y - 1.06 * np.abs(x - apex_x) / np.tan(radians(half))))
    apex_y = min(apex_y, float(y.min()) - wall - radius)
    bottom = max(0.96 * width * ASPECT / 2, float(y.max())) + float(rng.exponential(18))
    return View(
        width_mm=float(width),
        apex_x_mm=apex_x,
        apex_y_mm=apex_y,
        probe_radius_mm=radius,
        depth_mm=bottom - apex_y - radius,
        half_angle_deg=half,
    )


def _surroundings(rng: np.random.Generator, head: Head, view: View) -> Surroundings:
    angle = radians(head.angle_deg)
    high = hypot(head.semi_major_mm * sin(angle), head.semi_minor_mm * cos(angle))
    above = head.center_y_mm - high - (view.apex_y_mm + view.probe_radius_mm)
    tissue = _normal(rng, -30, 2.5, -36, -24)
    return Surroundings(
        tissue_level_db=tissue,
        fluid_level_db=float(rng.uniform(-60, -49)),
        fluid_mean_mm=float(rng.uniform(-13, 4)),
        fluid_harmonics=_harmonics(rng, count=4, sd=9.0, fall=0.6),
        placenta_level_db=tissue + float(rng.uniform(3, 12)),
        placenta_direction_deg=float(rng.uniform(-180, 180)),
        placenta_distance_mm=float(rng.uniform(0.25, 0.6)) * view.width_mm,
        wall_mm=above * float(rng.uniform(0.3, 0.9)),
        wall_level_db=_normal(rng, -26, 4, -36, -18),
        wall_texture_db=float(rng.uniform(2, 6)),
        patch_db=float(rng.uniform(3, 7)),
        interface_db=float(rng.uniform(4, 14)),
        shade_db=float(rng.uniform(1, 5)),
        texture_seed=int(rng.integers(2**62)),
        bodies=tuple(_body(rng, head) for _ in range(int(rng.poisson(1.6)))),
    )


def _body(rng: np.random.Generator, head: Head) -> Body:
    side = 1 if rng.random() < 0.5 else -1
    size = float(rng.uniform(4, 14))
    return Body(
        x_mm=head.center_x_mm + side * float(rng.uniform(1.05, 1.5)) * head.semi_major_mm,
        y_mm=head.center_y_mm + float(rng.normal(0.2, 0.5)) * head.semi_minor_mm,
        semi_long_mm=size * float(rng.uniform(0.8, 2.0)),
        semi_short_mm=size,
        tilt_deg=float(rng.uniform(-60, 60)),
        level_db=float(rng.uniform(-30, -17)),
        softness=float(rng.uniform(0.5, 1.2)),
    )


def _acoustics(rng: np.random.Generator, head: Head, view: View) -> Acoustics:
    depth = head.center_y_mm - view.apex_y_mm - view.probe_radius_mm
    finer = float(np.clip((view.width_mm / 115) ** 0.8, 0.5, 1.15))
    return Acoustics(
        axial_sigma_mm=finer * float(rng.uniform(0.22, 0.38)),
        axial_growth_per_mm=0.004,
        lateral_sigma_mm=finer * float(rng.uniform(0.45, 0.85)),
        focus_mm=depth * float(rng.uniform(0.7, 1.3)),
        focal_zone_mm=float(rng.uniform(35, 70)),
        looks=int(rng.integers(4, 8)),
        attenuation_db_per_mm=float(rng.uniform(0.0, 0.06)),
        gain_db=_normal(rng, 0, 2, -4, 4),
        gain_knots_db=tuple(float(g) for g in rng.normal(0, 2.2, 5)),
        edge_loss_db=float(rng.uniform(0, 8)),
        reverberation=float(rng.uniform(0.03, 0.16)),
        reverberation_decay_db_per_mm=float(rng.uniform(0.15, 0.6)),
        reverberation_texture_db=float(rng.uniform(1, 5)),
        side_lobe=float(rng.uniform(0.01, 0.05)),
        noise_db=float(rng.uniform(-64, -55)),
        dynamic_range_db=float(rng.uniform(54, 62)),
        gamma=float(rng.uniform(1.2, 1.55)),
    )
