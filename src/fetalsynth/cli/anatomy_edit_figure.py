"""The figure of one label map: a column per grade, rows of labels, real and synthetic images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fetalsynth.anatomy.labels import VENTRICLES, WHITE_MATTER
from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.cli.anatomy_edit_captions import caption, longest
from fetalsynth.cli.anatomy_edit_marks import LINE, TAKEN, ends, legend, ruler, write
from fetalsynth.datasets.volumes.pictures import coloured, grey

_CELL = 232  # pixels of a column
_GAP, _BLOCK = 3, 12
_LEFT, _MARGIN = 26, 8
_FINER = 4  # times as fine as its cell is a slice enlarged before it is averaged to it
_HUNG = (2, 1, 0)  # axial, coronal, sagittal: the order of rows, as axes across
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)

Labels = NDArray[np.uint8]
Levels = NDArray[np.int16]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One column in RAS+ order: ``word`` of the edit ("" the original) and what it made."""

    word: str
    labels: Labels
    image: Levels | None
    synthetic: Levels | None
    report: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _View:
    """What is shown of every grade: the ``box`` of voxels, cut at ``places``, pixels per mm."""

    box: tuple[slice, slice, slice]
    places: tuple[int, int, int]
    spacing_mm: NDArray[np.float64]
    scale: float

    def size(self, axis: int) -> tuple[int, int]:
        """(width, height) in pixels of the slice across ``axis``."""
        wide, high = (
            max(1, round((self.box[a].stop - self.box[a].start) * self.spacing_mm[a] * self.scale))
            for a in range(3)
            if a != axis
        )
        return wide, high

    def slice(self, volume: NDArray[Any], axis: int) -> NDArray[Any]:
        """The (H, W) values across ``axis``, as it is hung."""
        one = tuple(
            slice(self.places[a], self.places[a] + 1) if a == axis else self.box[a]
            for a in range(3)
        )
        return np.asarray(to_slices(volume[one], plane=PLANES[axis])[0])

    def cell(self, painted: Picture, axis: int, *, smooth: bool) -> Picture:
        """A painted slice (H, W, 3) in the middle of its cell."""
        wide, high = self.size(axis)
        picture = Image.fromarray(np.ascontiguousarray(painted))
        if smooth:
            fitted = picture.resize((wide, high), Image.Resampling.BICUBIC)
        else:  # enlarged without blur, then averaged: straight edges without steps
            fine = (wide * _FINER, high * _FINER)
            fitted = picture.resize(fine, Image.Resampling.NEAREST).reduce(_FINER)
        cell = Image.new("RGB", (_CELL, high), _BLACK)
        cell.paste(fitted, ((_CELL - wide) // 2, 0))
        return np.asarray(cell)


def write_figure(
    path: Path, *, shown: Sequence[Shown], original: Labels, affine: NDArray[np.float64], name: str
) -> None:
    """Write the figure; every cell has the same scale and cuts the head at the same place.

    Planes go through the left atrium of ``original``, or through the middle where there is no
    ventricle. Where tissue was overwritten instead of moved (``destroyed_ml`` in the report), what
    is gone is painted red in the labels and, as no map moves it, over the original image.
    """
    view = _view(shown, original, affine)
    rows: list[tuple[str, int, list[Picture | None]]] = []
    for axis in _HUNG:
        kinds = _kinds(shown, original, view, axis)
        rows += [(kind, axis, cells) for kind, cells in kinds.items() if any_of(cells)]
    captions = [caption(one.word, one.report) for one in shown]
    lost = any("destroyed_ml" in one.report for one in shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = _sheet(rows, captions, view=view, name=name, lost=lost)
    write_bytes(path, encode_png(np.asarray(sheet)))


def any_of(cells: Sequence[Picture | None]) -> bool:
    """Whether a row shows anything."""
    return any(cell is not None for cell in cells)


def _kinds(
    shown: Sequence[Shown], original: Labels, view: _View, axis: int
) -> dict[str, list[Picture | None]]:
    """Cells of the rows of one plane, None where there is no image."""
    kinds: dict[str, list[Picture | None]] = {"labels": [], "real, moved": [], "synthetic": []}
    for one in shown:
        flat = view.slice(one.labels, axis)
        painted, image = coloured(flat), one.image
        taken = None
        if "destroyed_ml" in one.report:
            before = view.slice(original, axis)
            taken = (flat == VENTRICLES) & (before != VENTRICLES)
            painted, image = _reddened(painted, before, taken, share=1), shown[0].image
        kinds["labels"].append(view.cell(painted, axis, smooth=False))
        for kind, volume in (("real, moved", image), ("synthetic", one.synthetic)):
            if volume is None:
                kinds[kind].append(None)
                continue
            levels = grey(view.slice(volume, axis))
            if taken is not None and kind == "real, moved":
                levels = _reddened(levels, before, taken, share=0.6)
            kinds[kind].append(view.cell(levels, axis, smooth=True))
    return kinds


def _reddened(painted: Picture, before: Labels, taken: NDArray[np.bool_], *, share: float) -> Any:
    white, other = (np.array(colour) for colour in TAKEN.values())
    red = np.where((before == WHITE_MATTER)[..., None], white, other)
    mixed = np.rint(painted * (1 - share) + red * share)
    return np.where(taken[..., None], mixed, painted).astype(np.uint8)


def _view(shown: Sequence[Shown], original: Labels, affine: NDArray[np.float64]) -> _View:
    box = _box(np.logical_or.reduce([one.labels > 0 for one in shown]))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    reach = max(float((s.stop - s.start) * step) for s, step in zip(box[:2], spacing, strict=False))
    return _View(
        box=box, places=_places(original, box), spacing_mm=spacing, scale=(_CELL - 2) / reach
    )


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    spans = []
    for axis in range(3):
        held = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(max(0, int(held[0]) - 2), int(held[-1]) + 3))
    return spans[0], spans[1], spans[2]


def _places(labels: Labels, box: tuple[slice, ...]) -> tuple[int, int, int]:
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


def _sheet(
    rows: Sequence[tuple[str, int, list[Picture | None]]],
    captions: Sequence[Sequence[str]],
    *,
    view: _View,
    name: str,
    lost: bool,
) -> Image.Image:
    width = _LEFT + len(captions) * (_CELL + _GAP) + _MARGIN
    heights = [view.size(axis)[1] + _GAP for _, axis, _ in rows]
    top = _MARGIN + 2 * LINE + longest(captions) * LINE
    height = top + sum(heights) + 3 * _BLOCK + 4 * LINE
    sheet = Image.new("RGB", (width, height), _WHITE)
    pen = ImageDraw.Draw(sheet)
    write(pen, (_LEFT, _MARGIN), name, size=16)
    for column, lines in enumerate(captions):
        left = _LEFT + column * (_CELL + _GAP)
        for k, line in enumerate(lines):
            at = (left, _MARGIN + round(1.6 * LINE) + k * LINE)
            write(pen, at, line, size=15 if k == 0 else 13)
    below = top
    for k, (kind, axis, cells) in enumerate(rows):
        below += _BLOCK if k and rows[k - 1][1] != axis else 0
        _row(sheet, below, f"{PLANES[axis]}: {kind}", cells, height=heights[k] - _GAP)
        if kind == "labels":
            ends(
                pen,
                left=_LEFT,
                right=_LEFT + _CELL,
                bottom=below + heights[k] - _GAP,
                plane=PLANES[axis],
            )
        below += heights[k]
    ruler(pen, (_LEFT + 6, top + 8), view.scale)
    legend(pen, (_LEFT, below + _BLOCK), right=width - _MARGIN, lost=lost)
    return sheet


def _row(
    sheet: Image.Image, top: int, title: str, cells: Sequence[Picture | None], *, height: int
) -> None:
    side = Image.new("RGB", (height, _LEFT - 4), _WHITE)
    write(ImageDraw.Draw(side), (2, 2), title, size=13)
    sheet.paste(side.rotate(90, expand=True), (0, top))
    for column, cell in enumerate(cells):
        left = _LEFT + column * (_CELL + _GAP)
        if cell is None:
            pen = ImageDraw.Draw(sheet)
            pen.rectangle((left, top, left + _CELL - 1, top + height - 1), fill=(235, 235, 235))
        else:
            sheet.paste(Image.fromarray(cell), (left, top))
