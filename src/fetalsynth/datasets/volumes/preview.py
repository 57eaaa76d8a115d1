"""A sheet of some volumes in three planes, for people who would rather look than read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.volumes import VolumeRecord
from fetalsynth.datasets.volumes.grid import Grid, conform_image, conform_labels, place
from fetalsynth.datasets.volumes.nifti import Nifti, read_nifti
from fetalsynth.datasets.volumes.pictures import coloured, grey, middle_slices, outlined

_SHOWN = 8
_CELL = 144
_SPARE = 1.06  # room around the largest brain


def write_preview(path: Path, *, folder: Path, records: Sequence[VolumeRecord]) -> None:
    """Write a row per volume, evenly spaced over the set and all at one scale: image, outlines.

    Sagittal, coronal and axial slice through the middle of the labelled brain. A volume without
    image shows its labels in colour, one without labels only its image.
    """
    count = len(records)
    chosen = [records[i * count // min(_SHOWN, count)] for i in range(min(_SHOWN, count))]
    opened = [(record, *_opened(folder, record)) for record in chosen]
    spacing = max(_reach_mm(labels if labels is not None else image) for _, image, labels in opened)
    grid = Grid(size=_CELL, spacing_mm=spacing * _SPARE / _CELL)
    cells = [cell for _, image, labels in opened for cell in _row(image, labels, grid)]
    sheet = contact_sheet(np.stack(cells), columns=6)
    write_bytes(path, encode_png(_named(sheet, chosen)))


def _opened(folder: Path, record: VolumeRecord) -> tuple[Nifti | None, Nifti | None]:
    image = None if record.image is None else read_nifti(folder / record.image)
    labels = None if record.labels is None else read_nifti(folder / record.labels)
    return image, labels


def _reach_mm(volume: Nifti | None) -> float:
    """Longest side of the box of what is not 0, mm."""
    assert volume is not None
    inside = np.argwhere(volume.voxels > 0)
    return float(((np.ptp(inside, axis=0) + 1) * volume.spacing_mm).max())


def _row(image: Nifti | None, labels: Nifti | None, grid: Grid) -> list[NDArray[np.uint8]]:
    volume = labels or image
    assert volume is not None
    tissue = volume.voxels.astype(bool) if labels is None else labels.voxels
    where = place(
        shape=volume.voxels.shape,
        affine=volume.affine,
        labels=tissue,
        grid=grid,
        where=str(volume.path),
    )
    shown: list[list[NDArray[Any]]] = []
    if image is not None:
        shown.append(middle_slices(conform_image(image.voxels, where, size=grid.size)))
    if labels is not None:
        parts = conform_labels(labels.voxels.astype(np.uint8), where, size=grid.size)
        shown.append(middle_slices(parts))
    if image is None:
        return [coloured(cell) for cell in shown[0] * 2]
    if labels is None:
        return [grey(cell) for cell in shown[0] * 2]
    lines = [outlined(i, t) for i, t in zip(*shown, strict=True)]
    return [*(grey(cell) for cell in shown[0]), *lines]


def _named(sheet: NDArray[np.uint8], records: Sequence[VolumeRecord]) -> NDArray[np.uint8]:
    picture = Image.fromarray(sheet)
    pen = ImageDraw.Draw(picture)
    for row, record in enumerate(records):
        age = record.gestational_age_weeks
        said = f"{record.name}{'' if age is None else f'  {age:g} weeks'}  {record.split}"
        pen.text((4, row * (sheet.shape[0] + 2) // len(records) + 2), said, fill=(255, 255, 255))
    return np.asarray(picture)
