"""Heads measured on the images of a folder: what ``fit_skull`` finds, in pixels and millimetres."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_circumference, scale_ellipse
from fetalsynth.anatomy.skull.fit import SkullFit, fit_skull
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.datasets.decoding import Pixels
from fetalsynth.datasets.loading import read_each, with_channels
from fetalsynth.errors import UserError

Floats = NDArray[np.float64]
Spacing = tuple[float, float]  # y, x; mm per pixel


@dataclass(frozen=True, kw_only=True)
class MeasuredHead:
    """One image, and the head on it; ``fit`` is None where none was found."""

    record: ImageRecord
    pixels: Pixels
    fit: SkullFit | None

    @property
    def spacing_mm(self) -> Spacing | None:
        """(y, x) mm per pixel, None where the image's table knows none."""
        down, along = self.record.pixel_spacing_y_mm, self.record.pixel_spacing_x_mm
        return None if down is None or along is None else (down, along)

    @property
    def circumference_px(self) -> float | None:
        """Circumference along the outer border of the skull, pixels."""
        return None if self.fit is None else ellipse_circumference(self.fit.ellipse)

    @property
    def circumference_mm(self) -> float | None:
        """The same in mm, None where the spacing is not known."""
        if self.fit is None or self.spacing_mm is None:
            return None
        return ellipse_circumference(in_mm(self.fit.ellipse, self.spacing_mm))


def in_mm(ellipse: Ellipse, spacing_mm: Spacing) -> Ellipse:
    """The ellipse with its lengths in mm."""
    return scale_ellipse(ellipse, x=spacing_mm[1], y=spacing_mm[0])


def overlap(one: Ellipse, other: Ellipse) -> float:
    """Dice coefficient of two ellipses, by counting 200 × 200 places of the first's square."""
    reach = 1.02 * max(
        one.semi_major_px,
        other.semi_major_px
        + float(np.hypot(one.center_x_px - other.center_x_px, one.center_y_px - other.center_y_px)),
    )
    step = np.linspace(-reach, reach, 200)
    a, b = (
        _inside(e, one.center_x_px + step, one.center_y_px + step[:, None]) for e in (one, other)
    )
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def _inside(ellipse: Ellipse, x: Floats, y: Floats) -> NDArray[np.bool_]:
    turn = np.radians(ellipse.angle_deg)
    dx, dy = x - ellipse.center_x_px, y - ellipse.center_y_px
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / ellipse.semi_major_px
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / ellipse.semi_minor_px
    return np.asarray(along**2 + across**2 <= 1)


def measure_heads(
    folder: Path, *, splits: Collection[str] | None = None, role: str = "images"
) -> tuple[Input, Iterator[MeasuredHead]]:
    """Where the images come from, and the head of each, one after the other.

    ``folder`` is an ``images`` artifact or a plain folder of PNG, JPEG, TIFF or DICOM files, which
    may differ in size; RGB is measured by its luminance. ``splits`` keeps those of an artifact.
    About 0.15 s of one core an image.
    Raises UserError that names the file: missing, changed, unreadable, or below 24 pixels.
    """
    source, images = read_each(folder, role=role, splits=splits)
    return source, (measure_head(folder, record, pixels) for record, pixels in images)


def measure_head(folder: Path, record: ImageRecord, pixels: Pixels) -> MeasuredHead:
    """The head of one image that was read from ``folder``."""
    grey = with_channels(pixels, 1)
    down, along = record.pixel_spacing_y_mm, record.pixel_spacing_x_mm
    ratio = 1.0 if down is None or along is None else down / along
    try:
        fit = fit_skull(grey, pixel_ratio=ratio)
    except ValueError as error:
        raise UserError(
            f"{folder / record.file}: {error}; leave it out or give it larger"
        ) from error
    return MeasuredHead(record=record, pixels=pixels, fit=fit)
