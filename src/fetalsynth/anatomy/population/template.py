"""Averages of heads: the template near an age."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.population.model import Population
from fetalsynth.anatomy.population.registration import carried


def kernel_template(
    maps: Sequence[Tensor],
    weeks: NDArray[np.float64],
    *,
    at: float,
    bandwidth: float | None,
    without: int | None = None,
) -> Tensor:
    """Mean of the soft ``maps`` (C, I, J, K) of heads, those with ``weeks`` near ``at`` leading.

    Weights exp(−½ ((age − at) / bandwidth)²), all alike for None; head ``without`` is left out.
    """
    chosen = np.array([k != without for k in range(len(maps))])
    weights = np.zeros(len(maps))
    weights[chosen] = _weights(weeks[chosen], at=at, bandwidth=bandwidth)
    total = torch.zeros_like(maps[0])
    for weight, one in zip(weights / weights.sum(), maps, strict=True):
        if weight > 1e-4:
            total += float(weight) * one
    return total


def _weights(
    weeks: NDArray[np.float64], *, at: float, bandwidth: float | None
) -> NDArray[np.float64]:
    if bandwidth is None:
        return np.ones(len(weeks))
    # the smallest distance is taken off, so that a head far from all others still has neighbours
    squares = ((weeks - at) / bandwidth) ** 2
    return np.asarray(np.exp(-0.5 * (squares - squares.min())))


def template_at(
    population: Population, moved: Sequence[Tensor], *, weeks: float, bandwidth: float = 1.0
) -> tuple[Tensor, float]:
    """(soft maps (7, I, J, K) of the expected brain at ``weeks``, its scale).

    ``moved`` are the heads' maps on the template; their kernel average is carried by
    exp(−law(weeks)).
    """
    velocity, scale = population.shape(weeks=weeks)
    average = kernel_template(moved, population.weeks, at=weeks, bandwidth=bandwidth)
    return carried(average, -velocity.to(average.device), grid=population.grid), scale
