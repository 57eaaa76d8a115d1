"""Augmentation of whole batches on their device; parameters are drawn apart from their use."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.augmented import AUGMENTED
from fetalsynth.generators.batch import Batch
from fetalsynth.training.recipe import Augmentation

FILL = {"black": -1.0, "grey": 0.0}


def sample_params(
    augmentation: Augmentation, *, count: int, rng: torch.Generator
) -> dict[str, Tensor]:
    """Draw for each of ``count`` images what :func:`apply` does to it.

    ``flip`` (bool), ``angle`` (degrees), ``zoom`` (log of the magnification), ``across`` and
    ``down`` (shares of the image's side).
    """
    flip = torch.rand(count, generator=rng) < 0.5
    turn, zoom, across, down = (2 * torch.rand(4, count, generator=rng) - 1).unbind()
    moved = (torch.rand(count, generator=rng) < augmentation.share).float()
    return {
        "flip": flip & augmentation.flip,
        "angle": moved * turn * augmentation.rotation_degrees,
        "zoom": moved * zoom * math.log1p(augmentation.zoom),
        "across": moved * across * augmentation.shift,
        "down": moved * down * augmentation.shift,
    }


def apply(batch: Batch, params: dict[str, Tensor], *, augmentation: Augmentation) -> Batch:
    """Mirror, turn, magnify and move the images and labels (N, …, S, S) of a batch.

    All about the centre. Sagittal slices are not mirrored: that would swap front and back. What
    was done is told in ``augmented``, each part as a share of its range.
    """
    if augmentation.does_nothing():
        return batch
    flip = _mirrored(params, planes=batch.planes)
    device = batch.images.device
    theta = _theta(params, flip=flip).to(device)
    fill = FILL[augmentation.fill]
    images = _sampled(batch.images - fill, theta, mode=augmentation.interpolation) + fill
    told = _told(params, flip=flip, augmentation=augmentation).to(device)
    seen = replace(batch, images=images, augmented=told)
    if batch.labels is not None:
        seen = replace(seen, labels=_turned_labels(batch.labels, theta))
    if batch.shares is not None:
        # what turns into view lies outside everything, which is label 0
        inner = _sampled(batch.shares[:, 1:], theta, mode="bilinear")
        outside = 1 - inner.sum(1, keepdim=True)
        seen = replace(seen, shares=torch.cat([outside, inner], 1))
    return seen


def _turned_labels(labels: Tensor, theta: Tensor) -> Tensor:
    stack = labels if labels.ndim == 4 else labels[:, None]
    turned = _sampled(stack.float(), theta, mode="nearest").to(labels.dtype)
    return turned if labels.ndim == 4 else turned[:, 0]


def _mirrored(params: dict[str, Tensor], *, planes: Tensor | None) -> Tensor:
    flip = params["flip"]
    if planes is None:
        return flip
    return flip & (planes.to(flip.device) != PLANES.index("sagittal"))


def _told(params: dict[str, Tensor], *, flip: Tensor, augmentation: Augmentation) -> Tensor:
    """(N, AUGMENTED)."""
    ranges = {
        "angle": augmentation.rotation_degrees,
        "zoom": math.log1p(augmentation.zoom),
        "across": augmentation.shift,
        "down": augmentation.shift,
    }
    shares = [params[name] / (most or 1.0) for name, most in ranges.items()]
    told = torch.stack([flip.to(shares[0].dtype), *shares], 1)
    assert told.shape[1] == AUGMENTED
    return told


def _theta(params: dict[str, Tensor], *, flip: Tensor) -> Tensor:
    """(N, 2, 3): where each pixel of the result comes from, in halves of the image's side."""
    radians = torch.deg2rad(params["angle"])
    smaller = torch.exp(-params["zoom"])
    cos, sin = smaller * torch.cos(radians), smaller * torch.sin(radians)
    mirror = 1.0 - 2.0 * flip.to(cos.dtype)
    across, down = -2 * params["across"], -2 * params["down"]
    rows = [torch.stack([mirror * cos, -sin, across], 1), torch.stack([mirror * sin, cos, down], 1)]
    return torch.stack(rows, 1)


def _sampled(x: Tensor, theta: Tensor, *, mode: str) -> Tensor:
    grid = F.affine_grid(theta.to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)
