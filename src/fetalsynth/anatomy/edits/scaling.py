"""Velocity fields that draw a region towards a point, less and less where something stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.deformation import smooth
from fetalsynth.anatomy.edits.pushes import SMOOTHING_MM

_RAMP_MM = 4.0


def shrinking(
    region: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    *,
    centre: NDArray[np.float64],
    spacing_mm: Sequence[float],
) -> NDArray[np.float32]:
    """(3, I, J, K) velocity, mm: v = −w·(x − c), which for w = 1 halves lengths in time ln 2.

    ``centre`` (3,) in voxels. w = D/(d + D), with d the distance from ``region`` (0 inside) and D
    that from what is ``fixed``: the region keeps its shape, what is fixed stays, and what lies
    between is stretched evenly. Smoothed as a whole, then ramped to nothing over the last 4 mm.
    """
    outside = ndimage.distance_transform_edt(~region, sampling=spacing_mm)
    room = ndimage.distance_transform_edt(~fixed, sampling=spacing_mm)
    weight = (room / np.maximum(outside + room, 1e-6)).astype(np.float32)
    arm = np.indices(region.shape, np.float32)
    for axis, step in enumerate(spacing_mm):
        arm[axis] = (arm[axis] - np.float32(centre[axis])) * np.float32(step)
    velocity = torch.from_numpy(-arm * weight)
    smoothed = smooth(velocity, sigma_mm=SMOOTHING_MM, spacing_mm=spacing_mm).numpy()
    # smoothing carries some of it across the border of what is fixed, which a ramp takes back
    return np.asarray(smoothed * np.clip(room / _RAMP_MM, 0, 1).astype(np.float32))
