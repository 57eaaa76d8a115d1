"""A head of known size into a picture: how large, how turned and where it is shown.

The distributions are those of the ultrasound phantom, which follow HC18 (van den Heuvel et al.,
PLoS ONE 2018;13:e0200412): heads lie mostly level, a semi-axis fills a fifth to two fifths of the
width, and the centre is near the picture's.
"""

from __future__ import annotations

import numpy as np

from fetalsynth.anatomy.biometry import HeadBiometry
from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.anatomy.heads2d.head import PlacedHead, reach
from fetalsynth.errors import UserError

HC18_ASPECT = 540 / 800
_FILLED_X, _FILLED_Y = 0.90, 0.96
_MOST_DRAWS = 200


def place_head(
    rng: np.random.Generator,
    biometry: HeadBiometry,
    *,
    size: int,
    aspect: float = HC18_ASPECT,
    pixel_spacing_mm: float | None = None,
) -> PlacedHead:
    """Put the head into a picture of ``size`` × ``size`` pixels, whole.

    It lies in the middle ``aspect`` of the height (an image that is wider than high, padded to a
    square; 1 takes the whole square). ``pixel_spacing_mm`` None draws the spacing, square pixels.
    Raises UserError where even a level head is too large for a given spacing.
    """
    a = biometry.occipitofrontal_diameter_mm / 2
    angle = _angle(rng)
    share = _normal(rng, _usual_share(biometry.gestational_age_weeks), 0.045, 0.16, 0.38)
    if pixel_spacing_mm is None:
        width = max(a / share, _least_width(biometry, angle, aspect))
    else:
        width = size * pixel_spacing_mm
        angle = _fitting_angle(rng, biometry, angle, width=width, aspect=aspect)
    spacing = width / size
    wide, high = _reach(biometry, angle)
    x = _normal_within(rng, 0.05 * width, width / 2 - wide)
    y = _normal_within(rng, 0.04 * width, aspect * width / 2 - high)
    return PlacedHead(
        ellipse=Ellipse(
            center_x_px=(size - 1) / 2 + x / spacing,
            center_y_px=(size - 1) / 2 + y / spacing,
            semi_major_px=a / spacing,
            semi_minor_px=biometry.biparietal_diameter_mm / 2 / spacing,
            angle_deg=angle,
        ),
        height=size,
        width=size,
        pixel_spacing_y_mm=spacing,
        pixel_spacing_x_mm=spacing,
        gestational_age_weeks=biometry.gestational_age_weeks,
    )


def _angle(rng: np.random.Generator) -> float:
    spread = 5.0 if rng.random() < 0.72 else 32.0
    return _normal(rng, 0, spread, -85, 85)


def _usual_share(weeks: float) -> float:
    """Semi-axis over picture width: small heads are shown smaller, up to 21 weeks."""
    return 0.20 + 0.11 * min(max((weeks - 12) / 9, 0), 1)


def _fitting_angle(
    rng: np.random.Generator, biometry: HeadBiometry, angle: float, *, width: float, aspect: float
) -> float:
    """``angle``, or another one drawn where a head so turned is too large; level at last."""
    for _ in range(_MOST_DRAWS):
        if _least_width(biometry, angle, aspect) <= width:
            return angle
        angle = _angle(rng)
    least = _least_width(biometry, 0.0, aspect)
    if least <= width:
        return 0.0
    raise UserError(
        f"a head of {biometry.head_circumference_mm:.0f} mm circumference needs a picture of "
        f"{least:.0f} mm, but size × pixel spacing is {width:.0f} mm; give a larger --size or "
        "--pixel-spacing, or younger --weeks"
    )


def _least_width(biometry: HeadBiometry, angle: float, aspect: float) -> float:
    """Width of the smallest picture that shows the head whole with some room around, mm."""
    wide, high = _reach(biometry, angle)
    return max(2 * high / (_FILLED_Y * aspect), 2 * wide / _FILLED_X)


def _reach(biometry: HeadBiometry, angle: float) -> tuple[float, float]:
    return reach(
        semi_major=biometry.occipitofrontal_diameter_mm / 2,
        semi_minor=biometry.biparietal_diameter_mm / 2,
        angle_deg=angle,
    )


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _normal_within(rng: np.random.Generator, sd: float, room: float) -> float:
    """Offset of the centre that leaves a fifth of the room on every side free."""
    return _normal(rng, 0, sd, -0.8 * room, 0.8 * room)
