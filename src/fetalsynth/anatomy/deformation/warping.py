"""Label maps and images through a displacement: new(x) = old(x + u(x))."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation.fields import sample


def warp_labels(
    labels: NDArray[np.uint8], displacement: Tensor, *, spacing_mm: Sequence[float]
) -> NDArray[np.uint8]:
    """(I, J, K) labels: at every voxel the label with the largest share in linear interpolation.

    The nearest voxel's label would turn every voxel of a region enlarged threefold into a block of
    three; interpolating the labels' numbers would invent tissues on the way from one to another.
    Shares interpolate each label's region by itself, so borders move by parts of a voxel and no
    label appears that is not among the eight neighbours. Where u = 0, labels are copied. Outside
    the volume all is background; at equal shares the lower label wins.
    """
    found = torch.zeros(displacement.shape[1:], dtype=torch.uint8, device=displacement.device)
    best = torch.zeros(displacement.shape[1:], device=displacement.device)
    known = torch.from_numpy(np.ascontiguousarray(labels)).to(displacement.device)
    outside = (
        1
        - sample(
            torch.ones_like(known, dtype=torch.float32)[None], displacement, spacing_mm=spacing_mm
        )[0]
    )
    for label in np.unique(labels):
        region = (known == int(label)).float()
        share = sample(region[None], displacement, spacing_mm=spacing_mm)[0]
        if label == 0:
            share += outside
        better = share > best
        best = torch.where(better, share, best)
        found[better] = int(label)
    return np.asarray(found.cpu().numpy())


def warp_image(
    image: NDArray[np.generic], displacement: Tensor, *, spacing_mm: Sequence[float]
) -> NDArray[np.float32]:
    """(I, J, K) values, linear between voxels; 0 outside the volume."""
    values = torch.from_numpy(np.ascontiguousarray(image, np.float32)).to(displacement.device)
    found = sample(values[None], displacement, spacing_mm=spacing_mm)[0]
    return np.asarray(found.cpu().numpy())
