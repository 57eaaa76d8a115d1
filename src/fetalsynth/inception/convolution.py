"""A convolution with its ReLU in one pass over memory, where oneDNN offers that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """y = [ReLU] (kernel ∗ x + bias) for float32 maps (N, C, H, W) in ``channels_last`` on a CPU.

    ``kernel`` is (out, in, height, width). For each shape of maps the kernel is kept once more in
    the order that oneDNN wants for it (without the shape it chooses one of half the speed), so
    give maps of one shape. Without oneDNN the values are the same up to rounding; so are they with
    ``fused`` False, where gradients flow and any device will do.
    """

    kernel: Tensor
    bias: Tensor
    stride: int
    padding: tuple[int, int]
    relu: bool
    fused: bool = True
    _packed: dict[tuple[int, ...], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, x: Tensor) -> Tensor:
        """Maps of the next layer."""
        import torch
        from torch.nn import functional as F

        strides = [self.stride, self.stride]
        if not (self.fused and fuses()):
            y = F.conv2d(x, self.kernel, self.bias, strides, self.padding)
            return F.relu_(y) if self.relu else y
        after = "relu" if self.relu else "none"
        run, packed = torch.ops.mkldnn._convolution_pointwise, self._pack(x)
        y = run(x, packed, self.bias, self.padding, strides, [1, 1], 1, after, [], "")
        assert isinstance(y, torch.Tensor)
        return y

    def _pack(self, x: Tensor) -> Tensor:
        import torch

        shape = tuple(x.shape)
        if shape not in self._packed:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            strides = [self.stride, self.stride]
            packed = reorder(self.kernel, list(self.padding), strides, [1, 1], 1, list(shape))
            self._packed[shape] = packed
        return self._packed[shape]


def fuses() -> bool:
    """Whether this PyTorch has the fused operation on this machine."""
    import torch

    available: bool = torch._C._has_mkldnn
    return available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
