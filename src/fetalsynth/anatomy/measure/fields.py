"""Borders of labelled regions between the voxels: smooth fields of a region, sampled anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Points = NDArray[np.float64]
Affine = NDArray[np.float64]

BORDER = 0.5
# Enough to take the steps out of a voxel border; a ball of 5 voxels' radius shrinks by 0.05 voxel.
_SMOOTHING_VOXELS = 0.5
_MARGIN = 3


@dataclass(frozen=True, kw_only=True)
class Line:
    """A measured line between two points (3,), world mm."""

    start: Points
    end: Points

    @property
    def length_mm(self) -> float:
        """Its length."""
        return float(np.linalg.norm(self.end - self.start))


@dataclass(frozen=True, kw_only=True)
class Field:
    """``values`` (I, J, K) from 0 outside a region to 1 inside, its border at ``BORDER``."""

    values: NDArray[np.float32]
    affine: Affine

    def at(self, points_mm: Points) -> NDArray[np.float32]:
        """Values at (…, 3) world mm, linear between voxels, 0 outside the volume."""
        inverse = np.linalg.inv(self.affine)
        voxels = points_mm.reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
        found = ndimage.map_coordinates(self.values, voxels.T, order=1, mode="constant")
        return np.asarray(found.reshape(points_mm.shape[:-1]), np.float32)


def crop(labels: NDArray[np.uint8], affine: Affine) -> tuple[NDArray[np.uint8], Affine]:
    """The box of ``labels`` > 0 with one voxel of background around, and its affine.

    Raises ValueError where all is background.
    """
    return _cropped(labels, labels > 0, affine, margin=1)


def smooth_field(mask: NDArray[np.bool_], affine: Affine) -> Field:
    """The region ``mask`` (I, J, K) with its border between the voxels.

    Raises ValueError where the region is empty.
    """
    box, own = _cropped(mask, mask, affine, margin=_MARGIN)
    return Field(values=smoothed(box), affine=own)


def smoothed(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(I, J, K) values of a region's smooth field on the region's own voxels."""
    values = mask.astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(values, _SMOOTHING_VOXELS, mode="nearest"))


def _cropped(
    array: NDArray[Any], inside: NDArray[np.bool_], affine: Affine, *, margin: int
) -> tuple[NDArray[Any], Affine]:
    spans = []
    for axis in range(3):
        across = tuple(other for other in range(3) if other != axis)
        spans.append(np.flatnonzero(inside.any(axis=across)))
    if not len(spans[0]):
        raise ValueError("the region is empty")
    box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
    own = affine.copy()
    own[:3, 3] += affine[:3, :3] @ (np.array([s.start for s in box]) - margin)
    return np.pad(array[box], margin), own


def voxels_mm(mask: NDArray[np.bool_], affine: Affine) -> Points:
    """(n, 3) world mm of the centres of the region's voxels."""
    return np.asarray(np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3])


def few_voxels_mm(mask: NDArray[np.bool_], affine: Affine) -> Points:
    """(n, 3) world mm of every seventh voxel of the region: enough for where it begins and ends."""
    flat = np.flatnonzero(mask)
    voxels = np.stack(np.unravel_index(flat[:: 7 if len(flat) > 700 else 1], mask.shape), axis=-1)
    return np.asarray(voxels @ affine[:3, :3].T + affine[:3, 3])


def border_points(
    field: Field, *, within: NDArray[np.bool_] | None = None, at: NDArray[np.bool_] | None = None
) -> Points:
    """(n, 3) world mm where the field passes ``BORDER`` on the way from a voxel to its neighbour.

    ``within`` (I, J, K) keeps the ways that have both ends in it, ``at`` those with one or both.
    """
    found = []
    for axis in range(3):
        one, other = _neighbours(field.values, axis)
        crossed = (one > BORDER) != (other > BORDER)
        if within is not None:
            crossed &= np.logical_and(*_neighbours(within, axis))
        if at is not None:
            crossed &= np.logical_or(*_neighbours(at, axis))
        start = np.argwhere(crossed).astype(np.float64)
        start[:, axis] += (BORDER - one[crossed]) / (other[crossed] - one[crossed])
        found.append(start)
    voxels = np.concatenate(found)
    return np.asarray(voxels @ field.affine[:3, :3].T + field.affine[:3, 3])


def _neighbours(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Every voxel but the last along ``axis``, and the one after it; views."""
    swapped = np.moveaxis(array, axis, 0)
    return np.moveaxis(swapped[:-1], 0, axis), np.moveaxis(swapped[1:], 0, axis)


def main_parts(mask: NDArray[np.bool_], *, share: float = 0.1) -> NDArray[np.bool_]:
    """The region's components (joined by faces) that are at least ``share`` of the largest."""
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(1, share * sizes.max()))[parts] & mask)
