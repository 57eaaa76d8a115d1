"""A picture of some synthetic volumes: labels, synthetic and real ones in three planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.volumes import VolumeRecord
from fetalsynth.datasets.volumes.grid import Grid, Placement, conform_image, conform_labels, place
from fetalsynth.datasets.volumes.nifti import Nifti, check_same_grid, read_nifti
from fetalsynth.datasets.volumes.pictures import coloured, grey, middle_slices
from fetalsynth.datasets.volumes.window import apply_window, measure_window
from fetalsynth.errors import UserError
from fetalsynth.synthesis.label_volumes import LabelSet

SHOWN = 6
_CELL = 160
_SPARE = 1.1  # room around each brain


def write_preview(path: Path, *, records: Sequence[VolumeRecord], labels: LabelSet) -> None:
    """Write a PNG with a row for each of up to ``SHOWN`` volumes, evenly spaced over ``records``.

    Three planes through the middle of the brain: the labels, the synthetic volume, and the real one
    where ``labels`` knows it. The files of ``records`` lie in the folder of ``path``.
    """
    known = {item.record.name: item.image for item in labels.items}
    spread = np.linspace(0, len(records) - 1, min(SHOWN, len(records))).astype(int)
    chosen = [records[k] for k in spread]
    beside = any(known[record.name] for record in chosen)
    cells: list[NDArray[np.uint8]] = []
    for record in chosen:
        segmented = read_nifti(path.parent / str(record.labels))
        where = _centred(segmented)
        tissue = conform_labels(segmented.voxels.astype(np.uint8), where, size=_CELL)
        cells += [coloured(cell) for cell in middle_slices(tissue)]
        cells += _grey(read_nifti(path.parent / str(record.image)).voxels, where)
        if beside:
            cells += _real(known[record.name], segmented, where)
    sheet = contact_sheet(np.stack(cells), columns=len(PLANES) * (3 if beside else 2))
    write_bytes(path, encode_png(sheet))


def _centred(segmented: Nifti) -> Placement:
    inside = np.argwhere(segmented.voxels > 0)
    reach = float(((np.ptp(inside, axis=0) + 1) * segmented.spacing_mm).max())
    return place(
        shape=segmented.voxels.shape,
        affine=segmented.affine,
        labels=segmented.voxels,
        grid=Grid(size=_CELL, spacing_mm=reach * _SPARE / _CELL),
        where=str(segmented.path),
    )


def _grey(voxels: NDArray[np.int16], where: Placement) -> list[NDArray[np.uint8]]:
    return [grey(cell) for cell in middle_slices(conform_image(voxels, where, size=_CELL))]


def _real(path: Path | None, segmented: Nifti, where: Placement) -> list[NDArray[np.uint8]]:
    """Black where there is no real image on the labels' voxels: the picture is no check."""
    black = np.zeros(segmented.voxels.shape, np.int16)
    if path is None:
        return _grey(black, where)
    try:
        image = read_nifti(path)
        check_same_grid(image, segmented)
        labels = segmented.voxels.astype(np.uint8)
        window = measure_window(image.voxels, labels, where=str(path))
    except UserError:
        return _grey(black, where)
    return _grey(apply_window(image.voxels, window), where)
