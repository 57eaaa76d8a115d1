"""Exponential moving average of a generator's weights (Karras et al. 2018; half-life in images)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

RAMP = 0.05


class MovingAverage:
    """Keeps ``module``, a copy whose weights follow those of the trained network.

    The half-life is at most ``RAMP`` of the images seen so far, so that early averages do not drag
    the initial weights along. Buffers (batch-norm statistics) are not averaged: they are set anew
    when weights are saved.
    """

    def __init__(self, network: nn.Module, *, half_life_images: int) -> None:
        self.module = copy.deepcopy(network).requires_grad_(False)
        self.half_life_images = half_life_images

    @torch.no_grad()
    def update(self, network: nn.Module, *, images_seen: int, batch_size: int) -> None:
        """Move the average towards ``network`` after one update on ``batch_size`` images."""
        half_life = min(float(self.half_life_images), RAMP * images_seen)
        weight = 1.0 - 0.5 ** (batch_size / half_life) if half_life > 0 else 1.0
        ours: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(ours, theirs, weight)
