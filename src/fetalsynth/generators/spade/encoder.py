"""SPADE's variational encoder of images (Park et al. 2019, §3 and appendix A)."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.layers import SLOPE

SIDE = 256  # images are brought to this size, so that the last maps are 4 × 4
LAST = 4


class SPADEEncoder(nn.Module):
    """Images (N, channels, H, W) → mean and log variance of the latents, each (N, latents).

    Six strided convolutions with instance normalisation; at the published settings with 3 channels
    10.46 M parameters.
    """

    def __init__(self, settings: SPADESettings) -> None:
        super().__init__()
        widths = [min(settings.width << stage, 8 * settings.width) for stage in range(6)]
        stages = [
            nn.Sequential(
                spectral_norm(nn.Conv2d(before, after, 3, 2, 1, bias=False)),
                nn.InstanceNorm2d(after),
            )
            for before, after in pairwise([settings.channels, *widths])
        ]
        self.layers = nn.ModuleList(stages)
        self.fc_mu = nn.Linear(widths[-1] * LAST**2, settings.latents)
        self.fc_var = nn.Linear(widths[-1] * LAST**2, settings.latents)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) in [−1, 1] → mean and log variance (N, latents)."""
        x = images
        if x.shape[2:] != (SIDE, SIDE):
            x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear")
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)
