"""How near a label map is to the ones a model was made from, wherever and however they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.labels import BACKGROUND, FETA
from fetalsynth.anatomy.measure.fields import Affine, crop
from fetalsynth.anatomy.measure.frame import Frame, find_frame

SIZE, SPACING_MM = 128, 1.2


def stand_upright(
    labels: NDArray[np.uint8], affine: Affine, *, frame: Frame | None = None
) -> NDArray[np.uint8]:
    """(SIZE, SIZE, SIZE) labels in the head's own axes, its middle in the middle.

    ``labels`` (I, J, K) FeTA with a (4, 4) ``affine`` in mm; ``frame`` is found where not given.
    Position, turn and voxel size of the volume are gone; the size of the head stays.
    """
    labels, affine = crop(labels, affine)
    frame = frame or find_frame(labels, affine)
    to_frame = np.eye(4)
    to_frame[:3, :3] = frame.axes.T * SPACING_MM
    middle = _middle(labels, affine, frame)
    to_frame[:3, 3] = frame.world(middle) - to_frame[:3, :3] @ np.full(3, (SIZE - 1) / 2)
    to_own = np.linalg.inv(affine) @ to_frame
    found = ndimage.affine_transform(
        labels, to_own[:3, :3], to_own[:3, 3], output_shape=(SIZE,) * 3, order=0
    )
    return np.asarray(found, np.uint8)


def _middle(labels: NDArray[np.uint8], affine: Affine, frame: Frame) -> NDArray[np.float64]:
    """Centre of mass of all labels in the frame, on the midsagittal plane."""
    centre = np.array(ndimage.center_of_mass(labels > BACKGROUND))
    inside = frame.inside(affine[:3, :3] @ centre + affine[:3, 3])
    return np.asarray(inside * [0, 1, 1])


def mean_dice(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean over the tissues that either has of 2 |A ∩ B| / (|A| + |B|); 1 for two of a kind."""
    kinds = len(FETA)
    pairs = np.bincount(one.ravel().astype(np.int64) * kinds + other.ravel(), minlength=kinds**2)
    table: NDArray[Any] = pairs.reshape(kinds, kinds)
    both = table.sum(axis=0) + table.sum(axis=1)
    there = both[1:] > 0
    if not there.any():
        return 1.0
    return float((2 * np.diag(table)[1:][there] / both[1:][there]).mean())


def nearest_dice(upright: NDArray[np.uint8], training: Sequence[NDArray[np.uint8]]) -> float:
    """The largest mean Dice of one upright label map with those of ``training``."""
    if not training:
        raise ValueError("needs at least one training volume")
    return max(mean_dice(upright, other) for other in training)
