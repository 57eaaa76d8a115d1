"""Black where no tissue is near: what a masked image shows there, and a network only nearly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Reconstructed volumes are masked by the brain grown by a few millimetres, so that a network has
# something to say near tissue; a centimetre away it can only repeat black, or invent.
REACH_MM = 10.0


def near_tissue(
    labels: NDArray[np.uint8], *, spacing_mm: NDArray[np.float64], reach_mm: float = REACH_MM
) -> NDArray[np.bool_]:
    """Whether each voxel (I, J, K) lies within ``reach_mm`` of a label above 0."""
    from scipy.ndimage import distance_transform_edt

    inside = labels > 0
    near = np.zeros(labels.shape, bool)
    box = []
    for axis, step in enumerate(spacing_mm):
        across = tuple(other for other in range(3) if other != axis)
        held = np.flatnonzero(inside.any(axis=across))
        margin = int(reach_mm / step) + 1
        box.append(slice(max(0, held[0] - margin), held[-1] + margin + 1))
    window = tuple(box)
    near[window] = distance_transform_edt(~inside[window], sampling=spacing_mm) <= reach_mm
    return near
