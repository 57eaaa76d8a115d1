"""Atrial width of the lateral ventricles: inner wall to inner wall in an axial plane.

The planes are axial to the head, where the atrium lies beside the pulvinar: from 40 to 80 % of the
height of the deep grey matter. In each, the largest disc that fits into the ventricle behind the
thalamus marks the atrium, and the width is that of the shortest chord through its centre that is
square, within 15°, to the long axis of what the plane shows of the ventricle behind the thalamus.
Of the planes in which the disc is nearly as large as it gets, that with the median width counts:
the widest one of many would make noise of the border into width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.labels import DEEP_GREY_MATTER, VENTRICLES
from fetalsynth.anatomy.measure.fields import (
    BORDER,
    Affine,
    Field,
    Line,
    Points,
    few_voxels_mm,
    smooth_field,
    voxels_mm,
)
from fetalsynth.anatomy.measure.frame import Frame

LEVELS = (0.4, 0.8)  # of the height of the deep grey matter, from its lower to its upper end
_REACH = 0.2  # of the head's length: how far behind the thalamus the atrium's middle may lie
_STEP_MM, _LEVEL_STEP_MM, _RAY_STEP_MM = 0.4, 0.5, 0.2
_SAME_LEVEL, _SAME_PLACE = 0.97, 0.97  # of the largest radius, what counts as nearly as large
_AVERAGED = 11  # neighbouring directions, 1° apart
_PARALLEL_MM = (-1.0, -0.5, 0.0, 0.5, 1.0)
_LEAN_DEG = 15  # the long axis is that of a curved region, the walls at the atrium may lean from it
_LEAST_ELONGATION = 1.2  # of the region, below which it has no long axis and any chord will do


def atrial_widths(
    labels: NDArray[np.uint8], affine: Affine, *, frame: Frame
) -> tuple[Line | None, Line | None]:
    """The lines of the left and of the right atrium, None where there is none to measure.

    ``labels`` (I, J, K) FeTA, ``affine`` (4, 4) mm, ``frame`` the axes of that head. Where both
    ventricles are one, the midsagittal plane is their wall.
    """
    ventricles, deep = labels == VENTRICLES, labels == DEEP_GREY_MATTER
    if not (ventricles.any() and deep.any()):
        return None, None
    field = smooth_field(ventricles, affine)
    fluid = frame.inside(voxels_mm(ventricles, affine))
    thalami = frame.inside(voxels_mm(deep, affine))
    head = frame.inside(few_voxels_mm(labels > 0, affine))[:, 1]
    reach = _REACH * float(head.max() - head.min())
    left, right = (
        _Side(field, frame, sign=sign, fluid=fluid).width(thalami, reach=reach) for sign in (-1, 1)
    )
    return left, right


class _Side:
    """The ventricle of one side; ``sign`` is −1 on the left, 1 on the right of the fetus."""

    def __init__(self, field: Field, frame: Frame, *, sign: int, fluid: Points) -> None:
        self.field, self.frame, self.sign = field, frame, sign
        out = float(np.abs(fluid[:, 0]).max()) + 2
        back, front = float(fluid[:, 1].min()) - 2, float(fluid[:, 1].max()) + 2
        self.x = np.arange(0, out, _STEP_MM)
        self.y = np.arange(back, front, _STEP_MM)

    def width(self, thalami: Points, *, reach: float) -> Line | None:
        here = thalami[self.sign * thalami[:, 0] > 0]
        if not len(here):
            return None
        low, high = np.percentile(here[:, 2], [1, 99])
        pulvinar = float(np.percentile(here[:, 1], 2))
        start, stop = (low + share * (high - low) for share in LEVELS)
        levels = np.linspace(start, stop, max(2, round((stop - start) / _LEVEL_STEP_MM) + 1))
        behind = (self.y < pulvinar) & (self.y > pulvinar - reach)
        discs = [self._disc(float(z), behind) for z in levels]
        largest = max(radius for radius, _, _ in discs)
        if largest <= 0:
            return None
        lines = [
            self._chord(centre, angles, radius=radius)
            for radius, centre, angles in discs
            if radius >= _SAME_LEVEL * largest
        ]
        return sorted(lines, key=lambda line: line.length_mm)[len(lines) // 2]

    def _disc(self, z: float, behind: NDArray[np.bool_]) -> tuple[float, Points, Points]:
        """(radius mm, centre in the head's frame, angles of chords) of the largest disc."""
        x, y = np.meshgrid(self.x, self.y, indexing="ij")
        plane = np.stack([self.sign * x, y, np.full_like(x, z)], axis=-1)
        inside = self.field.at(self.frame.world(plane)) > BORDER
        inside[0] = False
        radius = ndimage.distance_transform_edt(inside) * _STEP_MM
        radius[:, ~behind] = 0
        place = np.unravel_index(int(radius.argmax()), radius.shape)
        rear = inside & (y <= self.y[behind].max(initial=-np.inf))
        parts, _ = ndimage.label(rear)
        here = rear & (parts == parts[place])
        middle = plane[here & (radius >= _SAME_PLACE * radius[place])]
        centre = middle.mean(axis=0) if len(middle) else plane[place]
        return float(radius[place]), centre, _across(plane[here][:, :2])

    def _chord(self, centre: Points, angles: Points, *, radius: float) -> Line:
        """The shortest chord through ``centre`` in its axial plane, of those at ``angles``.

        Its ends are where the walls are on average over neighbouring directions and parallel
        chords: the single chord steps with the voxels, and the shortest of many is too short.
        """
        along = np.stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))], axis=-1)
        square = np.stack([-along[:, 1], along[:, 0], along[:, 2]], axis=-1)
        ahead, back = (
            ndimage.uniform_filter1d(
                np.mean(
                    [
                        self._to_wall(centre + shift * square, s * along, far=3 * radius + 3)
                        for shift in _PARALLEL_MM
                    ],
                    axis=0,
                ),
                _AVERAGED,
                mode="nearest",
            )
            for s in (1, -1)
        )
        shortest = int((ahead + back).argmin())
        ends = centre + np.outer([-back[shortest], ahead[shortest]], along[shortest])
        start, end = self.frame.world(ends)
        return Line(start=start, end=end)

    def _to_wall(self, starts: Points, along: Points, *, far: float) -> Points:
        """(n,) mm from (n, 3) points in directions (n, 3) to the wall or the midsagittal plane."""
        t = np.arange(0, far, _RAY_STEP_MM)
        points = starts[:, None] + t[:, None] * along[:, None]
        value = np.where(
            self.sign * points[..., 0] > 0, self.field.at(self.frame.world(points)), 0.0
        )
        outside = value <= BORDER
        outside[:, -1] = True
        first = np.maximum(outside.argmax(axis=1), 1)
        rows = np.arange(len(along))
        before, after = value[rows, first - 1], value[rows, first]
        part = (before - BORDER) / np.maximum(before - after, 1e-6)
        return np.asarray(t[first - 1] + _RAY_STEP_MM * np.clip(part, 0, 1))


def _across(region: Points) -> Points:
    """Angles, radians, of chords about square to the long axis of (n, 2) points."""
    every = np.radians(np.arange(-90, 90, 1.0))
    if len(region) < 3:
        return np.asarray(every)
    spread, axes = np.linalg.eigh(np.cov(region.T))
    if spread[1] < _LEAST_ELONGATION**2 * max(spread[0], 1e-6):
        return np.asarray(every)
    square = np.arctan2(axes[1, 0], axes[0, 0])
    return np.asarray(square + np.radians(np.arange(-_LEAN_DEG, _LEAN_DEG + 1.0)))
