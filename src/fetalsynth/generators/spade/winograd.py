"""3×3 convolutions at inference, by a quarter of the multiplications where that pays.

Winograd's minimal filtering F(4×4, 3×3) (Lavin & Gray, CVPR 2016, arXiv 1509.09308, §4): tiles of
6×6 positions are transformed by additions, multiplied with the transformed weights channel by
channel, which is 36 matrix products in place of 144, and transformed back to 4×4 results. In
float32 its rounding error is about four times that of the direct sum of thousands of terms for one
layer, and no larger through a whole network of normalised maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TILE = 4
_FEWEST_CHANNELS = 128  # with fewer the transforms take what the products save
_TILES = 256  # at a time: their transforms stay in the cache
_WEIGHTS = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A 3×3 convolution at rest: ``weights`` (outputs, inputs, 3, 3), and ``bias``.

    ``transformed`` (36, inputs, outputs) are the weights for work by tiles, where that was chosen.
    """

    weights: Tensor
    bias: Tensor
    transformed: Tensor | None = None

    def __call__(self, padded: Tensor) -> Tensor:
        """(N, H + 2, W + 2, inputs), zeros around → (N, H, W, outputs), both contiguous."""
        if self.transformed is not None:
            height, width = padded.shape[1] - 2, padded.shape[2] - 2
            whole = F.pad(padded, (0, 0, 0, -width % _TILE, 0, -height % _TILE))
            return _by_tiles(whole, self.transformed, self.bias)[:, :height, :width].contiguous()
        y = F.conv2d(padded.permute(0, 3, 1, 2), self.weights, self.bias)
        return y.permute(0, 2, 3, 1).contiguous()

    def by_tiles(self) -> Convolution:
        """The same by tiles where that is faster, with four times the memory for weights.

        It is in float32 on CPUs; cuDNN chooses by itself, and bfloat16 would lose digits.
        """
        weights = self.weights
        wide = min(weights.shape[:2]) >= _FEWEST_CHANNELS
        if not wide or weights.dtype != torch.float32 or weights.device.type != "cpu":
            return self
        outer = torch.einsum("ai,bj->abij", _WEIGHTS, _WEIGHTS).reshape(36, 9)
        taps = weights.permute(2, 3, 1, 0).reshape(9, -1)
        transformed = (outer @ taps).view(36, weights.shape[1], weights.shape[0])
        return replace(self, transformed=transformed)


def prepare(convolution: nn.Module, *, dtype: torch.dtype) -> Convolution:
    """A copy of a trained ``convolution`` (3×3, with a bias) in ``dtype``."""
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    weights = convolution.weight.detach().to(dtype, copy=True)
    return Convolution(
        weights=weights.contiguous(memory_format=torch.channels_last),
        bias=convolution.bias.detach().to(dtype, copy=True),
    )


def _by_tiles(padded: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    count, height, width = padded.shape[0], padded.shape[1] - 2, padded.shape[2] - 2
    down, across, outputs = height // _TILE, width // _TILE, weights.shape[2]
    y = padded.new_empty(count, height, width, outputs)
    slices = max(1, _TILES // (down * across))
    rows = max(1, min(down, _TILES // across))
    for n in range(0, count, slices):
        for top in range(0, down, rows):
            bottom = min(top + rows, down)
            tiles = _forth(padded[n : n + slices, _TILE * top : _TILE * bottom + 2])
            products = torch.bmm(tiles.flatten(2, 4).flatten(0, 1), weights)
            products = products.view(*tiles.shape[:5], outputs)
            band = y[n : n + slices, _TILE * top : _TILE * bottom]
            _back(products, into=band)
            band.add_(bias)
    return y


def _forth(band: Tensor) -> Tensor:
    """(n, 4 r + 2, 4 w + 2, C) → the tiles' transforms (6, 6, n, r, w, C)."""
    count, height, width, channels = band.shape
    down, across = (height - 2) // _TILE, (width - 2) // _TILE
    halfway = band.new_empty(6, count, down, width, channels)
    _transform([band[:, i : i + height - 5 : _TILE] for i in range(6)], halfway.unbind(0))
    tiles = band.new_empty(6, 6, count, down, across, channels)
    columns = [halfway[:, :, :, j : j + width - 5 : _TILE] for j in range(6)]
    _transform(columns, tiles.unbind(1))
    return tiles


def _transform(d: Sequence[Tensor], to: Sequence[Tensor]) -> None:
    """Six inputs of a tile along one axis to its six terms (Bᵀ of F(4, 3))."""
    even, odd = torch.add(d[4], d[2], alpha=-4), torch.add(d[3], d[1], alpha=-4)
    torch.add(even, odd, out=to[1])
    torch.sub(even, odd, out=to[2])
    torch.sub(d[4], d[2], out=even)
    torch.sub(d[3], d[1], out=odd)
    torch.add(even, odd, alpha=2, out=to[3])
    torch.sub(even, odd, alpha=2, out=to[4])
    torch.add(d[4], d[2], alpha=-5, out=to[0]).add_(d[0], alpha=4)
    torch.add(d[5], d[3], alpha=-5, out=to[5]).add_(d[1], alpha=4)


def _back(products: Tensor, *, into: Tensor) -> None:
    """Terms (6, 6, n, r, w, C) → results (n, 4 r, 4 w, C)."""
    halfway = torch.empty_like(products[:4])
    _invert(products.unbind(0), halfway.unbind(0))
    _, _, count, down, across, channels = products.shape
    tiles = into.view(count, down, _TILE, across, _TILE, channels).permute(2, 4, 0, 1, 3, 5)
    _invert(halfway.unbind(1), tiles.unbind(1))


def _invert(m: Sequence[Tensor], to: Sequence[Tensor]) -> None:
    """Six terms along one axis to a tile's four results (Aᵀ of F(4, 3))."""
    sum_1, difference_1 = m[1] + m[2], m[1] - m[2]
    sum_2, difference_2 = m[3] + m[4], m[3] - m[4]
    torch.add(sum_1, sum_2, out=to[0]).add_(m[0])
    torch.add(difference_1, difference_2, alpha=2, out=to[1])
    torch.add(sum_1, sum_2, alpha=4, out=to[2])
    torch.add(difference_1, difference_2, alpha=8, out=to[3]).add_(m[5])
