"""A picture of some synthetic volumes: labels, synthetic and real ones in three planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.volumes import VolumeRecord
from fetalsynth.datasets.volumes.nifti import (
    Nifti,
    check_same_grid,
    read_nifti,
    spacing_of,
    to_ras,
)
from fetalsynth.datasets.volumes.pictures import coloured, grey
from fetalsynth.datasets.volumes.window import apply_window, measure_window
from fetalsynth.errors import UserError
from fetalsynth.synthesis.label_volumes import LabelSet

SHOWN = 6
_CELL = 160
_SPARE = 1.1  # room around each brain
_Cells = list[NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class _View:
    """Where to look at a volume in RAS+ order: its voxel in the middle and one pixel in mm."""

    middle: tuple[int, int, int]
    pixel_mm: float


def write_preview(path: Path, *, records: Sequence[VolumeRecord], labels: LabelSet) -> None:
    """Write a PNG with a row for each of up to ``SHOWN`` volumes, evenly spaced over ``records``.

    Three planes through the middle of the brain: the labels, the synthetic volume, and the real one
    where ``labels`` knows it. The files of ``records`` lie in the folder of ``path``.
    """
    known = {item.record.name: item.image for item in labels.items}
    spread = np.linspace(0, len(records) - 1, min(SHOWN, len(records))).astype(int)
    chosen = [records[k] for k in spread]
    beside = any(known[record.name] for record in chosen)
    cells: _Cells = []
    for record in chosen:
        segmented = read_nifti(path.parent / str(record.labels))
        view = _view(segmented)
        cells += _planes(segmented, view, coloured, Image.Resampling.NEAREST)
        image = read_nifti(path.parent / str(record.image))
        cells += _planes(image, view, grey, Image.Resampling.BILINEAR)
        if beside:
            cells += _real(known[record.name], segmented, view)
    sheet = contact_sheet(np.stack(cells), columns=len(PLANES) * (3 if beside else 2))
    write_bytes(path, encode_png(sheet))


def _view(segmented: Nifti) -> _View:
    labels, affine = to_ras(segmented)
    inside = np.argwhere(labels > 0)
    low, high = inside.min(axis=0), inside.max(axis=0)
    reach = float(((high - low + 1) * spacing_of(affine)).max())
    a, b, c = ((low + high) // 2).tolist()
    return _View(middle=(a, b, c), pixel_mm=reach * _SPARE / _CELL)


def _planes(
    volume: Nifti,
    view: _View,
    paint: Callable[[NDArray[Any]], NDArray[np.uint8]],
    way: Image.Resampling,
) -> _Cells:
    """The sagittal, coronal and axial slice through the middle, each in a square cell."""
    voxels, affine = to_ras(volume)
    cells = []
    for axis, plane in enumerate(PLANES):
        at = view.middle[axis]
        picture = Image.fromarray(np.ascontiguousarray(paint(to_slices(voxels, plane=plane)[at])))
        # columns run along the first of the two other axes, rows down the second
        across, up = (other for other in range(3) if other != axis)
        steps = spacing_of(affine)[[across, up]] / view.pixel_mm
        size = np.maximum(1, np.round(picture.size * steps)).astype(int).tolist()
        column = (view.middle[across] + 0.5) * steps[0]
        row = (voxels.shape[up] - view.middle[up] - 0.5) * steps[1]
        cell = Image.new("RGB", (_CELL, _CELL))
        corner = (round(_CELL / 2 - column), round(_CELL / 2 - row))
        cell.paste(picture.resize((size[0], size[1]), way), corner)
        cells.append(np.asarray(cell))
    return cells


def _real(path: Path | None, segmented: Nifti, view: _View) -> _Cells:
    """Black where there is no real image on the labels' voxels: the picture is no check."""
    black = [np.zeros((_CELL, _CELL, 3), np.uint8)] * len(PLANES)
    if path is None:
        return black
    try:
        image = read_nifti(path)
        check_same_grid(image, segmented)
        window = measure_window(image.voxels, segmented.voxels, where=str(path))
    except UserError:
        return black

    def paint(values: NDArray[Any]) -> NDArray[np.uint8]:
        return grey(apply_window(values, window))

    return _planes(image, view, paint, Image.Resampling.BILINEAR)
