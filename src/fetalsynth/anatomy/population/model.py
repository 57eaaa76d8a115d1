"""The population model: poses and velocities of real heads, their law of age, their modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.population.registration import VELOCITY_FACTOR
from fetalsynth.anatomy.population.regression import AgeLaw, Modes, fit_age_law, fit_modes
from fetalsynth.anatomy.population.space import Grid, Pose


@dataclass(frozen=True)
class Population:
    """n real heads in one frame: ``velocities`` (n, 3, I, J, K) carry each onto the template.

    head ∘ exp(velocity) ≈ template, on the thinned ``grid``; ``weeks`` (n,) are the ages.
    """

    grid: Grid
    weeks: NDArray[np.float64]
    poses: tuple[Pose, ...]
    velocities: NDArray[np.float32]

    @property
    def velocity_grid(self) -> Grid:
        """The grid that velocities live on."""
        return self.grid.thin(VELOCITY_FACTOR)

    @cached_property
    def law(self) -> AgeLaw:
        """Shape by age."""
        return fit_age_law(self._shapes, self.weeks)

    @cached_property
    def modes(self) -> Modes:
        """How heads of one age differ."""
        return fit_modes(self._shapes, self.weeks, law=self.law)

    @cached_property
    def _shapes(self) -> NDArray[np.float32]:
        sizes = np.array([[math.log(pose.scale) * self._lever] for pose in self.poses])
        flat = self.velocities.reshape(len(self.weeks), -1)
        return np.concatenate([flat, sizes.astype(np.float32)], axis=1)

    @cached_property
    def _lever(self) -> float:
        """Norm of the velocity y of a head that grows e-fold: size weighs as such a field does."""
        grid = self.velocity_grid
        axes = [np.linspace(-1, 1, n) for n in grid.shape]
        half = [grid.spacing_mm * (n - 1) / 2 for n in grid.shape]
        arms = np.stack(np.meshgrid(*axes, indexing="ij"))
        inside = (arms**2).sum(axis=0) < 0.75
        squares = sum((arm * side) ** 2 for arm, side in zip(arms, half, strict=True))
        return float(np.sqrt(squares[inside].sum()))

    def shape(self, *, weeks: float, coefficients: Sequence[float] = ()) -> tuple[Tensor, float]:
        """(velocity (3, …), scale) expected at ``weeks``, plus Σ coefficients · modes."""
        vector = self.law.at(weeks)
        if len(coefficients):
            c = np.asarray(coefficients, np.float32)
            vector = vector + c @ self.modes.directions[: len(c)]
        velocity = vector[:-1].reshape(self.velocities.shape[1:])
        return torch.from_numpy(velocity.copy()), math.exp(float(vector[-1]) / self._lever)
