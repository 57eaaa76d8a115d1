"""Passes over maps that look up, for every pixel, what its label window says.

Maps are (n, h, w, C), channels last; an index (n, H, W) names a row of a table for every pixel.
Maps of half the size count as doubled: they are enlarged where they are read, and never stored so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.generators.spade.layers import SLOPE

_BLOCK_BYTES = 1 << 19  # of looked-up rows at a time: about half of a core's second cache


@dataclass(frozen=True)
class Workspace:
    """Maps with a border of zeros, kept from one slice to the next: new memory costs time."""

    made: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def padded(self, like: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
        """(N, H + 2, W + 2, C) of whatever lies inside the zeros, for ``shape`` (N, H, W, C)."""
        if shape not in self.made:
            count, height, width, channels = shape
            self.made[shape] = like.new_zeros(count, height + 2, width + 2, channels)
        return self.made[shape]


def modulate(x: Tensor, index: Tensor, table: Tensor, *, doubled: bool, space: Workspace) -> Tensor:
    """Leaky ReLU of a · x + b with the ``table``'s a | b, in a border of zeros."""
    channels = x.shape[-1]
    padded = space.padded(x, (*index.shape, channels))
    inside = padded[:, 1:-1, 1:-1]
    for block in _blocks(index, table):
        ab = table.index_select(0, index[block].flatten()).view(*index[block].shape, -1)
        y = inside[block]
        torch.addcmul(ab[..., channels:], ab[..., :channels], _part(x, block, doubled), out=y)
        F.leaky_relu_(y, SLOPE)
    return padded


def add_bypass(
    y: Tensor, x: Tensor, index: Tensor, table: Tensor, weights: Tensor, *, doubled: bool
) -> None:
    """Add to y (n, H, W, outputs) the shortcut (a · x) · weights + b, of the ``table``'s a | b."""
    channels = x.shape[-1]
    for block in _blocks(index, table):
        ab = table.index_select(0, index[block].flatten())
        part = _part(x, block, doubled).reshape(-1, channels)
        into = y[block].view(-1, y.shape[-1])
        into.add_(ab[:, channels:]).addmm_(ab[:, :channels] * part, weights)


def _blocks(index: Tensor, table: Tensor) -> Iterator[tuple[slice, slice]]:
    """(slices, rows) of pixels: whole slices, or an even number of rows of one, at a time."""
    count, height, width = index.shape
    pixels = max(1, _BLOCK_BYTES // (table.shape[1] * table.element_size()))
    if index.is_cuda:
        pixels = index.numel()
    slices = max(1, pixels // (height * width))
    rows = height if slices > 1 else max(2, pixels // width // 2 * 2)
    for n in range(0, count, slices):
        for top in range(0, height, rows):
            yield slice(n, min(n + slices, count)), slice(top, min(top + rows, height))


def _part(x: Tensor, block: tuple[slice, slice], doubled: bool) -> Tensor:
    """The block's maps, from maps of half the size where these are to be doubled."""
    slices, rows = block
    return enlarge(x[slices, rows.start // 2 : rows.stop // 2]) if doubled else x[block]


def enlarge(x: Tensor) -> Tensor:
    """(n, h, w, C) → (n, 2 h, 2 w, C), nearest."""
    count, height, width, channels = x.shape
    wide = x[:, :, None, :, None, :].expand(count, height, 2, width, 2, channels)
    return wide.reshape(count, 2 * height, 2 * width, channels)
