"""From a volume's own space into the cube that a model sees, and back.

The cube's axes are those of the volume, reordered and flipped to run nearest to right, anterior and
superior; nothing is rotated, so every step is done axis by axis. With the spacing kept, voxels are
copied, and the way back is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.nifti import Affine
from fetalsynth.datasets.volumes.nifti import spacing_of
from fetalsynth.datasets.volumes.resampling import Way, box_of, mapped, mapped_labels
from fetalsynth.errors import UserError

# 0.799999 mm and 0.8 mm are one spacing: over 256 voxels the two drift apart by a hundredth voxel.
_SAME = 1e-3
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A cube of ``size`` voxels per side. ``spacing_mm`` None keeps each volume's own spacing."""

    size: int
    spacing_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a volume lies in the cube.

    ``shape`` is the volume's own. ``affine`` maps cube voxels to mm, ``to_own`` cube voxels to the
    volume's own voxels; both are (4, 4).
    """

    shape: tuple[int, int, int]
    affine: Affine
    to_own: Affine


@dataclass(frozen=True)
class _Axis:
    """One axis of the cube: own voxel = start + step · cube voxel along the own axis ``own``."""

    own: int
    start: float
    step: float


def place(
    *,
    shape: tuple[int, ...],
    affine: Affine,
    labels: NDArray[Any],
    grid: Grid,
    where: str,
) -> Placement:
    """Centre the box of ``labels`` > 0 in the cube.

    ``labels`` has ``shape``; ``where`` names the volume in errors. Raises UserError where all is
    background or the box is larger than the cube, with a size or spacing that would do.
    """
    if not labels.any():
        raise UserError(f"{where}: every voxel is background; there is no brain to place")
    lower, upper = box_of(labels > 0)
    signs = _orientation(affine)
    spacing = spacing_of(affine)
    steps = np.ones(3)
    if grid.spacing_mm is not None:
        steps = grid.spacing_mm / spacing
        steps[np.abs(steps - 1) < _SAME] = 1
    extent = (upper - lower + 1) / steps
    if (np.ceil(extent - 1e-6) > grid.size).any():
        raise UserError(_too_large(extent, spacing * steps, grid=grid, where=where))
    to_own = np.zeros((4, 4))
    to_own[3, 3] = 1
    for axis, (own, sign) in enumerate(signs):
        step = sign * steps[own]
        start = (lower[own] + upper[own]) / 2 - step * (grid.size - 1) / 2
        to_own[own, axis] = step
        to_own[own, 3] = math.floor(start) if steps[own] == 1 else start
    return Placement(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine @ to_own, to_own=to_own
    )


def _orientation(affine: Affine) -> list[tuple[int, int]]:
    """Per axis of the cube (right, anterior, superior): the own axis nearest to it, its sign."""
    import nibabel

    orientations: Any = nibabel.orientations
    codes = orientations.io_orientation(affine)
    own = np.argsort(codes[:, 0])
    return [(int(axis), int(codes[axis, 1])) for axis in own]


def _too_large(
    extent: NDArray[np.float64], spacing_mm: NDArray[np.float64], *, grid: Grid, where: str
) -> str:
    axis = int(extent.argmax())
    needed = math.ceil(extent[axis] - 1e-6)
    size = 1 << (needed - 1).bit_length()
    coarser = math.ceil(100 * float((extent * spacing_mm).max()) / grid.size) / 100
    return (
        f"{where}: the labelled brain is {needed} voxels of {spacing_mm[axis]:.3g} mm long and "
        f"does not fit a cube of {grid.size}; a size of {size} or a spacing of {coarser:g} mm would"
    )


def conform_image(voxels: NDArray[Any], placement: Placement, *, size: int) -> NDArray[np.float32]:
    """(I, J, K) in its own space → (size, size, size) in the cube; black outside the volume.

    Linear interpolation; where the cube is coarser the triangle is widened to its step, against
    aliasing. Copied exactly where the spacing is kept.
    """
    axes = _axes(placement)
    turned = np.asarray(_turned(voxels, axes), np.float32)
    return mapped(turned, _to_cube(axes), shape=[size] * 3)


def conform_labels(
    labels: NDArray[np.uint8], placement: Placement, *, size: int
) -> NDArray[np.uint8]:
    """(I, J, K) → (size, size, size): at every voxel the label with the largest share of it."""
    axes = _axes(placement)
    return mapped_labels(_turned(labels, axes), _to_cube(axes), shape=[size] * 3)


def restore_image(cube: NDArray[Any], placement: Placement) -> NDArray[np.float32]:
    """The inverse of :func:`conform_image`: (size, size, size) → the volume's own space."""
    axes = _axes(placement)
    shape = [placement.shape[axis.own] for axis in axes]
    found = mapped(np.asarray(cube, np.float32), _to_own(axes), shape=shape)
    return np.ascontiguousarray(_turned_back(found, axes))


def restore_labels(cube: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """The inverse of :func:`conform_labels`."""
    axes = _axes(placement)
    shape = [placement.shape[axis.own] for axis in axes]
    found = mapped_labels(cube, _to_own(axes), shape=shape)
    return np.ascontiguousarray(_turned_back(found, axes))


def _to_cube(axes: list[_Axis]) -> list[Way]:
    return [(axis.start, axis.step) for axis in axes]


def _to_own(axes: list[_Axis]) -> list[Way]:
    return [(-axis.start / axis.step, 1 / axis.step) for axis in axes]


def _axes(placement: Placement) -> list[_Axis]:
    owns = [int(np.abs(placement.to_own[:3, axis]).argmax()) for axis in range(3)]
    return [
        _Axis(own, float(placement.to_own[own, 3]), float(placement.to_own[own, axis]))
        for axis, own in enumerate(owns)
    ]


def _turned(voxels: NDArray[_T], axes: list[_Axis]) -> NDArray[_T]:
    """Own axis order → the cube's; a view."""
    return voxels.transpose([axis.own for axis in axes])


def _turned_back(voxels: NDArray[_T], axes: list[_Axis]) -> NDArray[_T]:
    return voxels.transpose(np.argsort([axis.own for axis in axes]))
