"""The two networks of R3GAN-lite (Huang et al., NeurIPS 2024, arXiv 2501.05441, §4).

Residual blocks without any normalisation, as in ResNeXt (Xie et al., CVPR 2017, arXiv 1611.05431):
1 × 1, 3 × 3, 1 × 1. The way beside the blocks is linear from end to end. Initial weights are those
of Fixup (Zhang, Dauphin and Ma, ICLR 2019, arXiv 1901.09321), which keep activations and gradients
in range where no layer normalises. "Lite" is that one block per resolution with a dense 3 × 3 of
half the channels is the default: the published groups of 16 within twice the channels take a CPU
three times as long.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.generators.settings import R3GANSettings

SLOPE = 0.2  # of every leaky ReLU
INNERMOST = 4  # pixels
FIRST_SPREAD = 0.3  # of untrained images, about that of real ones


class Block(nn.Module):
    """x + 1 × 1 (3 × 3 (1 × 1 (x))), a leaky ReLU after each of the first two."""

    def __init__(self, width: int, *, settings: R3GANSettings) -> None:
        super().__init__()
        middle, groups = settings.middle(width), settings.groups(width)
        self.enter = nn.Conv2d(width, middle, 1)
        self.spatial = nn.Conv2d(middle, middle, 3, padding=1, groups=groups)
        self.leave = nn.Conv2d(middle, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) → the same."""
        y = F.leaky_relu(self.enter(x), SLOPE, inplace=True)
        y = F.leaky_relu(self.spatial(y), SLOPE, inplace=True)
        changed: Tensor = x + self.leave(y)
        return changed


class R3GANGenerator(nn.Module):
    """(N, latents) → images (N, channels, size, size), linear: in [−1, 1] only once it is trained.

    The latents scale the channels of a learned 4 × 4 picture each; then one stage per resolution.
    """

    def __init__(self, settings: R3GANSettings) -> None:
        super().__init__()
        widths = settings.widths(settings.generator_width)
        self.scales = nn.Linear(settings.latents, widths[0], bias=False)
        self.basis = nn.Parameter(torch.empty(widths[0], INNERMOST, INNERMOST))
        self.stages = nn.ModuleList(_blocks(width, settings) for width in widths)
        self.changes = nn.ModuleList(_change(before, after) for before, after in pairwise(widths))
        self.to_image = nn.Conv2d(widths[-1], settings.channels, 1)

    def forward(self, latents: Tensor) -> Tensor:
        scales = self.scales(latents)[:, :, None, None]
        x = (scales * self.basis).contiguous(memory_format=torch.channels_last)
        x = self.stages[0](x)
        for change, stage in zip(self.changes, list(self.stages)[1:], strict=True):
            x = stage(enlarge(change(x)))
        images: Tensor = self.to_image(x)
        return images


class R3GANDiscriminator(nn.Module):
    """Images (N, channels, size, size) → (N,), of which only differences mean something.

    The 4 × 4 map at the end becomes one number per channel by a filter of its own, and these one
    number in float32, since bfloat16 would round away the differences that the penalty measures.
    """

    def __init__(self, settings: R3GANSettings) -> None:
        super().__init__()
        widths = settings.widths(settings.discriminator_width)[::-1]
        self.from_image = nn.Linear(settings.channels, widths[0])
        self.stages = nn.ModuleList(_blocks(width, settings) for width in widths)
        self.changes = nn.ModuleList(_change(before, after) for before, after in pairwise(widths))
        self.basis = nn.Parameter(torch.empty(widths[-1], INNERMOST, INNERMOST))
        self.mix = nn.Parameter(torch.empty(widths[-1]))

    def forward(self, images: Tensor) -> Tensor:
        # a 1 × 1 convolution of grey images would leave channels last, and be followed by copies
        x = self.from_image(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        for stage, change in zip(list(self.stages)[:-1], self.changes, strict=True):
            x = change(halve(stage(x)))
        x = self.stages[-1](x)
        found: Tensor = (x.to(self.basis.dtype) * self.basis).sum((2, 3)) * self.mix
        return found.sum(1)


def enlarge(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, 2H, 2W): pixels doubled, then smoothed by [1, 2, 1] / 4 both ways."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def halve(x: Tensor) -> Tensor:
    """(N, C, 2H, 2W) → (N, C, H, W): smoothed by [1, 2, 1] / 4 both ways, then means of 2 × 2.

    This is a quarter of :func:`enlarge` transposed, and computed as such: strided depthwise
    convolutions are many times slower to differentiate on a CPU.
    """
    n, c, height, width = x.shape
    transposed: Tensor = torch.ops.aten.upsample_bilinear2d_backward(
        x, [height, width], [n, c, height // 2, width // 2], False, 2.0, 2.0
    )
    return transposed / 4


@torch.no_grad()
def initialise(network: R3GANGenerator | R3GANDiscriminator, rng: torch.Generator) -> None:
    """Fixup: every block begins as nothing, its other weights He's times (number of blocks)^(−1/4).

    The exponent is −1 / (2m − 2) for m = 3 layers per block (Zhang et al., §3). All that lies
    beside the blocks keeps the variance, but for the last layer of the generator.
    """
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for block in blocks:
        for layer in (block.enter, block.spatial):
            nn.init.kaiming_normal_(layer.weight, SLOPE, generator=rng)
            layer.weight.mul_(len(blocks) ** -0.25)
        nn.init.zeros_(block.leave.weight)
    if isinstance(network, R3GANGenerator):
        nn.init.normal_(network.basis, generator=rng)
        network.to_image.weight.mul_(FIRST_SPREAD)
    else:
        nn.init.normal_(network.basis, 0.0, 1 / INNERMOST, generator=rng)
        nn.init.normal_(network.mix, 0.0, len(network.mix) ** -0.5, generator=rng)


def _blocks(width: int, settings: R3GANSettings) -> nn.Sequential:
    return nn.Sequential(*(Block(width, settings=settings) for _ in range(settings.blocks)))


def _change(before: int, after: int) -> nn.Module:
    return nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()
