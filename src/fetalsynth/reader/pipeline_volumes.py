"""One way from any volume to a stimulus: one spacing, one cube, one mask rule, one window rule.

The stimulus of a volume is a PNG per plane with all slices, the same number and size for all items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import Plane, to_slices
from fetalsynth.datasets.volumes.grid import Grid, conform_image, conform_labels, place
from fetalsynth.datasets.volumes.nifti import check_same_grid, read_nifti
from fetalsynth.datasets.volumes.resampling import box_of
from fetalsynth.datasets.volumes.window import measure_window
from fetalsynth.errors import UserError
from fetalsynth.reader.pipeline import COARSER, Stimulus, to_bytes
from fetalsynth.reader.study import tile_columns

_SAME_MM = 1e-3
_ROUND = 2  # voxels of black on each side of the largest head


@dataclass(frozen=True, kw_only=True)
class VolumeFile:
    """A volume and the label map or mask on its voxels, None where there is none."""

    image: Path
    mask: Path | None


@dataclass(frozen=True, kw_only=True)
class VolumePlan:
    """What is done to every volume.

    ``spacing_mm`` None means that all have one spacing, ``own_mm``, and none is resampled.
    ``masked``: black outside the label map or mask, which every volume has; else volumes are taken
    as they are, and their box is that of the values above 0.
    """

    size: int
    spacing_mm: float | None
    own_mm: float
    masked: bool
    floor: float

    def said(self) -> tuple[str, ...]:
        """The plan in sentences."""
        how = (
            f"{self.own_mm:.3g} mm, none resampled"
            if self.spacing_mm is None
            else f"{self.spacing_mm:.3g} mm, all resampled with the same kernel"
        )
        mask = (
            "all are black outside their label map or mask"
            if self.masked
            else "none is masked here, because not all have a label map or mask"
        )
        return (
            f"grid: cubes of {self.size} voxels of {how}; {mask}",
            "window of every volume: from 0 to the 99.9th percentile of its head",
            f"grey values below {self.floor:.3g} of the window are black in all volumes",
        )


def plan_volumes(files: Sequence[VolumeFile], *, floor: float) -> VolumePlan:
    """What to do to all of these volumes: the coarsest spacing of all, the cube that takes each.

    Raises UserError for a volume that is broken or empty.
    """
    masked = all(one.mask is not None for one in files)
    spacings, extents = [], []
    for one in files:
        read = read_nifti(one.image)
        lower, upper = box_of(_inside(one, masked=masked))
        spacings.append(read.spacing_mm)
        extents.append((upper - lower + 1) * read.spacing_mm)
    coarsest, finest = float(np.max(spacings)), float(np.min(spacings))
    alike = coarsest - finest < _SAME_MM
    spacing = coarsest if alike else coarsest / COARSER
    size = math.ceil(float(np.max(extents)) / spacing - 1e-6) + 2 * _ROUND
    return VolumePlan(
        size=size + size % 2,
        spacing_mm=None if alike else spacing,
        own_mm=coarsest,
        masked=masked,
        floor=floor,
    )


def _inside(file: VolumeFile, *, masked: bool) -> NDArray[np.bool_]:
    read = read_nifti(file.image)
    if masked and file.mask is not None:
        mask = read_nifti(file.mask)
        check_same_grid(mask, read)
        found = mask.voxels > 0
    else:
        found = read.voxels > 0
    if not found.any():
        raise UserError(f"{file.mask or file.image}: every voxel is background; leave it out")
    return np.asarray(found, bool)


def make_cube(file: VolumeFile, plan: VolumePlan) -> Stimulus:
    """(size, size, size) voxels from 0 to 255 in RAS+ order, as the plan has it."""
    read, inside = read_nifti(file.image), _inside(file, masked=plan.masked)
    labels = inside.astype(np.uint8)
    voxels: NDArray[Any] = np.asarray(read.voxels, np.float32)
    _, white = measure_window(voxels, labels, where=str(file.image))
    if plan.masked:
        voxels = np.where(inside, voxels, np.float32(0))
    placement = place(
        shape=voxels.shape,
        affine=read.affine,
        labels=labels,
        grid=Grid(size=plan.size, spacing_mm=plan.spacing_mm),
        where=str(file.image),
    )
    cube = conform_image(voxels, placement, size=plan.size) / np.float32(white)
    if plan.masked:
        cube = np.where(conform_labels(labels, placement, size=plan.size) > 0, cube, 0)
    return to_bytes(cube, floor=plan.floor)


def tiles(cube: Stimulus, *, plane: Plane) -> Stimulus:
    """All slices of a plane row by row in one picture; black where the last row is not full."""
    stack = to_slices(cube, plane=plane)
    count, height, width = stack.shape
    columns = tile_columns(count)
    rows = math.ceil(count / columns)
    full = np.zeros((rows * columns, height, width), np.uint8)
    full[:count] = stack
    grid = full.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(grid.reshape(rows * height, columns * width))
