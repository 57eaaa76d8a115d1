"""SPADE layers in training, their label networks run once per distinct label window of the batch.

The same values and gradients as from one-hot maps of every pixel, up to rounding: each pixel looks
its modulation up, and its gradient is added to the row that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fetalsynth.generators.spade.label_windows import distinct_windows, window_rows

_BLOCK_BYTES = 1 << 19  # of looked-up rows at a time: about half of a core's second cache


@dataclass(frozen=True, kw_only=True)
class Windows:
    """What a layer reads in place of one-hot maps of every pixel.

    ``rows`` (U, 9, taps) and ``inside`` (U, 9) describe the distinct windows as
    :func:`.label_windows.window_rows` does; ``index`` (N, H, W) int32 is the window of each pixel.
    """

    rows: Tensor
    inside: Tensor
    index: Tensor


def find_windows(labels: Tensor, planes: Tensor | None, *, count: int) -> Windows | None:
    """Windows of labels (N, H, W) below ``count``, and of planes (N,) where they count.

    None where more than half of the windows differ: one-hot maps are as quick then, and smaller.
    """
    found = distinct_windows(labels.to(torch.uint8), planes=planes)
    if 2 * len(found.windows) > labels.numel():
        return None
    rows, inside = window_rows(found, labels=count, planes=planes is not None)
    return Windows(rows=rows, inside=inside, index=found.index)


def modulate_by_windows(
    normalised: Tensor, windows: Windows, *, shared: nn.Conv2d, gamma: nn.Conv2d, beta: nn.Conv2d
) -> Tensor:
    """(1 + γ′) · normalised + β, all (N, C, H, W), of a label network's three convolutions."""
    first = F.pad(_matrix(shared.weight).t(), (0, 0, 0, 1))
    assert shared.bias is not None
    hidden = F.embedding_bag(windows.rows.flatten(0, 1), first, mode="sum") + shared.bias
    hidden = F.relu(hidden).view(-1, 9, hidden.shape[1])
    # the second convolution pads the hidden maps with zeros, whatever the first one's bias
    hidden = (hidden * windows.inside[..., None].to(hidden.dtype)).flatten(1)
    assert gamma.bias is not None
    assert beta.bias is not None
    table = F.linear(
        hidden,
        _matrix(torch.cat([gamma.weight, beta.weight])),
        torch.cat([gamma.bias + 1, beta.bias]),
    )
    x = normalised.permute(0, 2, 3, 1).contiguous()
    y: Tensor = _LookUp.apply(x, table.to(x.dtype), windows.index)  # type: ignore[no-untyped-call]
    return y.permute(0, 3, 1, 2)


def _matrix(weights: Tensor) -> Tensor:
    """(outputs, inputs, 3, 3) → (outputs, 9 · inputs), positions first."""
    return weights.permute(0, 2, 3, 1).flatten(1)


class _LookUp(torch.autograd.Function):
    """a · x + b, where a | b is the row of a table that an index names for each pixel.

    x (N, H, W, C), table (U, 2 C), index (N, H, W). Works through blocks that stay in the cache;
    a row's gradient is the sum over its pixels, in float32 at least.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(x, table, index)
        y, channels = torch.empty_like(x), x.shape[-1]
        for to, of, at in zip(*_blocks(table, y, x), _rows(table, index), strict=True):
            ab = table.index_select(0, at)
            torch.addcmul(ab[:, channels:], ab[:, :channels], of, out=to)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, table, index = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        into, channels = torch.empty_like(x), x.shape[-1]
        a = table[:, :channels].contiguous()
        exact = torch.promote_types(table.dtype, torch.float32)
        of_a, of_b = (a.new_zeros(a.shape, dtype=exact) for _ in range(2))
        blocks = zip(*_blocks(table, into, x, gradient), _rows(table, index), strict=True)
        for to, of, dy, at in blocks:
            torch.mul(a.index_select(0, at), dy, out=to)
            of_b.index_add_(0, at, dy.to(exact))
            of_a.index_add_(0, at, dy.to(exact) * of)
        return into, torch.cat([of_a, of_b], 1).to(table.dtype), None


def _blocks(table: Tensor, *maps: Tensor) -> list[tuple[Tensor, ...]]:
    """Maps (N, H, W, C), cut into blocks of pixels (n, C)."""
    return [torch.split(x.view(-1, x.shape[-1]), _pixels(table)) for x in maps]


def _rows(table: Tensor, index: Tensor) -> tuple[Tensor, ...]:
    return torch.split(index.view(-1), _pixels(table))


def _pixels(table: Tensor) -> int:
    return max(1, _BLOCK_BYTES // (table.shape[1] * table.element_size()))
