"""Left and right of the midsagittal plane, and how much of each tissue lies on either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.measure.fields import Affine
from fetalsynth.anatomy.measure.frame import Frame

Volumes = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TissueVolumes:
    """Millilitres by tissue name: all, left and right of the midsagittal plane.

    The ventricles of a side include its half of the third and the fourth ventricle and of the
    cavum, as far as they are labelled so.
    """

    all_ml: Volumes
    left_ml: Volumes
    right_ml: Volumes


def distance_to_midline(
    shape: tuple[int, ...], affine: Affine, *, frame: Frame
) -> NDArray[np.float32]:
    """(I, J, K) signed mm of every voxel's centre, positive to the right of the fetus."""
    steps = affine[:3, :3].T @ frame.axes[0]
    start = float((affine[:3, 3] - frame.origin) @ frame.axes[0])
    i, j, k = (steps[axis] * np.arange(shape[axis]) for axis in range(3))
    distance = start + i[:, None, None] + j[:, None] + k
    return np.asarray(distance, np.float32)


def right_share(shape: tuple[int, ...], affine: Affine, *, frame: Frame) -> NDArray[np.float32]:
    """(I, J, K) share of every voxel that lies to the right of the midsagittal plane."""
    width = float(np.abs(affine[:3, :3].T @ frame.axes[0]).sum())
    distance = distance_to_midline(shape, affine, frame=frame)
    return np.asarray(np.clip(0.5 + distance / width, 0, 1), np.float32)


def tissue_volumes(labels: NDArray[np.uint8], affine: Affine, *, frame: Frame) -> TissueVolumes:
    """Volumes of the seven FeTA tissues in (I, J, K) ``labels`` with a (4, 4) ``affine``, mm."""
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    share = right_share(labels.shape, affine, frame=frame)
    flat = labels.ravel()
    count = np.bincount(flat, minlength=len(FETA))
    right = np.bincount(flat, weights=share.ravel(), minlength=len(FETA))
    return TissueVolumes(
        all_ml=_named(count * voxel_ml),
        left_ml=_named((count - right) * voxel_ml),
        right_ml=_named(right * voxel_ml),
    )


def _named(values: NDArray[np.floating[Any]]) -> dict[str, float]:
    return {name: float(values[label]) for label, name in enumerate(FETA) if label}
