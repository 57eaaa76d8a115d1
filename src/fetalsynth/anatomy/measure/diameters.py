"""Head diameters and circumference in the thalamic plane, and the transcerebellar diameter.

A label map ends at the inner border of the skull, so that all of these run from inner to inner
border. Ultrasound standards take the outer border of the skull (or outer to inner for the
biparietal diameter): the measures here are smaller by one or two thicknesses of the skull, and
where the external CSF is not labelled, they are those of the brain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.labels import CEREBELLUM, DEEP_GREY_MATTER
from fetalsynth.anatomy.measure.fields import (
    BORDER,
    Affine,
    Line,
    Points,
    border_points,
    few_voxels_mm,
    main_parts,
    smooth_field,
    voxels_mm,
)
from fetalsynth.anatomy.measure.frame import Frame

_STEP_MM = 0.5


@dataclass(frozen=True, kw_only=True)
class HeadSection:
    """The axial section of the head at the thalami.

    ``outline`` (n, 3) world mm goes around its convex hull once; ``circumference_mm`` is the
    hull's. ``biparietal`` is the longest line across it, square to the midline;
    ``occipitofrontal`` runs along the midline.
    """

    outline: Points
    circumference_mm: float
    biparietal: Line
    occipitofrontal: Line


def head_section(labels: NDArray[np.uint8], affine: Affine, *, frame: Frame) -> HeadSection:
    """Measure the axial section through the middle of the deep grey matter.

    ``labels`` (I, J, K) FeTA, ``affine`` (4, 4) mm. Without deep grey matter, the section goes
    through the middle of all labels.
    """
    deep = labels == DEEP_GREY_MATTER
    level = float(frame.inside(voxels_mm(deep if deep.any() else labels > 0, affine))[:, 2].mean())
    field = smooth_field(labels > 0, affine)
    head = frame.inside(few_voxels_mm(labels > 0, affine))
    lower, upper = head.min(axis=0) - 4, head.max(axis=0) + 4
    axes = [np.arange(lower[k], upper[k], _STEP_MM) for k in range(2)]
    x, y = np.meshgrid(*axes, indexing="ij")
    values = field.at(frame.world(np.stack([x, y, np.full_like(x, level)], axis=-1)))
    polygon = _hull(_border_2d(values) * _STEP_MM + lower[:2])
    around = np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1)

    def lifted(points: Points) -> Points:
        return frame.world(np.column_stack([points, np.full(len(points), level)]))

    widest = np.linspace(polygon[:, 1].min(), polygon[:, 1].max(), 801)[1:-1]
    across = lifted(_longest(polygon, axis=0, at=widest))
    along = lifted(_longest(polygon, axis=1, at=np.zeros(1)))
    return HeadSection(
        outline=lifted(polygon),
        circumference_mm=float(around.sum()),
        biparietal=Line(start=across[0], end=across[1]),
        occipitofrontal=Line(start=along[0], end=along[1]),
    )


def _border_2d(values: NDArray[np.float32]) -> Points:
    """(n, 2) grid points where the largest part of a field passes ``BORDER``."""
    parts, _ = ndimage.label(values > BORDER)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    other = (parts > 0) & (parts != sizes.argmax())
    values = np.where(other, 0.0, values)
    found = []
    for turned, order in ((values, (0, 1)), (values.T, (1, 0))):
        one, two = turned[:-1], turned[1:]
        crossed = (one > BORDER) != (two > BORDER)
        at = np.argwhere(crossed).astype(np.float64)
        at[:, 0] += (BORDER - one[crossed]) / (two[crossed] - one[crossed])
        found.append(at[:, order])
    return np.concatenate(found)


def _hull(points: Points) -> Points:
    """Corners of the convex hull of (n, 2) points, in order; ValueError where they span no area."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except (QhullError, ValueError) as error:
        raise ValueError("what is labelled is too small to be a head") from error


def _longest(polygon: Points, *, axis: int, at: Points) -> Points:
    """(2, 2) ends of the longest chord of a convex polygon parallel to ``axis``.

    ``at`` (n,) are the coordinates along the other axis to try, inside the polygon.
    """
    other = 1 - axis
    start = polygon
    step = np.roll(polygon, -1, axis=0) - start
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (at[:, None] - start[:, other]) / step[:, other]
    meets = (share >= 0) & (share <= 1)
    place = start[:, axis] + np.where(meets, share, 0) * step[:, axis]
    low = np.where(meets, place, np.inf).min(axis=1)
    high = np.where(meets, place, -np.inf).max(axis=1)
    best = int((high - low).argmax())
    ends = np.empty((2, 2))
    ends[:, axis], ends[:, other] = (low[best], high[best]), at[best]
    return ends


def transcerebellar(labels: NDArray[np.uint8], affine: Affine, *, frame: Frame) -> Line | None:
    """The greatest extent of the cerebellum square to the midsagittal plane, None without one.

    Parts smaller than a tenth of the largest do not count.
    """
    cerebellum = labels == CEREBELLUM
    if not cerebellum.any():
        return None
    border = border_points(smooth_field(main_parts(cerebellum), affine))
    if not len(border):
        return None
    border = frame.inside(border)
    ends = border[[border[:, 0].argmin(), border[:, 0].argmax()]]
    ends[:, 1:] = ends[:, 1:].mean(axis=0)
    start, end = frame.world(ends)
    return Line(start=start, end=end)
