"""Differentiable augmentation of all that the discriminator sees (Zhao et al., NeurIPS 2020).

DiffAugment (arXiv 2006.10738): brightness and contrast, translation, cutout, on real and synthetic
images in both updates, so that few real images cannot be learnt by heart, and the generator is
judged through the same transformations and does not copy them. Two things differ. Black, not grey,
moves into view and fills what is cut out, as the surroundings and the shadows of fetal images are
black; grey squares made the discriminator several times slower to learn anything at all. And only a
share of the images is augmented, as in Karras et al. (NeurIPS 2020, arXiv 2006.06676), for the same
reason.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fetalsynth.generators.settings import R3GANSettings

BLACK = -1.0
NUMBERS = 7  # random numbers that decide one image's augmentation


def sample_params(uniforms: Tensor, *, settings: R3GANSettings) -> dict[str, Tensor]:
    """What :func:`apply` does to each of N images, from uniform numbers (N, NUMBERS) in [0, 1].

    ``brightness`` is added; ``contrast`` is the change of the factor of all differences from the
    mean; ``down`` and ``across`` are pixels to move by; ``top`` and ``left`` are the pixels where a
    square of ``side`` pixels is cut out, which may stand out of the image. All but ``top`` and
    ``left`` are 0 for images that are left as they are.
    """
    size = settings.size
    most, side = round(settings.translation * size), round(settings.cutout * size)
    chosen, bright, contrast, down, across, top, left = uniforms.unbind(1)
    corners = size + 1 - side % 2
    augmented = (chosen < settings.augmented).long()
    return {
        "brightness": augmented * (2 * bright - 1) * settings.brightness,
        "contrast": augmented * (2 * contrast - 1) * settings.contrast,
        "down": augmented * (_below(down, 2 * most + 1) - most),
        "across": augmented * (_below(across, 2 * most + 1) - most),
        "top": _below(top, corners) - side // 2,
        "left": _below(left, corners) - side // 2,
        "side": augmented * side,
    }


def apply(images: Tensor, params: dict[str, Tensor]) -> Tensor:
    """The images (N, C, H, W) as the discriminator sees them; differentiable by the images."""
    x = images + params["brightness"][:, None, None, None]
    change = params["contrast"][:, None, None, None]
    x = x + change * (x - x.mean((1, 2, 3), keepdim=True))
    return _cut_out(_translated(x, params["down"], params["across"]), params)


def _translated(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Moved by whole pixels; black moves into view."""
    n, channels, height, width = x.shape
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - across[:, None]
    inside = _within(rows, 0, height)[:, None, :, None] & _within(columns, 0, width)[:, None, None]
    row = rows.clamp(0, height - 1)[:, None, :, None].expand(n, channels, height, width)
    column = columns.clamp(0, width - 1)[:, None, None].expand(n, channels, height, width)
    return torch.where(inside, x.gather(2, row).gather(3, column), BLACK)


def _cut_out(x: Tensor, params: dict[str, Tensor]) -> Tensor:
    top, left, side = (params[name][:, None] for name in ("top", "left", "side"))
    rows = _within(torch.arange(x.shape[2], device=x.device), top, top + side)
    columns = _within(torch.arange(x.shape[3], device=x.device), left, left + side)
    return torch.where(rows[:, None, :, None] & columns[:, None, None], BLACK, x)


def _within(places: Tensor, first: Tensor | int, end: Tensor | int) -> Tensor:
    return (places >= first) & (places < end)


def _below(uniforms: Tensor, count: int) -> Tensor:
    """Uniform numbers in [0, 1] → integers 0 … count − 1."""
    return (uniforms * count).long().clamp(max=count - 1)
