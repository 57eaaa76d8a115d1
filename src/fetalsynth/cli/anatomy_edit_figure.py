"""A graded series in all three planes: a column per grade, rows of labels and of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fetalsynth.anatomy.labels import VENTRICLES
from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.datasets.volumes.pictures import coloured, grey

_CELL = 240
_TITLE = 24
_GAP = 3


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One grade: labels and image (I, J, K) in RAS+ order."""

    title: str
    labels: NDArray[np.uint8]
    image: NDArray[np.int16] | None


@dataclass(frozen=True, kw_only=True)
class _View:
    """What is shown of every grade: the ``box`` of voxels, cut at ``places``, ``reach`` mm wide."""

    box: tuple[slice, slice, slice]
    places: tuple[int, int, int]
    spacing_mm: NDArray[np.float64]
    reach_mm: float

    def cell(self, volume: NDArray[Any], axis: int) -> NDArray[np.uint8]:
        """The slice across ``axis``, painted, at the scale of all cells."""
        one = tuple(
            slice(self.places[a], self.places[a] + 1) if a == axis else self.box[a]
            for a in range(3)
        )
        flat = to_slices(volume[one], plane=PLANES[axis])[0]
        columns, rows = (a for a in range(3) if a != axis)
        scale = (_CELL - 4) / self.reach_mm
        size = (
            max(1, round(flat.shape[1] * self.spacing_mm[columns] * scale)),
            max(1, round(flat.shape[0] * self.spacing_mm[rows] * scale)),
        )
        tissue = volume.dtype == np.uint8
        way = Image.Resampling.NEAREST if tissue else Image.Resampling.BILINEAR
        painted = coloured(flat) if tissue else grey(flat)
        cell = Image.new("RGB", (_CELL, _CELL))
        corner = ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2)
        cell.paste(Image.fromarray(painted).resize(size, way), corner)
        return np.asarray(cell)


def write_figure(
    path: Path, *, shown: Sequence[Shown], affine: NDArray[np.float64], title: str
) -> None:
    """Write the figure; every cell has the same scale and cuts the head at the same place.

    The planes go through the left atrium, or through the middle where there is no ventricle.
    """
    box = _box(np.logical_or.reduce([grade.labels > 0 for grade in shown]))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    reach = max((s.stop - s.start) * step for s, step in zip(box, spacing, strict=True))
    view = _View(
        box=box,
        places=_places(shown[0].labels, box),
        spacing_mm=spacing,
        reach_mm=float(reach),
    )
    rows = []
    for axis in range(3):
        rows.append([view.cell(grade.labels, axis) for grade in shown])
        if any(grade.image is not None for grade in shown):
            images = [grade.image for grade in shown]
            rows.append([_empty() if i is None else view.cell(i, axis) for i in images])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encode_png(_sheet(rows, [grade.title for grade in shown], title)))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    spans = []
    for axis in range(3):
        held = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(max(0, int(held[0]) - 2), int(held[-1]) + 3))
    return spans[0], spans[1], spans[2]


def _places(labels: NDArray[np.uint8], box: tuple[slice, ...]) -> tuple[int, int, int]:
    """Voxel that all three planes go through."""
    fluid = labels == VENTRICLES
    middle = (box[0].start + box[0].stop) // 2
    across = fluid[:middle].sum(axis=(1, 2))
    if not across.any():
        i, j, k = ((s.start + s.stop) // 2 for s in box)
        return i, j, k
    i = int(across.argmax())
    back = int(np.percentile(np.argwhere(fluid[i])[:, 0], 25))
    column = np.flatnonzero(fluid[i, back])
    height = column if len(column) else np.argwhere(fluid[i])[:, 1]
    return i, back, int(np.median(height))


def _empty() -> NDArray[np.uint8]:
    return np.full((_CELL, _CELL, 3), 40, np.uint8)


def _sheet(
    rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[str], title: str
) -> NDArray[np.uint8]:
    width = len(titles) * (_CELL + _GAP) - _GAP
    height = 2 * _TITLE + len(rows) * (_CELL + _GAP)
    sheet = Image.new("RGB", (width, height), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    pen.text((6, 4), f"{title}. Not for clinical use.", fill=(255, 255, 255), font=font)
    for column, text in enumerate(titles):
        left = column * (_CELL + _GAP)
        pen.text((left + 6, _TITLE + 3), text, fill=(255, 255, 255), font=font)
        for row, cells in enumerate(rows):
            cell = Image.fromarray(cells[column])
            sheet.paste(cell, (left, 2 * _TITLE + row * (_CELL + _GAP)))
    return np.asarray(sheet)
