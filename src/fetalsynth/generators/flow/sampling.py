"""From noise to images along the learned path, in few steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from fetalsynth.generators.flow.path import Point, velocity

Denoise = Callable[[Point], Tensor]
Sampler = Literal["euler", "multistep", "heun"]

# Images begin and end at noise levels that the network seldom trained at: more steps at both ends.
SPREAD = 1.3


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to go from noise to images: see the settings of the same names.

    Raises ValueError for an unknown sampler and for fewer steps than one.
    """

    sampler: Sampler
    steps: int
    guidance: float = 1.0

    def __post_init__(self) -> None:
        if self.sampler not in get_args(Sampler):
            raise ValueError(
                f"sampler {self.sampler!r}: take one of {', '.join(get_args(Sampler))}"
            )
        if self.steps < 1:
            raise ValueError(f"steps {self.steps}: must be 1 or more")


def schedule(*, steps: int, mean: float, sd: float) -> Tensor:
    """Times (steps + 1,) from 1 to 0, denser where the network was trained more.

    Between the ends log σ takes the quantiles k / steps (k = steps − 1 … 1) of a normal
    distribution of the training's ``mean`` and 1.3 times its ``sd``; float64.
    """
    share = (torch.arange(1, steps, dtype=torch.float64) / steps).flip(0)
    normal = math.sqrt(2) * torch.erfinv(2 * share - 1)
    inner = torch.sigmoid(mean + sd * SPREAD * normal)
    return torch.cat([torch.ones(1, dtype=torch.float64), inner, torch.zeros(1).double()])


def integrate(denoise: Denoise, noise: Tensor, times: Tensor, *, sampler: Sampler) -> Tensor:
    """Images (N, C, H, W) at time 0 from noise at time 1, (N, C, H, W).

    "euler" goes straight to the predicted image at every step. "multistep" goes to one extrapolated
    from the last two predictions, linear in log σ (DPM-Solver++ 2M, Lu et al. 2022, arXiv
    2211.01095, equation 19, for this path), which is of second order at the same cost. "heun"
    corrects each step by the velocity at its end, of second order at twice the cost. The last step,
    onto time 0, is Euler's, which lands on the predicted image.
    """
    x, before = noise, list[tuple[float, Tensor]]()
    for time, after in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        here = _at(x, time)
        predicted = denoise(here)
        if sampler == "multistep" and before and before[-1][0] < 1 and after > 0:
            towards = _extrapolated(predicted, before[-1][1], times=(before[-1][0], time, after))
        else:
            towards = predicted
        ahead = velocity(here, towards)
        there = x + (after - time) * ahead
        if sampler == "heun" and after > 0:
            end = _at(there, after)
            there = x + (after - time) * (ahead + velocity(end, denoise(end))) / 2
        before = [(time, predicted)]
        x = there
    return x


def _extrapolated(
    predicted: Tensor, earlier: Tensor, *, times: tuple[float, float, float]
) -> Tensor:
    """The prediction for the middle of the step, from those at its beginning and a step before."""
    before, now, then = (math.log(time / (1 - time)) for time in times)
    ratio = (then - now) / (2 * (now - before))
    return predicted + ratio * (predicted - earlier)


def _at(noisy: Tensor, time: float) -> Point:
    return Point(noisy=noisy, time=torch.full((len(noisy),), time, device=noisy.device))
