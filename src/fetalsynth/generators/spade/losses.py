"""SPADE's losses (Park et al. 2019, §3): hinge, feature matching, divergence of the latents.

Maps come as lists by scale and layer, as :class:`SPADEDiscriminator` returns them; the last layer
of each scale holds the logits. All are computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Maps = Sequence[Sequence[Tensor]]


def hinge_discriminator(on_real: Maps, on_synthetic: Maps) -> Tensor:
    """Mean of max(0, 1 − D(real)) + max(0, 1 + D(synthetic)) over patches and scales.

    Lim & Ye 2017 (arXiv 1705.02894); 0 where all are right by a margin of 1, 2 where D says 0.
    """
    real = _mean([F.relu(1 - maps[-1].float()).mean() for maps in on_real])
    return real + _mean([F.relu(1 + maps[-1].float()).mean() for maps in on_synthetic])


def hinge_generator(on_synthetic: Maps) -> Tensor:
    """−D(synthetic), the mean over patches and scales."""
    return -_mean([maps[-1].float().mean() for maps in on_synthetic])


def feature_matching(on_synthetic: Maps, on_real: Maps) -> Tensor:
    """Mean |difference| of the maps of each layer but the last, summed over layers.

    The mean over scales; real maps are constants (Wang et al., CVPR 2018, Eq. 4).
    """
    scales = [
        torch.stack(
            [
                F.l1_loss(ours.float(), theirs.detach().float())
                for ours, theirs in zip(synthetic[:-1], real[:-1], strict=True)
            ]
        ).sum()
        for synthetic, real in zip(on_synthetic, on_real, strict=True)
    ]
    return _mean(scales)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback–Leibler divergence of N(mean, variance) from N(0, 1), summed over all latents.

    Kingma & Welling 2014, appendix B; the published form sums over the images of a batch, too.
    """
    mean, log_variance = mean.float(), log_variance.float()
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()


def correct(on_real: Maps, on_synthetic: Maps) -> tuple[Tensor, Tensor]:
    """Shares of patches of real and of synthetic images that the discriminator is right about."""
    real = _mean([(maps[-1] > 0).float().mean() for maps in on_real])
    return real, _mean([(maps[-1] <= 0).float().mean() for maps in on_synthetic])


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
