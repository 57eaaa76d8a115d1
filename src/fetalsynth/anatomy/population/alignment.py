"""Similarities refined: heads turned, shifted and scaled onto their common average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fetalsynth.anatomy.deformation.fields import sample, smooth
from fetalsynth.anatomy.population.registration import tissue_weights
from fetalsynth.anatomy.population.space import Grid, Head, Pose, soft_maps

_FACTOR = 4  # of the grid: 5 mm voxels tell a head's pose to parts of a degree
_STEPS = 60
_RATE = 0.02  # radians, logs of scale and, times the lever, mm
_LEVER_MM = 40.0


def align(
    heads: Sequence[Head], poses: Sequence[Pose], *, grid: Grid, rounds: int = 2
) -> list[Pose]:
    """Poses that bring every head nearest to the average of all; the mean log scale stays 0."""
    found = list(poses)
    for _ in range(rounds):
        maps = [_coarse(head, pose, grid) for head, pose in zip(heads, found, strict=True)]
        target = torch.stack(maps).mean(dim=0)
        found = [
            nearer_pose(m, target, pose=p, grid=grid.thin(_FACTOR))
            for m, p in zip(maps, found, strict=True)
        ]
        middle = math.exp(float(np.mean([math.log(pose.scale) for pose in found])))
        found = [replace(pose, scale=pose.scale / middle) for pose in found]
    return found


def _coarse(head: Head, pose: Pose, grid: Grid) -> Tensor:
    maps = soft_maps(head, pose, grid.thin(2))
    spacing = grid.thin(2).spacing
    blurred = smooth(maps, sigma_mm=spacing[0], spacing_mm=spacing)
    return blurred[:, ::2, ::2, ::2].contiguous()


def nearer_pose(
    maps: Tensor,
    target: Tensor,
    *,
    pose: Pose,
    grid: Grid,
    scaled: bool = True,
    steps: int = _STEPS,
    rate: float = _RATE,
) -> Pose:
    """The pose that carries ``maps``, made with ``pose``, nearest to ``target`` on ``grid``.

    Least squares over the tissues in ``steps`` of at first ``rate`` radians; ``scaled`` False keeps
    the size (rigid).
    """
    weights = tissue_weights(target)
    arms = torch.stack(
        torch.meshgrid(
            *[
                (torch.arange(n, dtype=torch.float32) - (n - 1) / 2) * grid.spacing_mm
                for n in grid.shape
            ],
            indexing="ij",
        )
    )
    change = torch.zeros(7, requires_grad=True)
    adam = torch.optim.Adam([change], lr=rate)
    for step in range(steps):
        adam.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
        matrix, shift = _similarity(change, scaled=scaled)
        there = torch.einsum("ab,bijk->aijk", matrix, arms) + shift.view(3, 1, 1, 1)
        apart = sample(maps, there - arms, spacing_mm=grid.spacing) - target
        loss = (weights * apart.square().mean(dim=(1, 2, 3))).sum()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    matrix, shift = _similarity(change.detach(), scaled=scaled)
    return _turned(pose, matrix, shift)


def _similarity(change: Tensor, *, scaled: bool) -> tuple[Tensor, Tensor]:
    """(3, 3) matrix and (3,) shift in mm of a rotation vector, a shift and a log scale."""
    x, y, z = change[:3]
    nought = torch.zeros_like(x)
    turn = torch.stack([nought, -z, y, z, nought, -x, -y, x, nought]).reshape(3, 3)
    matrix = torch.linalg.matrix_exp(turn)
    return matrix * change[6].exp() if scaled else matrix, _LEVER_MM * change[3:6]


def _turned(pose: Pose, matrix: Tensor, shift: Tensor) -> Pose:
    whole = pose.matrix @ np.block(
        [[matrix.double().numpy(), shift.double().numpy()[:, None]], [np.zeros((1, 3)), 1]]
    )
    scale = float(np.cbrt(np.linalg.det(whole[:3, :3])))
    return Pose(centre=whole[:3, 3], axes=whole[:3, :3].T / scale, scale=scale)
