"""From noise to images along the learned path, in few steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fetalsynth.generators.flow.path import Point, velocity

Denoise = Callable[[Point], Tensor]
Sampler = Literal["euler", "heun"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to go from noise to images: see the settings of the same names."""

    sampler: Sampler
    steps: int
    guidance: float = 1.0


def schedule(*, steps: int, mean: float, sd: float) -> Tensor:
    """Times (steps + 1,) from 1 to 0, denser where the network was trained more.

    Between the ends log σ goes over the evenly spaced quantiles of its training distribution, in
    float64, cut at a probability of 1/(2 steps) on either side.
    """
    share = (torch.arange(1, steps, dtype=torch.float64) / steps).flip(0)
    normal = math.sqrt(2) * torch.erfinv(2 * share - 1)
    inner = torch.sigmoid(mean + sd * SPREAD * normal)
    return torch.cat([torch.ones(1, dtype=torch.float64), inner, torch.zeros(1).double()])


SPREAD = 1.3


def integrate(denoise: Denoise, noise: Tensor, times: Tensor, *, sampler: Sampler) -> Tensor:
    """Images (N, C, H, W) at time 0 from noise at time 1.

    Euler's steps or Heun's, which correct each step by the velocity at its end at twice the cost;
    the last step, onto time 0, is Euler's, which lands on the predicted image.
    """
    x = noise
    for now, then in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        here = _at(x, now)
        ahead = velocity(here, denoise(here))
        there = x + (then - now) * ahead
        if sampler == "heun" and then > 0:
            end = _at(there, then)
            there = x + (then - now) * (ahead + velocity(end, denoise(end))) / 2
        x = there
    return x


def _at(noisy: Tensor, time: float) -> Point:
    return Point(noisy=noisy, time=torch.full((len(noisy),), time, device=noisy.device))
