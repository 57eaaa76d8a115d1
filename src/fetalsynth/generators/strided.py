"""4×4 convolutions of stride 2 whose weight gradient on tiny maps is one matrix product.

oneDNN takes up to twice as long for the weight gradient where the maps are tiny and the weights
many, as in a DCGAN's innermost layers, which is a tenth of its training step on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TINY = 16  # positions of the smaller map; above it oneDNN is as fast


class StridedConv2d(nn.Conv2d):
    """``nn.Conv2d(before, after, 4, 2, 1, bias=False)``, with the same parameters and result."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 4, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, 2H, 2W) → (N, after, H, W)."""
        even = x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
        if even and _by_product(self.weight, x, positions=x.shape[2] * x.shape[3] // 4):
            return _apply(x, self.weight, transposed=False)
        return super().forward(x)


class StridedConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)``, likewise."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 4, 2, 1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, before, H, W) → (N, after, 2H, 2W)."""
        if _by_product(self.weight, x, positions=x.shape[2] * x.shape[3]):
            return _apply(x, self.weight, transposed=True)
        return super().forward(x, output_size)


def _by_product(weight: Tensor, x: Tensor, *, positions: int) -> bool:
    learns = torch.is_grad_enabled() and weight.requires_grad
    return learns and x.device.type == "cpu" and positions <= TINY


def _apply(x: Tensor, weight: Tensor, *, transposed: bool) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    result: Tensor = _Strided.apply(x, weight, transposed)  # type: ignore[no-untyped-call]
    return result


class _Strided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.transposed = transposed
        convolve = F.conv_transpose2d if transposed else F.conv2d
        return convolve(x, weight, stride=2, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        x, weight = ctx.saved_tensors
        small, large = (x, gradient) if ctx.transposed else (gradient, x)
        back = None
        if ctx.needs_input_grad[0]:
            convolve = F.conv2d if ctx.transposed else F.conv_transpose2d
            back = convolve(gradient, weight, stride=2, padding=1)
        return back, _weight_gradient(small, large), None


def _weight_gradient(small: Tensor, large: Tensor) -> Tensor:
    """(N, D, H, W) and (N, C, 2H, 2W) → (D, C, 4, 4): every pair of positions that met, summed."""
    windows = F.pad(large.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).unfold(1, 4, 2).unfold(2, 4, 2)
    count = large.shape[1]
    rows = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 16 * count)
    columns = small.permute(0, 2, 3, 1).reshape(-1, small.shape[1])
    return (columns.t() @ rows).view(-1, 4, 4, count).permute(0, 3, 1, 2)
