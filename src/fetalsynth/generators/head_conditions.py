"""What a generator of heads is told: how much of each pixel is skull or brain, and the age."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fetalsynth.generators.batch import Batch

_LEVELS = 255.0


@dataclass(frozen=True, kw_only=True)
class HeadConditions:
    """``covered`` (N, 2, H, W) uint8: the shares of skull and inside, in 255ths; ``ages`` (N,).

    Shares are kept in bytes, since those of a whole data set stay on the device; what is outside
    the head is the rest. Ages are weeks of gestation, NaN where unknown.
    """

    covered: Tensor
    ages: Tensor

    def on(self, device: torch.device) -> HeadConditions:
        """The same on ``device``."""
        return replace(self, covered=self.covered.to(device), ages=self.ages.to(device))

    def told(self, images: Tensor, indices: Tensor) -> Batch:
        """A batch of ``images`` (N, C, H, W) with the conditions of these numbers."""
        chosen = indices.to(self.covered.device)
        covered = self.covered[chosen].float() / _LEVELS
        outside = 1 - covered.sum(1, keepdim=True)
        shares = torch.cat([outside.clamp(min=0), covered], 1)
        return Batch(images=images, shares=shares, ages=self.ages[chosen])


def head_conditions(shares: Tensor, ages: Tensor) -> HeadConditions:
    """From shares (N, 3, H, W) of outside, skull and inside, and ages (N,) in weeks."""
    covered = (shares[:, 1:] * _LEVELS).round().clamp(0, _LEVELS).to(torch.uint8)
    return HeadConditions(covered=covered, ages=ages.float())
