"""Over which pixels a paired score is taken, because that decides it.

Most of a fetal brain volume is background, which any generator gets right: scores over the whole
volume say little about the brain. Every paired score is therefore taken three times:

- ``full``: every pixel;
- ``box``: the smallest box, parallel to the axes, that holds the foreground;
- ``mask``: the foreground itself.

The foreground is that of the real image alone, so that no generator can change it: the mask that
comes with it, else the tissue of its label map (any label but 0), else its pixels brighter than
black.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Region = Literal["full", "box", "mask"]
REGIONS: tuple[Region, ...] = ("full", "box", "mask")


def foreground(
    *,
    real: NDArray[np.generic],
    black: float,
    labels: NDArray[np.integer] | None = None,
    mask: Mask | None = None,
) -> tuple[Mask, str]:
    """The foreground of a real image, and the rule that gave it.

    Raises ValueError where it is empty or the shapes differ.
    """
    if mask is not None:
        found, rule = mask, "the mask that comes with the real image"
    elif labels is not None:
        found, rule = labels != 0, "labels other than 0"
    else:
        found, rule = np.asarray(real.astype(np.float64) > black), "brighter than black"
    if found.shape != real.shape:
        raise ValueError(f"the mask has shape {found.shape}, the image {real.shape}")
    if not found.any():
        raise ValueError(f"the foreground ({rule}) is empty")
    return found, rule


def regions(inside: Mask) -> dict[Region, Mask]:
    """Every region as a mask of the shape of the foreground ``inside``."""
    box = np.zeros(inside.shape, bool)
    box[bounding_box(inside)] = True
    return {"full": np.ones(inside.shape, bool), "box": box, "mask": inside}


def bounding_box(inside: Mask) -> tuple[slice, ...]:
    """Slices of the smallest box that holds every true voxel; there must be one."""
    slices = []
    for axis in range(inside.ndim):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        filled = np.flatnonzero(inside.any(axis=others))
        slices.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(slices)


def mean_over(*, map_: NDArray[np.float64], region: Mask) -> float:
    """Mean of an SSIM map over a region of the image that it was made from.

    The map lacks the same margin on every side; the part of the region within it counts. Raises
    ValueError where none does.
    """
    margins = [(whole - part) // 2 for whole, part in zip(region.shape, map_.shape, strict=True)]
    within = region[tuple(slice(m, m + n) for m, n in zip(margins, map_.shape, strict=True))]
    if not within.any():
        raise ValueError(f"the foreground lies within {max(margins)} pixels of the border")
    return float(map_[within].mean())
