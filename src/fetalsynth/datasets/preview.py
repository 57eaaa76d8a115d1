"""A sheet of some images of a set, for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.datasets.decoding import Pixels

_COLUMNS = 8
_CELL = 128


def write_preview(path: Path, images: list[Pixels]) -> None:
    """Write the images as one PNG, each fitted into a square cell; 16 bits by their upper eight."""
    colour = any(image.ndim == 3 for image in images)
    cells = np.stack([_cell(image, colour=colour) for image in images])
    write_bytes(path, encode_png(contact_sheet(cells, columns=min(_COLUMNS, len(images)))))


def _cell(image: Pixels, *, colour: bool) -> NDArray[np.uint8]:
    shown = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image
    picture = Image.fromarray(np.ascontiguousarray(shown)).convert("RGB" if colour else "L")
    scale = _CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    way = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BILINEAR
    cell = Image.new(picture.mode, (_CELL, _CELL))
    cell.paste(picture.resize(size, way), ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2))
    return np.asarray(cell)
