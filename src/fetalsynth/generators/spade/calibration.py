"""What a SPADE generator needs besides its weights before it can be sampled.

Statistics of batch normalisation and the vectors of spectral norms follow the weights during
training; averaged weights have neither of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from fetalsynth.generators.batch import Batch
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.generators.spade.layers import SPADELayer, enlarge


@torch.no_grad()
def settle_spectral_norms(network: nn.Module) -> None:
    """Set the vectors of every spectral norm of ``network`` to the leading ones of its weights.

    Training does one power iteration per forward pass, which is enough there and wrong after
    weights were drawn or averaged.
    """
    for module in network.modules():
        if parametrize.is_parametrized(module, "weight"):
            spectral = module.get_submodule("parametrizations.weight")
            matrix = spectral.get_parameter("original").flatten(1)
            left = torch.linalg.eigh(matrix @ matrix.t()).eigenvectors[:, -1]
            spectral.get_buffer("0._u").copy_(left)
            spectral.get_buffer("0._v").copy_(F.normalize(matrix.t() @ left, dim=0))


@torch.no_grad()
def calibrate_statistics(
    generator: SPADEGenerator, latents: Tensor, batches: Sequence[Batch]
) -> None:
    """Set the statistics of batch normalisation to those of all slices of ``batches`` together.

    Layer by layer, each reading what the layers before it make with their own final statistics:
    the result is what one batch of all slices would have in training mode, however they are cut
    into batches. ``latents`` (n, …) are used up in order. Leaves ``generator`` in eval mode and
    keeps one map of each slice in memory. Instance normalisation has no statistics to set.
    """
    generator.eval()
    if not any(isinstance(module, _BatchNorm) for module in generator.modules()):
        return
    conditions, maps, used = [], [], 0
    for batch in batches:
        if batch.labels is None:
            raise ValueError("batches to calibrate a SPADE generator on need labels")
        conditions.append(generator.conditions_for(batch.labels, batch.planes))
        count = len(batch.labels)
        z = latents[used : used + count]
        maps.append(generator.innermost(conditions[-1], batch.labels, z))
        used += count
    for block, doubled in generator.blocks():
        if doubled:
            maps = [enlarge(x) for x in maps]
        sized = [made(*x.shape[2:]) for made, x in zip(conditions, maps, strict=True)]
        _measure(block.norm_0, maps)
        _measure(block.norm_1, (block.first_half(x, c) for x, c in zip(maps, sized, strict=True)))
        maps = [block(x, c) for x, c in zip(maps, sized, strict=True)]


def _measure(layer: SPADELayer, inputs: Iterable[Tensor]) -> None:
    """Mean and (biased) variance of all positions of all inputs, added up in float64."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for x in inputs:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
        n = x.numel() // x.shape[1]
        mean = mean.double().cpu()
        count += n
        total = total + n * mean
        squares = squares + n * (variance.double().cpu() + mean.square())
    norm = layer.param_free_norm
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(total / count)
    norm.running_var.copy_(squares / count - (total / count).square())
