"""Heads like those of a data set, none a copy: a smoothed bootstrap of outlines.

A head is a point of six coordinates: logarithms of circumference, of cephalic index and of the
picture's width in mm, centre across and down in picture sizes, direction of the long axis; a
seventh is the age where the data set knows it. A new head is a known one moved about among its
nearest neighbours of other subjects, so that size, shape, zoom and place keep going together as
they do in the data, and separate groups (first and second trimester) stay separate, which one
covariance for all would blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.ellipse import Ellipse, scale_ellipse
from fetalsynth.anatomy.heads2d.growth import head_of
from fetalsynth.anatomy.heads2d.head import PlacedHead, extent, lies_in_picture
from fetalsynth.anatomy.heads2d.novelty import distances, outline, outlines

Floats = NDArray[np.float64]

LEAST_HEADS = 20
COPY_DISTANCE = 0.002
NEIGHBOURS = 12
SPREAD = 0.7
_TURN = 5  # coordinate of the direction, in half turns
_SQUARE = 0.02
_MOST_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What is kept of a data set's heads to draw others like them.

    ``points`` (N, D) are their coordinates, ``neighbours`` (N, K) the nearest heads of other
    subjects. ``low`` and ``high`` (D,) limit every coordinate, ``box`` (left, top, right, bottom,
    in picture sizes) the outline. ``outlines`` (N, 64) are there to keep away from.
    ``pixel_ratio`` is the height of a pixel over its width, 1 but for squashed pictures.
    """

    points: Floats
    neighbours: NDArray[np.intp]
    low: Floats
    high: Floats
    box: Floats
    outlines: Floats
    pixel_ratio: float


@dataclass(frozen=True, kw_only=True)
class LikeHead:
    """A new head, how often it was drawn again, and its distance to the nearest known outline.

    The distance is that of :func:`fetalsynth.anatomy.heads2d.novelty.distances`, picture sizes.
    """

    head: PlacedHead
    nearest_distance: float
    redrawn: int


def fit_likeness(heads: Sequence[PlacedHead], *, subjects: Sequence[str]) -> Likeness:
    """Fit to heads on square pictures that show them whole.

    Neighbours are the 12 nearest in coordinates divided by their standard deviations (fewer where
    there are fewer than 24 heads of other subjects). Ages count where every head has one.
    Raises ValueError for fewer than 20 heads, or fewer than three subjects.
    """
    if len(heads) < LEAST_HEADS or len(set(subjects)) < 3:
        raise ValueError(f"{len(heads)} heads of {len(set(subjects))} subjects are too few")
    aged = all(head.gestational_age_weeks is not None for head in heads)
    points = np.array([_point(head, aged=aged) for head in heads])
    seen = np.array([np.add(extent(head.ellipse), 0.5) / head.height for head in heads])
    low, high = points.min(axis=0), points.max(axis=0)
    low[_TURN], high[_TURN] = -np.inf, np.inf
    return Likeness(
        points=points,
        neighbours=_neighbours(points, subjects),
        low=low,
        high=high,
        box=np.concatenate([seen[:, :2].min(axis=0), seen[:, 2:].max(axis=0)]),
        outlines=outlines(heads),
        pixel_ratio=_pixel_ratio(heads),
    )


def sample_like(rng: np.random.Generator, likeness: Likeness, *, size: int) -> LikeHead:
    """Draw a head on a picture of ``size`` × ``size`` pixels.

    With d_k the K neighbours' differences from a known head x and m their mean, the new head is
    x + (1 − √(1 − s²)) m + s Σ w_k (d_k − m) / √K with w_k standard normal and s = 0.7: mean and
    covariance of the neighbourhood are kept. It is drawn again, about the same known head, where a
    coordinate leaves the range of the data, the outline the box that holds all of the data's or
    the picture, or where the outline is within 0.002 picture sizes (half a pixel of 256) of a
    known one. Raises ValueError where 1000 draws all failed.
    """
    known = int(rng.integers(len(likeness.points)))
    start = likeness.points[known]
    apart = _differences(likeness.points[likeness.neighbours[known]], start)
    middle = apart.mean(axis=0)
    kept = sqrt(1 - SPREAD**2)
    for redrawn in range(_MOST_DRAWS):
        weights = SPREAD * rng.standard_normal(len(apart)) / sqrt(len(apart))
        point = start + (1 - kept) * middle + weights @ (apart - middle)
        if (point < likeness.low).any() or (point > likeness.high).any():
            continue
        head = _head(point, size=size, pixel_ratio=likeness.pixel_ratio)
        nearest = float(distances(outline(head), likeness.outlines).min())
        if _fits(head, likeness.box) and nearest >= COPY_DISTANCE:
            return LikeHead(head=head, nearest_distance=nearest, redrawn=redrawn)
    raise ValueError(f"no new head fits into a picture of {size} pixels as the known ones do")


def _point(head: PlacedHead, *, aged: bool) -> list[float]:
    index = head.biparietal_diameter_mm / head.occipitofrontal_diameter_mm
    point = [
        log(head.head_circumference_mm),
        log(index),
        log(head.pixel_spacing_mm * head.width),
        (head.ellipse.center_x_px + 0.5) / head.width,
        (head.ellipse.center_y_px + 0.5) / head.height,
        head.ellipse_mm.angle_deg / 180,
    ]
    if aged and head.gestational_age_weeks is not None:
        point.append(head.gestational_age_weeks)
    return point


def _head(point: Floats, *, size: int, pixel_ratio: float) -> PlacedHead:
    """The inverse of :func:`_point`."""
    spacing = exp(point[2]) / size
    down, along = spacing * sqrt(pixel_ratio), spacing / sqrt(pixel_ratio)
    weeks = float(point[6]) if len(point) > 6 else None
    biometry = head_of(
        head_circumference_mm=exp(point[0]),
        cephalic_index=exp(point[1]),
        gestational_age_weeks=weeks or 0.0,
    )
    in_mm = Ellipse(
        center_x_px=float(point[3] * size - 0.5) * along,
        center_y_px=float(point[4] * size - 0.5) * down,
        semi_major_px=biometry.occipitofrontal_diameter_mm / 2,
        semi_minor_px=biometry.biparietal_diameter_mm / 2,
        angle_deg=float(180 * point[_TURN]),
    )
    return PlacedHead(
        ellipse=scale_ellipse(in_mm, x=1 / along, y=1 / down),
        height=size,
        width=size,
        pixel_spacing_y_mm=down,
        pixel_spacing_x_mm=along,
        gestational_age_weeks=weeks,
    )


def _pixel_ratio(heads: Sequence[PlacedHead]) -> float:
    """The median; taken as 1 within 2 %, which is the rounding of small imports."""
    ratio = float(np.median([head.pixel_spacing_y_mm / head.pixel_spacing_x_mm for head in heads]))
    return 1.0 if abs(ratio - 1) <= _SQUARE else ratio


def _fits(head: PlacedHead, box: Floats) -> bool:
    left, top, right, bottom = (np.array(extent(head.ellipse)) + 0.5) / head.height
    inside = left >= box[0] and top >= box[1] and right <= box[2] and bottom <= box[3]
    return bool(inside) and lies_in_picture(head)


def _differences(points: Floats, other: Floats) -> Floats:
    """``points`` − ``other``; directions by the shorter way round, within half a half turn."""
    difference = points - other
    difference[..., _TURN] -= np.round(difference[..., _TURN])
    return np.asarray(difference)


def _neighbours(points: Floats, subjects: Sequence[str]) -> NDArray[np.intp]:
    """(N, K) indices of the nearest heads of other subjects."""
    names = np.asarray(subjects)
    fewest = len(names) - max(int((names == name).sum()) for name in set(subjects))
    count = max(1, min(NEIGHBOURS, fewest // 2))
    scale = _scale(points)
    found = np.empty((len(points), count), np.intp)
    for i, point in enumerate(points):
        squared = ((_differences(points, point) / scale) ** 2).sum(axis=1)
        squared[names == names[i]] = np.inf
        found[i] = np.argsort(squared, kind="stable")[:count]
    return found


def _scale(points: Floats) -> Floats:
    """Standard deviation of every coordinate, 1 where constant; directions about their mean."""
    middle = points.mean(axis=0)
    turns = np.exp(2j * np.pi * points[:, _TURN]).mean()
    middle[_TURN] = np.angle(turns) / (2 * np.pi)
    spread = np.sqrt((_differences(points, middle) ** 2).mean(axis=0))
    return np.where(spread > 0, spread, 1.0)
