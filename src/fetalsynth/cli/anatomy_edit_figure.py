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


def write_figure(
    path: Path, *, shown: Sequence[Shown], affine: NDArray[np.float64], title: str
) -> None:
    """Write the figure; every cell has the same scale and cuts the head at the same place.

    The planes go through the middle of the left ventricle's largest sagittal slice.
    """
    labels = np.maximum.reduce([(grade.labels > 0).astype(np.uint8) for grade in shown])
    box = _box(labels)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    places = _places(shown[0].labels, box)
    reach = max((s.stop - s.start) * step for s, step in zip(box, spacing, strict=True))
    with_images = any(grade.image is not None for grade in shown)
    rows = []
    for axis in range(3):
        cells = [_cell(coloured, g.labels, axis, box, places, spacing, reach) for g in shown]
        rows.append(cells)
        if with_images:
            rows.append(
                [
                    _empty()
                    if g.image is None
                    else _cell(grey, g.image, axis, box, places, spacing, reach)
                    for g in shown
                ]
            )
    write_bytes(_made(path), encode_png(_sheet(rows, [g.title for g in shown], title)))


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _box(mask: NDArray[np.uint8]) -> tuple[slice, slice, slice]:
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


def _cell(
    paint: Any,
    volume: NDArray[Any],
    axis: int,
    box: tuple[slice, ...],
    places: tuple[int, ...],
    spacing: NDArray[np.float64],
    reach: float,
) -> NDArray[np.uint8]:
    one = [slice(places[a], places[a] + 1) if a == axis else box[a] for a in range(3)]
    flat = to_slices(volume[tuple(one)], plane=PLANES[axis])[0]
    columns, rows = (a for a in range(3) if a != axis)
    scale = (_CELL - 4) / reach
    size = (
        max(1, round(flat.shape[1] * spacing[columns] * scale)),
        max(1, round(flat.shape[0] * spacing[rows] * scale)),
    )
    way = Image.Resampling.NEAREST if volume.dtype == np.uint8 else Image.Resampling.BILINEAR
    picture = Image.fromarray(paint(flat)).resize(size, way)
    cell = Image.new("RGB", (_CELL, _CELL))
    cell.paste(picture, ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2))
    return np.asarray(cell)


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
