"""Head ellipses in image coordinates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An ellipse on a pixel grid.

    Centres are in pixels (x to the right, y down, the centre of the first pixel at 0). Semi-axes
    are in pixels, ``semi_major_px`` ≥ ``semi_minor_px``. ``angle_deg`` is the direction of the
    major axis, from +x towards +y, in (−90, 90].
    """

    center_x_px: float
    center_y_px: float
    semi_major_px: float
    semi_minor_px: float
    angle_deg: float
