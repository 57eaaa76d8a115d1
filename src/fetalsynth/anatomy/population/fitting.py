"""The model fitted to label maps: alignment, then registration to a template that sharpens."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation import exponentiate, smallest_jacobian
from fetalsynth.anatomy.population.alignment import align
from fetalsynth.anatomy.population.model import Population
from fetalsynth.anatomy.population.registration import (
    COARSE,
    FINE,
    Settings,
    carried,
    no_velocity,
    register,
)
from fetalsynth.anatomy.population.space import Grid, Head, grid_around, own_poses, soft_maps
from fetalsynth.anatomy.population.template import kernel_template
from fetalsynth.anatomy.validity_novelty import mean_dice

SPACING_MM = 1.25
Memory = MutableMapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How one head was registered: its ``size`` against the mean, folds, agreement with others.

    ``dice`` is the mean over the tissues of the head on the template with the average there of
    the others near it in age.
    """

    size: float
    min_jacobian: float
    folded_voxels: int
    dice: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """One pass over all heads: each goes to the average of the others near it in age.

    ``bandwidth_weeks`` is the kernel's standard deviation, None for all ages alike.
    """

    bandwidth_weeks: float | None
    settings: Settings


ROUNDS = (
    Round(bandwidth_weeks=None, settings=Settings(levels=COARSE)),
    Round(bandwidth_weeks=3.0, settings=Settings(levels=(FINE[0],))),
    Round(bandwidth_weeks=1.5, settings=Settings(levels=FINE)),
)


def fit(
    heads: Sequence[Head],
    *,
    spacing_mm: float = SPACING_MM,
    rounds: Sequence[Round] = ROUNDS,
    memory: Memory,
    device: torch.device | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Population:
    """Align and register ``heads``; ``advance`` is called after each head of each round.

    ``memory`` keeps every velocity by name: those that it has already are not computed again, so
    that an interrupted fit goes on. Raises ValueError for fewer than two heads.
    """
    if len(heads) < 2:
        raise ValueError("a population needs at least two heads")
    rough = own_poses(heads)
    grid = grid_around(heads, rough, spacing_mm=spacing_mm)
    poses = align(heads, rough, grid=grid)
    maps = [soft_maps(head, pose, grid).to(device) for head, pose in zip(heads, poses, strict=True)]
    weeks = np.array([head.weeks for head in heads])
    velocities = [no_velocity(grid, device=device) for _ in heads]
    for number, one in enumerate(rounds):
        velocities = _one_round(
            one, number, maps, weeks, velocities, grid=grid, memory=memory, advance=advance
        )
        if number < len(rounds) - 1:
            # the template lies where all heads meet half-way: their velocities have no mean
            mean = torch.stack(velocities).mean(dim=0)
            velocities = [velocity - mean for velocity in velocities]
    return Population(
        grid=grid,
        weeks=weeks,
        poses=tuple(poses),
        velocities=torch.stack(velocities).cpu().numpy(),
    )


def _one_round(
    one: Round,
    number: int,
    maps: Sequence[Tensor],
    weeks: NDArray[np.float64],
    velocities: Sequence[Tensor],
    *,
    grid: Grid,
    memory: Memory,
    advance: Callable[[], None],
) -> list[Tensor]:
    moved: list[Tensor] = []
    found = []
    for k, own in enumerate(maps):
        name = f"round{number}-{k:04d}"
        if name not in memory:
            moved = moved or [
                carried(*pair, grid=grid) for pair in zip(maps, velocities, strict=True)
            ]
            target = kernel_template(
                moved, weeks, at=float(weeks[k]), bandwidth=one.bandwidth_weeks, without=k
            )
            memory[name] = register(
                target, own, grid=grid, settings=one.settings, start=velocities[k]
            ).cpu()
        found.append(memory[name].to(own.device))
        advance()
    return found


def judge(population: Population, heads: Sequence[Head]) -> list[Fit]:
    """How well each head of the model was registered, in the order of ``heads``."""
    grid, small = population.grid, population.velocity_grid
    velocities = [torch.from_numpy(v) for v in population.velocities]
    moved = [
        carried(soft_maps(head, pose, grid), v, grid=grid)
        for head, pose, v in zip(heads, population.poses, velocities, strict=True)
    ]
    found = []
    for k, velocity in enumerate(velocities):
        age = float(population.weeks[k])
        others = kernel_template(moved, population.weeks, at=age, bandwidth=1.5, without=k)
        displacement = exponentiate(velocity, spacing_mm=small.spacing)
        smallest, folded = smallest_jacobian(displacement, spacing_mm=small.spacing)
        found.append(
            Fit(
                size=population.poses[k].scale,
                min_jacobian=smallest,
                folded_voxels=folded,
                dice=mean_dice(hardened(moved[k]), hardened(others)),
            )
        )
    return found


def hardened(maps: Tensor) -> NDArray[np.uint8]:
    """(I, J, K) the tissue with the largest share in soft ``maps`` (7, I, J, K), or background."""
    rest = 1 - maps.sum(dim=0, keepdim=True)
    return torch.cat([rest, maps]).argmax(dim=0).to(torch.uint8).cpu().numpy()
