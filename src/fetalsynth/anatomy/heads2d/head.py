"""One head in one picture: where its outline lies and how large it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians, sin, sqrt

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_circumference, scale_ellipse


@dataclass(frozen=True, kw_only=True)
class PlacedHead:
    """The outer border of the skull as an ellipse on a grid of ``height`` × ``width`` pixels.

    Spacings are mm per pixel; ``gestational_age_weeks`` is None where nobody knows it. The
    circumference is that of the ellipse, its axes are the biparietal and the occipitofrontal
    diameter, all in mm.
    """

    ellipse: Ellipse
    height: int
    width: int
    pixel_spacing_y_mm: float
    pixel_spacing_x_mm: float
    gestational_age_weeks: float | None = None

    @property
    def ellipse_mm(self) -> Ellipse:
        """The ellipse with both axes of the grid in mm."""
        return scale_ellipse(self.ellipse, x=self.pixel_spacing_x_mm, y=self.pixel_spacing_y_mm)

    @property
    def head_circumference_mm(self) -> float:
        """Circumference of the ellipse, mm."""
        return ellipse_circumference(self.ellipse_mm)

    @property
    def biparietal_diameter_mm(self) -> float:
        """The short axis, mm."""
        return 2 * self.ellipse_mm.semi_minor_px

    @property
    def occipitofrontal_diameter_mm(self) -> float:
        """The long axis, mm."""
        return 2 * self.ellipse_mm.semi_major_px

    @property
    def pixel_spacing_mm(self) -> float:
        """Side of the square that has the area of a pixel, mm."""
        return sqrt(self.pixel_spacing_y_mm * self.pixel_spacing_x_mm)


def extent(ellipse: Ellipse) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the ellipse, pixels."""
    reach_x, reach_y = reach(
        semi_major=ellipse.semi_major_px,
        semi_minor=ellipse.semi_minor_px,
        angle_deg=ellipse.angle_deg,
    )
    x, y = ellipse.center_x_px, ellipse.center_y_px
    return x - reach_x, y - reach_y, x + reach_x, y + reach_y


def reach(*, semi_major: float, semi_minor: float, angle_deg: float) -> tuple[float, float]:
    """How far an ellipse reaches from its centre along x and along y, in its own unit."""
    c, s = cos(radians(angle_deg)), sin(radians(angle_deg))
    return hypot(semi_major * c, semi_minor * s), hypot(semi_major * s, semi_minor * c)


def lies_in_picture(head: PlacedHead) -> bool:
    """Whether the whole head is seen: no border of the picture cuts it."""
    left, top, right, bottom = extent(head.ellipse)
    return min(left, top) >= 0 and right <= head.width - 1 and bottom <= head.height - 1
