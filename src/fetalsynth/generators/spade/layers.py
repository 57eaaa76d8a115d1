"""The layers of SPADE's generator (Park, Liu, Wang & Zhu, CVPR 2019, arXiv 1903.07291, §3).

A SPADE layer normalises maps without parameters of its own, then scales and shifts every position
by γ and β that two convolutions make from the label map around it (their Eq. 1):

    y = γ(labels) · (x − μ) / σ + β(labels),    γ written as 1 + γ′.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.spade.windowed import Windows, find_windows, modulate_by_windows

Normalisation = Literal["batch", "sync", "instance"]
SLOPE = 0.2  # of every leaky ReLU


class SyncNorm(nn.SyncBatchNorm):
    """Batch statistics over all processes on GPUs; elsewhere those of this process alone."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same, normalised."""
        if x.is_cuda:
            synchronised: Tensor = super().forward(x)
            return synchronised
        return _BatchNorm.forward(self, x)


def build_normalisation(channels: int, *, kind: Normalisation) -> nn.Module:
    """A normalisation of (N, channels, H, W) without learned parameters."""
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels, affine=False)
    return SyncNorm(channels, affine=False)


class Conditions:
    """Labels (N, H, W), and planes (N,) where they count, as one-hot maps of any smaller size.

    A size is made when it is first asked for, and kept, since several layers work at each.
    """

    def __init__(self, labels: Tensor, planes: Tensor | None, *, count: int) -> None:
        self._labels, self._planes, self._count = labels, planes, count
        self._made: dict[tuple[int, int], Tensor] = {}
        self._found: dict[tuple[int, int], Windows | None] = {}

    def __call__(self, height: int, width: int) -> Tensor:
        """(N, count [+ 3], height, width) float32, channels last.

        Labels are taken at the upper left of each cell, as ``interpolate(mode="nearest")`` does.
        """
        if (height, width) not in self._made:
            self._made[height, width] = self._make(height, width)
        return self._made[height, width]

    def windows(self, height: int, width: int) -> Windows | None:
        """The distinct windows of these maps, the same to a SPADE layer; None if too many."""
        if (height, width) not in self._found:
            labels = self._sized(height, width)
            self._found[height, width] = find_windows(labels, self._planes, count=self._count)
        return self._found[height, width]

    def _sized(self, height: int, width: int) -> Tensor:
        rows, columns = self._labels.shape[1] // height, self._labels.shape[2] // width
        return self._labels[:, ::rows, ::columns]

    def _make(self, height: int, width: int) -> Tensor:
        maps = one_hot(self._sized(height, width), count=self._count)
        if self._planes is None:
            return maps
        planes = one_hot(self._planes[:, None, None], count=len(PLANES))
        return torch.cat([maps, planes.expand(-1, -1, height, width)], 1)


def one_hot(labels: Tensor, *, count: int) -> Tensor:
    """Integers (N, H, W) → float32 (N, count, H, W), channels last; others become all zeros."""
    codes = torch.arange(count, device=labels.device)
    return (labels[..., None] == codes).float().permute(0, 3, 1, 2)


class SPADELayer(nn.Module):
    """γ and β from the label map, applied to normalised maps.

    ``normalisation`` None leaves the layer without statistics of its own, for a layer that reads
    the same maps as another one and so shares that one's.
    """

    def __init__(
        self,
        channels: int,
        *,
        conditions: int,
        hidden: int,
        normalisation: Normalisation | None,
    ) -> None:
        super().__init__()
        if normalisation is not None:
            self.param_free_norm = build_normalisation(channels, kind=normalisation)
        self.mlp_shared = nn.Sequential(nn.Conv2d(conditions, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def normalise(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → zero mean and unit variance by the layer's statistics."""
        normalised: Tensor = self.param_free_norm(x)
        return normalised

    def modulation(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """One-hot maps (N, K, H, W) → γ′ and β, each (N, C, H, W)."""
        hidden = self.mlp_shared(conditions)
        return self.mlp_gamma(hidden), self.mlp_beta(hidden)

    def forward(self, normalised: Tensor, conditions: Tensor | Windows) -> Tensor:
        """(1 + γ′) · normalised + β, all (N, C, H, W)."""
        if isinstance(conditions, Windows):
            shared = self.mlp_shared[0]
            assert isinstance(shared, nn.Conv2d)
            return modulate_by_windows(
                normalised, conditions, shared=shared, gamma=self.mlp_gamma, beta=self.mlp_beta
            )
        gamma, beta = self.modulation(conditions)
        return torch.addcmul(normalised + beta, normalised, gamma)


class SPADEBlock(nn.Module):
    """Residual block of two convolutions after SPADE layers (their Fig. 4, left).

    Where the channels change, the shortcut is a SPADE layer and a 1 × 1 convolution, without
    activation; its SPADE layer normalises the same maps as the first one, so that is done once.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        conditions: int,
        hidden: int,
        normalisation: Normalisation,
    ) -> None:
        super().__init__()
        middle = min(inputs, outputs)

        def layer(channels: int, kind: Normalisation | None) -> SPADELayer:
            return SPADELayer(channels, conditions=conditions, hidden=hidden, normalisation=kind)

        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0 = layer(inputs, normalisation)
        self.norm_1 = layer(middle, normalisation)
        self.learned_shortcut = inputs != outputs
        if self.learned_shortcut:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = layer(inputs, None)

    def forward(self, x: Tensor, conditions: Tensor | Windows) -> Tensor:
        """(N, inputs, H, W) and one-hot maps, or their windows → (N, outputs, H, W)."""
        normalised = self.norm_0.normalise(x)
        shortcut = x
        if self.learned_shortcut:
            shortcut = self.conv_s(self.norm_s(normalised, conditions))
        y = self.norm_1.normalise(self._first_convolution(normalised, conditions))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, conditions), SLOPE))
        result: Tensor = shortcut + y
        return result

    def first_half(self, x: Tensor, conditions: Tensor | Windows) -> Tensor:
        """What ``norm_1`` reads: (N, min(inputs, outputs), H, W)."""
        return self._first_convolution(self.norm_0.normalise(x), conditions)

    def _first_convolution(self, normalised: Tensor, conditions: Tensor | Windows) -> Tensor:
        y: Tensor = self.conv_0(F.leaky_relu(self.norm_0(normalised, conditions), SLOPE))
        return y


def enlarge(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, 2H, 2W), every position repeated."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
