"""SPADE's discriminator: patches of image and labels together, at several scales.

Park et al. 2019, appendix A: that of pix2pixHD (Wang et al., CVPR 2018) with spectral and instance
normalisation. With the defaults at 256 pixels and 8 labels 5.54 M parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.generator import conditions_of
from fetalsynth.generators.spade.layers import SLOPE

MOST_CHANNELS = 512


class PatchDiscriminator(nn.Module):
    """(N, K, H, W) → the maps after every layer; the last, (N, 1, h, w), are logits of patches."""

    def __init__(self, settings: SPADESettings) -> None:
        super().__init__()
        width, count = settings.discriminator_width, settings.discriminator_layers
        inputs = conditions_of(settings) + settings.channels
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 2), nn.LeakyReLU(SLOPE, inplace=True))
        ]
        for number in range(1, count):
            before, width = width, min(2 * width, MOST_CHANNELS)
            stride = 1 if number == count - 1 else 2
            layers.append(_normalised(before, width, stride=stride))
        layers.append(nn.Sequential(nn.Conv2d(width, 1, 4, 1, 2)))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image and one-hot labels (N, K, H, W) → maps, the logits last."""
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class SPADEDiscriminator(nn.Module):
    """Patch discriminators of one shape, each reading maps of half the size of those before.

    At 256 pixels the published two give maps of 129, 65, 33, 34 and 35, and of 65, 33, 17, 18 and
    19 pixels a side.
    """

    def __init__(self, settings: SPADESettings) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(settings) for _ in range(settings.discriminators)
        )

    def forward(self, images: Tensor, conditions: Tensor) -> list[list[Tensor]]:
        """Images (N, C, H, W) with their one-hot labels (N, K, H, W) → maps by scale and layer."""
        x = torch.cat([conditions, images], 1)
        maps = []
        for number, scale in enumerate(self.scales):
            if number:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            maps.append(scale(x))
        return maps


def _normalised(before: int, after: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(before, after, 4, stride, 2, bias=False)),
        nn.InstanceNorm2d(after),
        nn.LeakyReLU(SLOPE, inplace=True),
    )
