"""Slices of cubes as tensors: how they hang, and the neighbours that lend them their labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def with_neighbours(stack: Tensor, *, context: int) -> Tensor:
    """Slices (n, H, W) in their order → (n, 2 · context + 1, H, W), each in the middle.

    Beyond the first and the last slice lies background, 0. A view of a padded copy.
    """
    padded = F.pad(stack, (0, 0, 0, 0, context, context))
    return padded.unfold(0, 2 * context + 1, 1).movedim(-1, 1)


def neighbours_of(cube: Tensor, *, axis: int, number: int, context: int) -> Tensor:
    """The same for one slice across ``axis`` of a cube (I, J, K): (2 · context + 1, …, …).

    The two remaining axes keep their order.
    """
    wanted = range(number - context, number + context + 1)
    empty = torch.zeros_like(cube.select(axis, number))
    return torch.stack(
        [cube.select(axis, k) if 0 <= k < cube.shape[axis] else empty for k in wanted]
    )


def hung(across: Tensor) -> Tensor:
    """(…, A, B) as cut from a cube in RAS+ order → (…, B, A) as radiologists hang it.

    The same as :func:`fetalsynth.anatomy.planes.to_slices` does to arrays.
    """
    return across.transpose(-1, -2).flip(-2)


def unhung(slices: Tensor) -> Tensor:
    """The inverse of :func:`hung`."""
    return slices.flip(-2).transpose(-1, -2)
