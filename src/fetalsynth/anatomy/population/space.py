"""The mean frame: where each head lies in its scan, and label maps brought into one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from fetalsynth.anatomy.deformation.fields import sample
from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.measure.fields import Affine, crop
from fetalsynth.anatomy.measure.frame import find_frame

Points = NDArray[np.float64]

_MARGIN = 1.15  # of the largest head, on either side
_BLUR = 0.5  # of a voxel of the grid: standard deviation that keeps it from aliasing


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a head lies: world = centre + scale · axesᵀ · y with y in the mean frame, mm.

    ``axes`` (3, 3) has the head's right, anterior and superior as rows, ``centre`` (3,) is in mm.
    """

    centre: Points
    axes: Points
    scale: float

    @property
    def matrix(self) -> Affine:
        """(4, 4) from the mean frame to the world."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * self.axes.T
        matrix[:3, 3] = self.centre
        return matrix


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Voxels of the mean frame, its origin in the middle; ``shape`` is 4 m + 1 along each axis.

    Grids thinned by 2 and 4 have the same corner voxels.
    """

    shape: tuple[int, int, int]
    spacing_mm: float

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The same along every axis."""
        return (self.spacing_mm,) * 3

    @property
    def affine(self) -> Affine:
        """(4, 4) from voxels to mm of the mean frame."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = -0.5 * self.spacing_mm * (np.array(self.shape) - 1)
        return affine

    def thin(self, factor: int) -> Grid:
        """Every ``factor``-th voxel, 1, 2 or 4."""
        i, j, k = ((n - 1) // factor + 1 for n in self.shape)
        return Grid(shape=(i, j, k), spacing_mm=self.spacing_mm * factor)


@dataclass(frozen=True, kw_only=True)
class Head:
    """(I, J, K) FeTA ``labels``, their (4, 4) ``affine`` in mm and the age in weeks."""

    labels: NDArray[np.uint8]
    affine: Affine
    weeks: float


def own_poses(heads: Sequence[Head]) -> list[Pose]:
    """Poses from each head's own axes, centre of mass and volume; the mean log scale is 0.

    Raises ValueError where a label map is all background.
    """
    found = [_own_pose(head) for head in heads]
    middle = math.exp(float(np.mean([math.log(pose.scale) for pose in found])))
    return [Pose(centre=pose.centre, axes=pose.axes, scale=pose.scale / middle) for pose in found]


def _own_pose(head: Head) -> Pose:
    labels, affine = crop(head.labels, head.affine)
    frame = find_frame(labels, affine)
    centre = affine[:3, :3] @ np.array(ndimage.center_of_mass(labels > 0)) + affine[:3, 3]
    # on the midsagittal plane, so that the two sides of all heads lie on each other
    inside = frame.inside(centre) * [0, 1, 1]
    volume = float((labels > 0).sum()) * abs(float(np.linalg.det(affine[:3, :3])))
    return Pose(centre=frame.world(inside), axes=frame.axes, scale=volume ** (1 / 3))


def grid_around(heads: Sequence[Head], poses: Sequence[Pose], *, spacing_mm: float) -> Grid:
    """The smallest grid that holds every head in the mean frame with a margin."""
    reach = np.zeros(3)
    for head, pose in zip(heads, poses, strict=True):
        labels, affine = crop(head.labels, head.affine)
        corners = np.argwhere(labels[::3, ::3, ::3] > 0) * 3.0
        to_mean = np.linalg.inv(pose.matrix) @ affine
        reach = np.maximum(reach, np.abs(corners @ to_mean[:3, :3].T + to_mean[:3, 3]).max(axis=0))
    i, j, k = (4 * math.ceil(_MARGIN * side / (2 * spacing_mm)) + 1 for side in reach)
    return Grid(shape=(i, j, k), spacing_mm=spacing_mm)


def soft_maps(head: Head, pose: Pose, grid: Grid) -> Tensor:
    """(7, I, J, K) shares of every tissue on ``grid``, each smoothed against aliasing, from 0 to 1.

    Background is what is left to 1.
    """
    labels, affine = crop(head.labels, head.affine)
    step = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = _BLUR * grid.spacing_mm * pose.scale / step
    to_own = np.linalg.inv(affine) @ pose.matrix @ grid.affine
    steps = steps_to(to_own, grid.shape)
    maps = []
    for label in range(1, len(FETA)):
        blurred = ndimage.gaussian_filter((labels == label).astype(np.float32), sigma, truncate=3)
        maps.append(sample(torch.from_numpy(blurred)[None], steps, spacing_mm=(1.0,) * 3)[0])
    return torch.stack(maps)


def steps_to(
    affine: Affine, shape: tuple[int, int, int], *, device: torch.device | None = None
) -> Tensor:
    """(3, I, J, K) voxels: ``affine`` · index − index, what ``sample`` needs to go there."""
    matrix = torch.from_numpy((affine - np.eye(4)).astype(np.float32)).to(device)
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in shape]
    parts = []
    for row in matrix[:3]:
        total = row[3] + row[0] * axes[0][:, None, None]
        parts.append(total + row[1] * axes[1][:, None] + row[2] * axes[2])
    return torch.stack(parts)
