"""Cortical thickness: from the border of the white matter to the outer border of the cortex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import BACKGROUND, EXTERNAL_CSF, GREY_MATTER, WHITE_MATTER
from fetalsynth.anatomy.measure.fields import (
    Affine,
    Field,
    Points,
    border_points,
    crop,
    smoothed,
)

_LEAST_POINTS = 100
_MOST_POINTS = 30_000  # to measure from, spread over the cortex


@dataclass(frozen=True, kw_only=True)
class CorticalThickness:
    """Median and quartiles over the cortex, mm."""

    median_mm: float
    lower_quartile_mm: float
    upper_quartile_mm: float


def cortical_thickness(labels: NDArray[np.uint8], affine: Affine) -> CorticalThickness | None:
    """Thickness of the grey matter of (I, J, K) FeTA ``labels``; None where there is no cortex.

    Both borders are placed between the voxels; from each of their points the distance to the
    nearest point of the other is taken, and both halves count alike (the two-way distance of
    Fischl & Dale, PNAS 2000;97:11050, without its surfaces). The median holds against the places
    where the two banks of a sulcus touch, which are too thick, and against stray labels.
    """
    cortex = labels == GREY_MATTER
    if not cortex.any():
        return None
    labels, affine = crop(labels, affine)
    outside = np.isin(labels, (BACKGROUND, EXTERNAL_CSF))
    cortex, white = labels == GREY_MATTER, labels == WHITE_MATTER
    inside = Field(values=smoothed(~(outside | cortex)), affine=affine)
    whole = Field(values=smoothed(~outside), affine=affine)
    inner = border_points(inside, within=cortex | white, at=cortex)
    outer = border_points(whole, within=cortex | outside, at=cortex)
    if min(len(inner), len(outer)) < _LEAST_POINTS:
        return None
    both = np.concatenate([_nearest(inner, outer), _nearest(outer, inner)])
    lower, middle, upper = np.percentile(both, [25, 50, 75])
    return CorticalThickness(
        median_mm=float(middle), lower_quartile_mm=float(lower), upper_quartile_mm=float(upper)
    )


def _nearest(points: Points, others: Points) -> NDArray[np.float64]:
    from scipy.spatial import cKDTree

    step = max(1, len(points) // _MOST_POINTS)
    return np.asarray(cKDTree(others).query(points[::step])[0])
