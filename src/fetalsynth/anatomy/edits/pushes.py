"""Velocity fields that push a region's border out, as far as there is room, or draw it in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.deformation import smooth

SMOOTHING_MM = 2.5
_ROOM_MM = 8.0  # thickness of the tissue around the region at which it moves at half speed


def push(
    region: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    *,
    spacing_mm: Sequence[float],
    amount_mm: NDArray[np.float32] | float = 1.0,
    smoothing_mm: float = SMOOTHING_MM,
) -> NDArray[np.float32]:
    """(3, I, J, K) velocity of at most ``amount_mm`` per unit time, away from ``region``.

    With d the distance from the region (0 inside), D that from what is ``fixed`` (0 there) and
    T = d + D the thickness of what lies between, v = T/(T + 8 mm) · D/T · n: full speed at the
    region's border, none at what is fixed, evenly compressed between, and slower the less room is
    left, so that a wall never gets through. n is the outward normal of the region's signed
    distance. The velocity as a whole is smoothed, last: a smooth weight on unsmoothed normals tears
    along the region's middle and along the ridges of the distance. ``amount_mm`` may differ from
    voxel to voxel (I, J, K); negative, it draws the border in.
    """
    outside = ndimage.distance_transform_edt(~region, sampling=spacing_mm).astype(np.float32)
    inside = ndimage.distance_transform_edt(region, sampling=spacing_mm).astype(np.float32)
    room = ndimage.distance_transform_edt(~fixed, sampling=spacing_mm).astype(np.float32)
    signed = ndimage.gaussian_filter(outside - inside, [1.0 / s for s in spacing_mm])
    normal = np.stack(np.gradient(signed, *spacing_mm)).astype(np.float32)
    normal /= np.maximum(np.sqrt((normal**2).sum(axis=0)), 1e-3)
    thick = outside + room
    speed = room / np.maximum(thick + _ROOM_MM, 1e-6)
    velocity = torch.from_numpy(np.asarray(normal * speed * amount_mm, np.float32))
    return np.asarray(smooth(velocity, sigma_mm=smoothing_mm, spacing_mm=spacing_mm).numpy())
