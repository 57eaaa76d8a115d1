"""What the label networks of a trained SPADE layer say of each distinct 5×5 label window.

A SPADE layer at rest is y = a · x + b at every pixel, where a and b depend on the labels around the
pixel only. Batch statistics are constants then, so the normalisation is part of them:
a = (1 + γ′) / σ and b = β − μ (1 + γ′) / σ. Both are linear in the hidden maps of the label
network, so they are folded into its weights, once per trained network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fetalsynth.generators.spade.layers import SPADELayer

_WINDOWS = 4096  # at a time: bounds the memory of their hidden maps


@dataclass(frozen=True, kw_only=True)
class LabelNetwork:
    """A label network as two matrices, from a window's labels to all it says of its pixel.

    ``first`` (9 K + 1, hidden) reads a 3×3 window of K one-hot maps, its last row being zeros;
    ``second`` (9 hidden, columns) the hidden maps at the nine positions around the pixel.
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    @torch.no_grad()
    def table(self, rows: Tensor, inside: Tensor) -> Tensor:
        """(U, columns), of windows as ``window_rows`` gives them."""
        table = self.second_bias.new_empty(len(rows), len(self.second_bias))
        for start in range(0, len(rows), _WINDOWS):
            some = slice(start, start + _WINDOWS)
            hidden = F.embedding_bag(rows[some].flatten(0, 1), self.first, mode="sum")
            hidden = F.relu_(hidden.add_(self.first_bias)).view(-1, 9, hidden.shape[1])
            # the second convolution pads the hidden maps with zeros, whatever the first one's bias
            hidden = hidden.mul_(inside[some, :, None]).flatten(1)
            torch.addmm(self.second_bias, hidden, self.second, out=table[some])
        return table


@torch.no_grad()
def fold(
    layer: SPADELayer, *, statistics: nn.Module, shortcut: Tensor | None = None
) -> LabelNetwork:
    """``layer``'s label network with the columns a | b, C each, for the rule y = a · x + b.

    x is what enters ``statistics`` where that is a batch norm, and what leaves it otherwise. With
    the weights ``shortcut`` (outputs, C) of a 1×1 convolution that follows without activation, the
    columns are a | shortcut · b.
    """
    gamma, gamma_bias = _matrix(layer.mlp_gamma)
    beta, beta_bias = _matrix(layer.mlp_beta)
    gamma_bias = gamma_bias + 1
    if isinstance(statistics, _BatchNorm):
        assert statistics.running_mean is not None
        assert statistics.running_var is not None
        mean = statistics.running_mean.double()
        scale = torch.rsqrt(statistics.running_var.double() + statistics.eps)
        gamma, gamma_bias = gamma * scale, gamma_bias * scale
        beta, beta_bias = beta - gamma * mean, beta_bias - gamma_bias * mean
    if shortcut is not None:
        weights = shortcut.double().T
        beta, beta_bias = beta @ weights, beta_bias @ weights
    shared = layer.mlp_shared[0]
    assert isinstance(shared, nn.Conv2d)
    first, first_bias = _matrix(shared)
    return LabelNetwork(
        first=F.pad(first.float(), (0, 0, 0, 1)),
        first_bias=first_bias.float(),
        second=torch.cat([gamma, beta], 1).float(),
        second_bias=torch.cat([gamma_bias, beta_bias]).float(),
    )


def _matrix(convolution: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A 3×3 convolution as (9 · inputs, outputs), positions first, and its bias, in float64."""
    assert convolution.bias is not None
    weights = convolution.weight.double().permute(2, 3, 1, 0).flatten(0, 2)
    return weights, convolution.bias.double()
