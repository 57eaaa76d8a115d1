"""Perceptual losses: mean |difference| of the maps of a fixed network, at several depths.

Johnson et al., ECCV 2016; five depths of VGG19 in pix2pixHD (Wang et al., CVPR 2018) and SPADE.
Both networks take grey images as if repeated to three channels: the first kernel is summed over
its inputs, which is the same for a third of the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.inception.network import Network
from fetalsynth.inception.weights import InceptionWeights

# Convolutions by their place in torchvision's vgg19().features, up to relu5_1, in five groups
# that end with reluN_1; where two places are not neighbours but for a ReLU, a pool lies between.
VGG19 = ((0,), (2, 5), (7, 10), (12, 14, 16, 19), (21, 23, 25, 28))
VGG19_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
INCEPTION_WEIGHTS = (1 / 8, 1 / 4, 1 / 2, 1.0)
_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)


def vgg19_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that :class:`VGG19Loss` reads."""
    places = [place for group in VGG19 for place in group]
    shapes: dict[str, tuple[int, ...]] = {}
    for place, (before, after) in zip(places, pairwise(_WIDTHS), strict=True):
        shapes[f"features.{place}.weight"] = (after, before, 3, 3)
        shapes[f"features.{place}.bias"] = (after,)
    return shapes


class VGG19Loss(nn.Module):
    """The published form: relu1_1 … relu5_1 of VGG19, weighted 1/32, 1/16, 1/8, 1/4 and 1.

    As published, images go in as they are, in [−1, 1], without the mean and spread of ImageNet
    that the weights were trained with. ``weights`` has torchvision's names, and may hold more.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in vgg19_shapes():
            self.register_buffer(_buffer(name), weights[name].detach().clone())

    def forward(self, synthetic: Tensor, real: Tensor) -> Tensor:
        """Two batches (N, 1 or 3, H, W), 16 pixels or more a side → the loss, a number."""
        with torch.no_grad():
            theirs = list(self.maps(real))
        loss = torch.zeros((), device=synthetic.device)
        for weight, ours, other in zip(VGG19_WEIGHTS, self.maps(synthetic), theirs, strict=True):
            loss = loss + weight * F.l1_loss(ours.float(), other.float())
        return loss

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """(N, 1 or 3, H, W) → maps of 64, 128, 256, 512 and 512 channels."""
        place = 0
        for group in VGG19:
            for found in group:
                if found - place > 2:
                    x = F.max_pool2d(x, 2)
                place = found
                kernel = self.get_buffer(_buffer(f"features.{place}.weight"))
                if place == 0:
                    kernel = _for_channels(kernel, x.shape[1])
                bias = self.get_buffer(_buffer(f"features.{place}.bias"))
                x = F.relu(F.conv2d(x, kernel, bias, padding=1))
            yield x


class InceptionLoss(nn.Module):
    """The same on the Inception network of the FID: maps of 64, 192, 288 and 768 channels.

    This form is ours: maps before each reduction in size, weighted 1/8, 1/4, 1/2 and 1, images at
    their own size and in [−1, 1], as the network was trained.
    """

    def __init__(self, weights: InceptionWeights) -> None:
        super().__init__()
        self._weights = weights
        self._names = {_buffer(name): name for name in weights.tensors}
        for buffer, name in self._names.items():
            self.register_buffer(buffer, weights.tensors[name])
        self._built: tuple[tuple[torch.device, int], Network] | None = None

    def forward(self, synthetic: Tensor, real: Tensor) -> Tensor:
        """Two batches (N, 1 or 3, H, W), 64 pixels or more a side → the loss, a number."""
        network = self._network(synthetic.device, synthetic.shape[1])
        with torch.no_grad():
            theirs = [
                maps for _, maps in zip(INCEPTION_WEIGHTS, network.stages(real), strict=False)
            ]
        loss = torch.zeros((), device=synthetic.device)
        # Maps come last, so that none deeper than wanted are made.
        for weight, other, ours in zip(
            INCEPTION_WEIGHTS, theirs, network.stages(synthetic), strict=False
        ):
            loss = loss + weight * F.l1_loss(ours.float(), other.float())
        return loss

    def _network(self, device: torch.device, channels: int) -> Network:
        key = (device, channels)
        if self._built is None or self._built[0] != key:
            tensors = {name: self.get_buffer(buffer) for buffer, name in self._names.items()}
            first = "Conv2d_1a_3x3.weight"
            tensors[first] = _for_channels(tensors[first], channels)
            self._built = key, Network(replace(self._weights, tensors=tensors), fused=False)
        return self._built[1]


def _for_channels(kernel: Tensor, channels: int) -> Tensor:
    if channels == 3:
        return kernel
    if channels != 1:
        raise ValueError(f"perceptual losses are for 1 or 3 channels, not {channels}")
    return kernel.sum(1, keepdim=True)


def _buffer(name: str) -> str:
    return name.replace(".", "_")
