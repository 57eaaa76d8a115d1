"""Signs of a broken label map: loose parts, tissues that touch and should not, slices that jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.labels import BACKGROUND
from fetalsynth.anatomy.measure.fields import Affine

PART_MM3 = 20.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Components of one tissue, joined by faces.

    ``count`` of at least ``PART_MM3``; ``loose`` is the share of the tissue outside the largest
    two, 0 for a tissue that is one or two bodies.
    """

    count: int
    loose: float


def parts_of(mask: NDArray[np.bool_], affine: Affine) -> Parts:
    """Components of the region ``mask`` (I, J, K); none of it is no part and nothing loose."""
    labelled, found = ndimage.label(mask)
    if not found:
        return Parts(count=0, loose=0.0)
    sizes = np.sort(np.bincount(labelled.ravel())[1:])[::-1]
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    return Parts(
        count=int((sizes * voxel >= PART_MM3).sum()),
        loose=1 - float(sizes[:2].sum()) / float(sizes.sum()),
    )


def contact_table(labels: NDArray[np.uint8], affine: Affine, *, kinds: int) -> NDArray[np.float64]:
    """(kinds, kinds) shares of the surface of the row's tissue that touches the column's.

    Faces between voxels count with their area in mm²; rows sum to 1, or are 0 for a tissue that is
    not there. The edge of the volume counts as background.
    """
    labels = np.pad(labels, 1)
    steps = affine[:3, :3]
    areas = np.zeros((kinds, kinds))
    for axis in range(3):
        face = np.linalg.norm(np.cross(steps[:, (axis + 1) % 3], steps[:, (axis + 2) % 3]))
        swapped = np.moveaxis(labels, axis, 0)
        one, other = swapped[:-1], swapped[1:]
        differ = one != other
        pairs = one[differ].astype(np.int64) * kinds + other[differ]
        areas += face * np.bincount(pairs, minlength=kinds**2).reshape(kinds, kinds)
    areas += areas.T
    total = areas.sum(axis=1, keepdims=True)
    return np.asarray(areas / np.where(total > 0, total, 1))


@dataclass(frozen=True, kw_only=True)
class Smoothness:
    """How labels change from slice to slice, the worst of the three axes.

    ``growth`` compares slices two apart with neighbours: borders that run on change twice as many
    voxels (2), slices that jump independently as many (1). ``jump`` is the worst single slice:
    the changes to its two neighbours beyond those between the neighbours, relative to its area; 0
    for borders that run on, 2 for an empty slice.
    """

    growth: float
    jump: float


def smoothness_of(labels: NDArray[np.uint8]) -> Smoothness:
    """Of (I, J, K) labels; an axis with fewer than three slices says nothing."""
    growths, jumps = [2.0], [0.0]
    for axis in range(3):
        stack = np.moveaxis(labels, axis, 0)
        if len(stack) < 3:
            continue
        near = (stack[1:] != stack[:-1]).sum(axis=(1, 2)).astype(np.float64)
        far = (stack[2:] != stack[:-2]).sum(axis=(1, 2)).astype(np.float64)
        both = near[1:] + near[:-1]
        area = (stack > BACKGROUND).sum(axis=(1, 2)).astype(np.float64)
        around = np.maximum.reduce([area[:-2], area[1:-1], area[2:]])
        if both.sum() == 0:
            continue
        growths.append(2 * float(far.sum() / both.sum()))
        jumps.append(float(((both - far) / np.maximum(around, 0.2 * area.max())).max()))
    return Smoothness(growth=min(growths), jump=max(jumps))
