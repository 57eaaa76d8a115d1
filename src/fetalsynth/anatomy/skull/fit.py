"""A head measured on an image alone: the ellipse along the outer border of its skull."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.anatomy.skull.border import outer_border, thickness
from fetalsynth.anatomy.skull.picture import Picture, on_image, picture_of
from fetalsynth.anatomy.skull.refining import refine
from fetalsynth.anatomy.skull.ridges import ridges
from fetalsynth.anatomy.skull.rings import along, ellipse_of, field_of
from fetalsynth.anatomy.skull.search import candidates

Floats = NDArray[np.float64]

NO_HEAD, DOUBTFUL = 0.2, 0.5
_BRIGHT = 0.25
SLOPE, MIDDLE = 8.0, 1.51
_FINALISTS = 3
_ROUGH, _FINE = 0.015, 0.001


@dataclass(frozen=True, kw_only=True)
class SkullFit:
    """A head as it is seen.

    ``ellipse`` is the outer border of the skull in pixels of the image. ``confidence`` (0 to 1) is
    the share of heads as clear as this one whose circumference was within 5 % on the training
    part of HC18; it knows nothing of other kinds of images. ``bright_fraction`` is the share of the
    outline on a bright line. ``thickness_px`` is how thick the skull looks, in pixels.
    """

    ellipse: Ellipse
    confidence: float
    bright_fraction: float
    thickness_px: float


def fit_skull(image: NDArray[Any], *, pixel_ratio: float = 1.0) -> SkullFit | None:
    """Find the fetal head on an ultrasound image (H, W) of any grey scale, if there is one.

    All ellipses with a semi-minor axis of 0.085 to 0.40 of the longer side and cephalic indices
    from 0.62 on are tried on a grid of 128 pixels, the best moved to where most of their outline
    lies evenly on bright lines, and the best of these grown to the outer border of the skull.
    Nothing is asked about where or how large the head should be. ``pixel_ratio`` is the height of
    a pixel over its width. About 0.15 s of one core.

    None where all is one grey, or the best ellipse is no clearer than those found in noise
    (confidence below 0.2).
    Raises ValueError for another shape than (H, W) or (H, W, 1), a side below 24 pixels, values
    that are not finite, or a pixel ratio that is not from 0.2 to 5.
    """
    picture = picture_of(image, pixel_ratio=pixel_ratio)
    if picture is None:
        return None
    ring, clearness, values = _best(picture)
    confidence = 1 / (1 + exp(-SLOPE * (clearness - MIDDLE)))
    if confidence < NO_HEAD:
        return None
    thick = thickness(picture, ring, values=values)
    border = outer_border(ellipse_of(ring), thickness=thick)
    return SkullFit(
        ellipse=on_image(border, picture),
        confidence=confidence,
        bright_fraction=float((values > _BRIGHT).mean()),
        thickness_px=thick / sqrt(picture.scale_x * picture.scale_y),
    )


def _best(picture: Picture) -> tuple[Floats, float, Floats]:
    """The clearest ring (5,) on the working grid, its score, and the ridges along it (64,)."""
    lines = ridges(picture.grey)
    field = field_of(lines)
    rings, scores = refine(field, candidates(lines), least_step=_ROUGH)
    finalists = rings[np.argsort(-scores, kind="stable")[:_FINALISTS]]
    rings, scores = refine(field, finalists, least_step=_FINE)
    best = int(np.argmax(scores))
    return rings[best], float(scores[best]), along(field, rings[best : best + 1])[0]
