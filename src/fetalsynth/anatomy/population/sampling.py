"""New brains: a real head near in age, carried to a drawn shape of the wanted age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.deformation import compose, exponentiate, smallest_jacobian
from fetalsynth.anatomy.measure.fields import Affine
from fetalsynth.anatomy.population.carrying import Way, upright, way_from
from fetalsynth.anatomy.population.model import Population
from fetalsynth.anatomy.population.space import Head

DONOR_WEEKS = 3.0  # further away in age, sulci are there that should not be, or lacking


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What a new brain is made from: its age, the number of its donor, the modes' coefficients."""

    weeks: float
    donor: int
    coefficients: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class NewBrain:
    """(I, J, K) FeTA ``labels`` in the head's own axes (RAS+) with an ``affine`` in mm.

    ``min_jacobian`` and ``folded_voxels`` are those of the map from the new head to its donor,
    their sizes aside. ``way`` carries the donor's image along.
    """

    labels: NDArray[np.uint8]
    affine: Affine
    min_jacobian: float
    folded_voxels: int
    way: Way


def donors_near(population: Population, *, weeks: float, within: float = DONOR_WEEKS) -> list[int]:
    """Numbers of the heads at most ``within`` weeks from ``weeks``."""
    apart = np.abs(population.weeks - weeks)
    return [int(k) for k in np.flatnonzero(apart <= within + 1e-9)]


def sample_params(
    rng: np.random.Generator,
    population: Population,
    *,
    weeks: float,
    variability: float = 1.0,
    within: float = DONOR_WEEKS,
) -> Draw:
    """Draw a donor and coefficients c_k ~ N(0, variability · λ_k).

    A donor's chance is in proportion to ``within`` + 1 less the weeks that it is away.

    Raises ValueError where no donor is near in age.
    """
    near = donors_near(population, weeks=weeks, within=within)
    if not near:
        raise ValueError(f"no donor within {within:g} weeks of {weeks:g} weeks")
    chances = within + 1 - np.abs(population.weeks[near] - weeks)
    donor = near[int(rng.choice(len(near), p=chances / chances.sum()))]
    spread = np.sqrt(variability * population.modes.variances)
    coefficients = rng.standard_normal(len(spread)) * spread
    return Draw(weeks=weeks, donor=donor, coefficients=tuple(float(c) for c in coefficients))


def apply(
    population: Population, draw: Draw, donor: Head, *, device: torch.device | None = None
) -> NewBrain:
    """The new brain: donor ∘ exp(v_donor) ∘ exp(−v*), v* = law(age) + Σ c_k e_k.

    The first factor carries the donor onto the template, the second the template to the new shape;
    ``donor`` is the head whose number the draw has, its voxels set the new ones' size.
    """
    velocity, scale = population.shape(weeks=draw.weeks, coefficients=draw.coefficients)
    grid = population.velocity_grid
    own = torch.from_numpy(population.velocities[draw.donor].copy()).to(device)
    displacement = compose(
        exponentiate(own, spacing_mm=grid.spacing),
        exponentiate(-velocity.to(device), spacing_mm=grid.spacing),
        spacing_mm=grid.spacing,
    )
    smallest, folded = smallest_jacobian(displacement, spacing_mm=grid.spacing)
    voxel = float(np.cbrt(abs(np.linalg.det(donor.affine[:3, :3]))))
    target = upright(population.grid, scale=scale, spacing_mm=voxel)
    way = way_from(
        donor.affine, population.poses[draw.donor], displacement, grid=grid, target=target
    )
    return NewBrain(
        labels=way.labels(donor.labels),
        affine=target.affine,
        min_jacobian=smallest,
        folded_voxels=folded,
        way=way,
    )
