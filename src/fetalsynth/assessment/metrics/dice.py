"""Overlap of two label maps, tissue by tissue.

Formula
    Dice = 2 |A ∩ B| / (|A| + |B|), A and B being the voxels of one label in the two maps (Dice
    1945; Sørensen 1948).
Direction
    Higher is more alike.
Input
    Two label maps of one shape.
Ideal and chance
    1 for equal maps, 0 for tissues that nowhere meet. Large and compact tissues score higher than
    thin ones at the same distance of their borders: compare a tissue with itself only.
    A label that neither map has tells nothing: not a number, to be left out of means. A label that
    one map alone has scores 0.
Least number of images
    One pair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def dice(
    *,
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    labels: Sequence[int],
) -> dict[int, float]:
    """Dice of each of ``labels``; NaN for one that occurs in neither map.

    Raises ValueError for differing shapes or a negative label.
    """
    if first.shape != second.shape:
        raise ValueError(f"label maps differ in shape: {first.shape} and {second.shape}")
    if min([0, *labels, *(int(x.min()) for x in (first, second) if x.size)]) < 0:
        raise ValueError("labels must not be negative")
    least = max(labels, default=0) + 1
    sizes, others, shared = (
        np.bincount(x.ravel(), minlength=least) for x in (first, second, first[first == second])
    )
    return {
        label: float(2 * shared[label] / total) if total else float("nan")
        for label in labels
        for total in [int(sizes[label] + others[label])]
    }
