"""Features of the Inception network that FID uses: 768 after Mixed_6e, 2048 at the end.

Average pools leave the padding out of the count and the last block pools by maximum, as in
TensorFlow's graph (and unlike torchvision's network). The 2048 features are the mean over space
after Mixed_7c; the 768 after Mixed_6e are what pytorch-fid calls ``dims=768``.

Faster than layer by layer, and the same up to rounding: ReLU inside the convolution; the 1 × 1
convolutions that read the same maps as one; and, because a mean commutes with a 1 × 1
convolution, average pools after it, on a quarter of the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fetalsynth.inception.convolution import Convolution
from fetalsynth.inception.layout import UNPADDED_STRIDES, Layer, convolutions
from fetalsynth.inception.weights import InceptionWeights

if TYPE_CHECKING:
    from torch import Tensor

_HEADS: dict[str, tuple[str, ...]] = {
    "Mixed_5": ("branch1x1", "branch5x5_1", "branch3x3dbl_1"),
    "Mixed_6": ("branch1x1", "branch7x7_1", "branch7x7dbl_1"),
    "Mixed_7": ("branch1x1", "branch3x3_1", "branch3x3dbl_1"),
}
_TAILS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Mixed_5": ((), ("branch5x5_2",), ("branch3x3dbl_2", "branch3x3dbl_3")),
    "Mixed_6": (
        (),
        ("branch7x7_2", "branch7x7_3"),
        ("branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
    ),
}
_REDUCING = ("Mixed_6a", "Mixed_7a")


class Network:
    """The network with weights in place: (N, 3, 299, 299) in [−1, 1] to maps or features.

    Images of other sizes (64 pixels or more, up to Mixed_6e) give maps of other sizes. ``fused``
    False computes with plain operations, through which gradients flow, on any device.
    """

    def __init__(self, weights: InceptionWeights, *, fused: bool = True) -> None:
        self.last = weights.last
        self._fused = fused
        self._layers: dict[str, Convolution] = {}
        self._widths: dict[str, list[int]] = {}
        blocks = _blocks(weights.last)
        heads = {f"{block}.{head}" for block in blocks for head in _HEADS[block[:7]]}
        for name in convolutions(through=weights.last):
            if name not in heads:
                self._layers[name] = _layer(weights, name, fused=fused)
        for block in blocks:
            self._merge(weights, block)

    def _merge(self, weights: InceptionWeights, block: str) -> None:
        import torch

        names = [f"{block}.{head}" for head in _HEADS[block[:7]]]
        kernels = [weights.tensors[f"{name}.weight"] for name in names]
        biases = [weights.tensors[f"{name}.bias"] for name in names]
        kernel = torch.cat(kernels).contiguous(memory_format=torch.channels_last)
        self._widths[block] = [len(bias) for bias in biases]
        self._layers[f"{block}.heads"] = Convolution(
            kernel=kernel,
            bias=torch.cat(biases),
            stride=1,
            padding=(0, 0),
            relu=True,
            fused=self._fused,
        )

    def features(self, x: Tensor) -> Tensor:
        """(N, 768) or (N, 2048): the mean over space of the last maps."""
        return self.maps(x).mean((2, 3))

    def maps(self, x: Tensor) -> Tensor:
        """(N, 768, 17, 17) after Mixed_6e or (N, 2048, 8, 8) after Mixed_7c."""
        for maps in self.stages(x):
            x = maps
        return x

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """Maps before each reduction in size, the last being those of :meth:`maps`.

        64, 192, 288 and 768 channels, and where the weights go on 2048.
        """
        from torch.nn import functional as F

        x = self._chain(x, ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"))
        yield x
        x = F.max_pool2d(x, 3, 2)
        x = self._chain(x, ("Conv2d_3b_1x1", "Conv2d_4a_3x3"))
        yield x
        x = F.max_pool2d(x, 3, 2)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._mixed(x, block)
        yield x
        x = self._mixed_6a(x)
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self._mixed(x, block)
        yield x
        if self.last == "Mixed_7c":
            yield self._mixed_7(self._mixed_7(self._mixed_7a(x), "Mixed_7b"), "Mixed_7c")

    def _chain(self, x: Tensor, names: tuple[str, ...]) -> Tensor:
        for name in names:
            x = self._layers[name](x)
        return x

    def _heads(self, x: Tensor, block: str) -> tuple[Tensor, ...]:
        import torch

        return torch.split(self._layers[f"{block}.heads"](x), self._widths[block], 1)

    def _mixed(self, x: Tensor, block: str) -> Tensor:
        import torch

        outputs = [
            self._chain(head, tuple(f"{block}.{name}" for name in tail))
            for head, tail in zip(self._heads(x, block), _TAILS[block[:7]], strict=True)
        ]
        return torch.cat([*outputs, self._average(x, block)], 1)

    def _average(self, x: Tensor, block: str) -> Tensor:
        from torch.nn import functional as F

        y = self._layers[f"{block}.branch_pool"](x)
        return F.relu_(F.avg_pool2d(y, 3, stride=1, padding=1, count_include_pad=False))

    def _mixed_6a(self, x: Tensor) -> Tensor:
        import torch
        from torch.nn import functional as F

        double = tuple(f"Mixed_6a.branch3x3dbl_{number}" for number in (1, 2, 3))
        direct = self._layers["Mixed_6a.branch3x3"](x)
        return torch.cat([direct, self._chain(x, double), F.max_pool2d(x, 3, 2)], 1)

    def _mixed_7a(self, x: Tensor) -> Tensor:
        import torch
        from torch.nn import functional as F

        short = self._chain(x, ("Mixed_7a.branch3x3_1", "Mixed_7a.branch3x3_2"))
        long = tuple(f"Mixed_7a.branch7x7x3_{number}" for number in (1, 2, 3, 4))
        return torch.cat([short, self._chain(x, long), F.max_pool2d(x, 3, 2)], 1)

    def _mixed_7(self, x: Tensor, block: str) -> Tensor:
        import torch
        from torch.nn import functional as F

        direct, single, double = self._heads(x, block)
        double = self._layers[f"{block}.branch3x3dbl_2"](double)
        ends = [
            direct,
            *(self._layers[f"{block}.branch3x3_2{side}"](single) for side in "ab"),
            *(self._layers[f"{block}.branch3x3dbl_3{side}"](double) for side in "ab"),
        ]
        if block == "Mixed_7b":
            return torch.cat([*ends, self._average(x, block)], 1)
        largest = F.max_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([*ends, self._layers["Mixed_7c.branch_pool"](largest)], 1)


def _blocks(last: Layer) -> list[str]:
    """The blocks of parallel branches that keep the size of the maps."""
    names = dict.fromkeys(name.split(".")[0] for name in convolutions(through=last))
    return [name for name in names if name.startswith("Mixed") and name not in _REDUCING]


def _layer(weights: InceptionWeights, name: str, *, fused: bool) -> Convolution:
    kernel, bias = weights.tensors[f"{name}.weight"], weights.tensors[f"{name}.bias"]
    same = (kernel.shape[2] // 2, kernel.shape[3] // 2)
    averaged = name.endswith("branch_pool") and not name.startswith("Mixed_7c")
    return Convolution(
        kernel=kernel,
        bias=bias,
        stride=UNPADDED_STRIDES.get(name, 1),
        padding=(0, 0) if name in UNPADDED_STRIDES else same,
        relu=not averaged,
        fused=fused,
    )
