"""A head carried into another shape, in one interpolation from its own voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation import warp_image, warp_labels
from fetalsynth.anatomy.deformation.fields import sample
from fetalsynth.anatomy.measure.fields import Affine
from fetalsynth.anatomy.population.space import Grid, Pose, steps_to

_VOXELS = (1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Voxels to be filled, ``shape`` and (4, 4) ``affine``, and the pose of the new head there."""

    shape: tuple[int, int, int]
    affine: Affine
    pose: Pose


@dataclass(frozen=True, kw_only=True)
class Way:
    """Where every voxel of the target comes from: ``steps`` (3, …), in voxels of the source.

    The source's voxel is the target's index + ``steps``.
    """

    steps: Tensor

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The source's labels on the target's voxels, by the largest share."""
        return warp_labels(labels, self.steps, spacing_mm=_VOXELS)

    def image(self, image: NDArray[np.generic]) -> NDArray[np.float32]:
        """The source's image on the target's voxels, linear; 0 beyond it."""
        return warp_image(image, self.steps, spacing_mm=_VOXELS)


def way_from(
    affine: Affine, pose: Pose, displacement: Tensor, *, grid: Grid, target: Target
) -> Way:
    """From ``target`` through ``displacement`` (3, …), mm on ``grid``, to a head's own voxels.

    The head has ``pose`` in a volume with ``affine``. Beyond the grid the displacement goes on as
    at its border.
    """
    device = displacement.device
    to_mean = np.linalg.inv(target.pose.matrix) @ target.affine
    to_grid = np.linalg.inv(grid.affine) @ to_mean
    to_own = np.linalg.inv(affine) @ pose.matrix
    there = steps_to(to_grid, target.shape, device=device)
    moved = sample(displacement, there, spacing_mm=_VOXELS, padding="border")
    matrix = torch.from_numpy(to_own[:3, :3].astype(np.float32)).to(device)
    steps = steps_to(to_own @ to_mean, target.shape, device=device)
    return Way(steps=steps + torch.einsum("ab,bijk->aijk", matrix, moved))


def upright(grid: Grid, *, scale: float, spacing_mm: float) -> Target:
    """Voxels in the head's own axes (RAS+), its centre at the origin, for a head of ``scale``."""
    reach = [scale * grid.spacing_mm * (n - 1) for n in grid.shape]
    i, j, k = (int(np.ceil(side / spacing_mm)) + 1 for side in reach)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = [-spacing_mm * (n - 1) / 2 for n in (i, j, k)]
    pose = Pose(centre=np.zeros(3), axes=np.eye(3), scale=scale)
    return Target(shape=(i, j, k), affine=affine, pose=pose)
