"""Augmentation of whole batches on their device; parameters are drawn apart from their use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.training.recipe import Augmentation

FILL = {"black": -1.0, "grey": 0.0}


def sample_params(
    augmentation: Augmentation, *, count: int, rng: torch.Generator
) -> dict[str, Tensor]:
    """Draw ``flip`` (bool) and ``angle`` (degrees) for each of ``count`` images."""
    flip = torch.rand(count, generator=rng) < 0.5
    turn = 2 * torch.rand(count, generator=rng) - 1
    return {
        "flip": flip & augmentation.flip,
        "angle": turn * augmentation.rotation_degrees,
    }


def apply(x: Tensor, params: dict[str, Tensor], *, augmentation: Augmentation) -> Tensor:
    """Mirror and rotate images (N, C, S, S) in [−1, 1] about their centre."""
    if not augmentation.flip and augmentation.rotation_degrees == 0:
        return x
    radians = torch.deg2rad(params["angle"])
    cos, sin = torch.cos(radians), torch.sin(radians)
    mirror = 1.0 - 2.0 * params["flip"].to(cos.dtype)
    zero = torch.zeros_like(cos)
    rows = [torch.stack([mirror * cos, -sin, zero], 1), torch.stack([mirror * sin, cos, zero], 1)]
    theta = torch.stack(rows, 1).to(x.device, x.dtype)
    fill = FILL[augmentation.fill]
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    turned = F.grid_sample(
        x - fill,
        grid,
        mode=augmentation.interpolation,
        padding_mode="zeros",
        align_corners=False,
    )
    return turned + fill
