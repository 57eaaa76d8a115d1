"""Augmentation of whole batches on their device; parameters are drawn apart from their use."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.batch import Batch
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


def apply(batch: Batch, params: dict[str, Tensor], *, augmentation: Augmentation) -> Batch:
    """Mirror and rotate the images and labels (N, …, S, S) of a batch about their centre.

    Sagittal slices are not mirrored: that would swap front and back.
    """
    if not augmentation.flip and augmentation.rotation_degrees == 0:
        return batch
    theta = _theta(params, planes=batch.planes).to(batch.images.device)
    fill = FILL[augmentation.fill]
    images = _sampled(batch.images - fill, theta, mode=augmentation.interpolation) + fill
    if batch.labels is None:
        return replace(batch, images=images)
    turned = _sampled(batch.labels[:, None].float(), theta, mode="nearest")
    return replace(batch, images=images, labels=turned[:, 0].to(batch.labels.dtype))


def _theta(params: dict[str, Tensor], *, planes: Tensor | None) -> Tensor:
    radians = torch.deg2rad(params["angle"])
    cos, sin = torch.cos(radians), torch.sin(radians)
    flip = params["flip"]
    if planes is not None:
        flip = flip & (planes.to(flip.device) != PLANES.index("sagittal"))
    mirror = 1.0 - 2.0 * flip.to(cos.dtype)
    zero = torch.zeros_like(cos)
    rows = [torch.stack([mirror * cos, -sin, zero], 1), torch.stack([mirror * sin, cos, zero], 1)]
    return torch.stack(rows, 1)


def _sampled(x: Tensor, theta: Tensor, *, mode: str) -> Tensor:
    grid = F.affine_grid(theta.to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)
