"""The distinct 5×5 windows of label maps.

Two stacked 3×3 convolutions of a one-hot label map see no more than the 5×5 labels around a pixel,
and tissue maps repeat themselves: a few per cent of a brain slice's windows are distinct. Whatever
such a network says of a slice need be computed for those only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES

SIDE = 5
OUTSIDE = 255  # code of what lies beyond the image; no label has it
_KEYS = 2**62  # distinct keys that an int64 holds, with room to spare


@dataclass(frozen=True, kw_only=True)
class LabelWindows:
    """Every window once, and where it stands.

    ``windows`` (U, 5, 5) uint8 are labels, :data:`OUTSIDE` beyond the image; ``planes`` (U,) int64
    the plane of the slices a window was found in (0 where no planes are told apart); ``index``
    (N, H, W) int32 says which window surrounds each pixel.
    """

    windows: Tensor
    planes: Tensor
    index: Tensor


def distinct_windows(labels: Tensor, *, planes: Tensor | None = None) -> LabelWindows:
    """The distinct windows of ``labels`` (N, H, W) uint8, below 255, on any device.

    Slices of different ``planes`` (N,) share none. Windows are told apart by all 25 labels, packed
    into integers, never by a hash alone. Their order depends on the set of windows only. Windows
    of one label are set aside first: they are most of any slice.
    """
    count = len(labels)
    padded = F.pad(labels, (SIDE // 2,) * 4, value=OUTSIDE)
    plane = torch.zeros(count, dtype=torch.int64) if planes is None else planes.long()
    plane = plane.to(labels.device)
    uniform = _over_windows(torch.minimum, padded) == _over_windows(torch.maximum, padded)

    code = plane.int()[:, None, None] * 256 + labels
    single, number = _present(code[uniform])
    singles = (single % 256).to(torch.uint8)[:, None].expand(-1, SIDE * SIDE)
    index = number[torch.where(uniform, code, single[:1].int())] if len(single) else code

    n, i, j = torch.nonzero(~uniform, as_tuple=True)
    corners = (n * padded.shape[1] + i) * padded.shape[2] + j
    mixed_at, first = _tell_apart(padded, corners, plane[n])
    mixed = padded.flatten()[corners[first, None] + _offsets(padded)]
    index[n, i, j] = (mixed_at + len(single)).int()
    return LabelWindows(
        windows=torch.cat([singles, mixed]).view(-1, SIDE, SIDE),
        planes=torch.cat([single // 256, plane[n[first]]]),
        index=index,
    )


def window_rows(found: LabelWindows, *, labels: int, planes: bool) -> tuple[Tensor, Tensor]:
    """What a 3×3 convolution of one-hot maps adds up at the nine positions inside each window.

    Its weights are a table of 9 K rows (tap by tap, K labels and, with ``planes``, planes), and one
    row of zeros, for what lies beyond the image and for unknown labels. Returns (U, 9, taps) rows,
    and (U, 9) float32, 1 for positions inside the image.
    """
    codes = found.windows.long().unfold(1, 3, 1).unfold(2, 3, 1).flatten(3).flatten(1, 2)
    count = labels + (len(PLANES) if planes else 0)
    tap = count * torch.arange(9, device=codes.device)
    rows = torch.where(codes < labels, tap + codes, 9 * count)
    if planes:
        told = tap + labels + found.planes[:, None, None]
        rows = torch.cat([rows, torch.where(codes == OUTSIDE, 9 * count, told)], -1)
    return rows, (found.windows[:, 1:4, 1:4] != OUTSIDE).float().flatten(1)


def _present(codes: Tensor) -> tuple[Tensor, Tensor]:
    """(the codes there are, ascending; int32 table that numbers them), for small codes."""
    present = torch.bincount(codes.flatten()) > 0
    return torch.nonzero(present).flatten(), (torch.cumsum(present, 0) - 1).int()


def _over_windows(extreme: Callable[[Tensor, Tensor], Tensor], padded: Tensor) -> Tensor:
    """The least or the greatest label of each window, (N, H, W), rows and columns in turn."""
    for axis in (1, 2):
        size = padded.shape[axis] - SIDE + 1
        result = padded.narrow(axis, 0, size)
        for shift in range(1, SIDE):
            result = extreme(result, padded.narrow(axis, shift, size))
        padded = result
    return padded


def _offsets(padded: Tensor) -> Tensor:
    """From a window's first element to its 25 in the flattened, padded stack."""
    steps = torch.arange(SIDE, device=padded.device)
    return (steps[:, None] * padded.shape[2] + steps).flatten()


def _tell_apart(padded: Tensor, corners: Tensor, plane: Tensor) -> tuple[Tensor, Tensor]:
    """(which of the distinct windows each one is, one position of each distinct window).

    The key of a window grows by as many labels as an integer still holds; then the keys found are
    numbered from 0, which makes room for more.
    """
    flat = padded.flatten()
    found, number = _present(flat)
    digit, base = number[flat.int()], max(len(found), 1)
    key, keys = plane, int(plane.max()) + 1 if len(plane) else 1
    for offset in _offsets(padded).tolist():
        if keys * base > _KEYS:
            distinct, key = torch.unique(key, return_inverse=True)
            keys = len(distinct)
        key, keys = key * base + digit[corners + offset], keys * base
    distinct, key = torch.unique(key, return_inverse=True)
    first = torch.empty(len(distinct), dtype=torch.int64, device=key.device)
    first[key] = torch.arange(len(key), device=key.device)
    return key, first
