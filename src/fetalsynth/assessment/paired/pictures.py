"""Pairs to look at: labels, real and synthetic image and their difference, in every plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.contact_sheet import BACKGROUND, GAP, contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.assessment.paired.pair import ImagePair
from fetalsynth.assessment.regions import bounding_box

SHOWN = 8
SHOWN_IN_PLANES = 4
_MARGIN = 6
# Background, then FeTA's tissues; more labels begin again after the background.
COLOURS = np.array(
    [
        (0, 0, 0),
        (92, 157, 213),
        (240, 200, 90),
        (225, 225, 225),
        (60, 90, 190),
        (196, 107, 172),
        (224, 120, 60),
        (90, 170, 100),
    ],
    np.uint8,
)
Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Views:
    """Pictures of one pair in 8 bits.

    ``real`` and ``synthetic`` are the image itself, of volumes the middle axial slice. ``planes``
    has per plane the labels (H, W, 3) and the real, the synthetic and the difference image, cut to
    the brain; empty for images.
    """

    subject: str
    real: Picture
    synthetic: Picture
    planes: tuple[tuple[Picture, Picture, Picture, Picture], ...] = ()


def views_of(pair: ImagePair) -> Views:
    """Pictures of both images of the pair; volumes are cut through the middle of the brain."""
    if pair.real.ndim == 2:
        grey = _to_grey(pair.real, pair), _to_grey(pair.synthetic, pair)
        return Views(subject=pair.subject, real=grey[0], synthetic=grey[1])
    box = _brain(pair)
    middles = [(part.start + part.stop) // 2 for part in box]
    labels = np.zeros(pair.real.shape, np.uint8)
    if pair.labels is not None:
        labels = np.where(pair.labels > 0, (pair.labels - 1) % 7 + 1, 0).astype(np.uint8)
    planes = []
    for axis, plane in enumerate(PLANES):
        cut = tuple(
            slice(middles[axis], middles[axis] + 1) if other == axis else part
            for other, part in enumerate(box)
        )
        tissue, real, synthetic = (
            to_slices(volume[cut], plane=plane)[0] for volume in (labels, pair.real, pair.synthetic)
        )
        grey = _to_grey(real, pair), _to_grey(synthetic, pair)
        planes.append((COLOURS[tissue], *grey, _difference(*grey)))
    whole = [
        _to_grey(to_slices(volume, plane="axial")[middles[2]], pair)
        for volume in (pair.real, pair.synthetic)
    ]
    return Views(subject=pair.subject, real=whole[0], synthetic=whole[1], planes=tuple(planes))


def _brain(pair: ImagePair) -> tuple[slice, ...]:
    """The box around the foreground with a small margin, within the volume."""
    bright = pair.labels != 0 if pair.labels is not None else pair.real > pair.black
    box = bounding_box(bright if np.any(bright) else np.ones(pair.real.shape, bool))
    return tuple(
        slice(max(0, part.start - _MARGIN), min(size, part.stop + _MARGIN))
        for part, size in zip(box, pair.real.shape, strict=True)
    )


def _to_grey(image: NDArray[Any], pair: ImagePair) -> Picture:
    scaled = (image.astype(np.float64) - pair.black) * (255 / pair.data_range)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)


def _difference(first: Picture, second: Picture) -> Picture:
    return np.asarray(np.abs(first.astype(np.int16) - second), np.uint8)


def write_pictures(folder: Path, shown: Sequence[Views]) -> dict[str, str]:
    """Sheets of the real and the synthetic images in the same order, and pairs side by side."""
    padded = _padded([image for views in shown for image in (views.real, views.synthetic)])
    real, synthetic = padded[::2], padded[1::2]
    rows = np.stack([real, synthetic, _difference(real, synthetic)], axis=1)[:SHOWN]
    sheets = {
        "samples_real": contact_sheet(real, columns=6),
        "samples_synthetic": contact_sheet(synthetic, columns=6),
    }
    in_planes = [views for views in shown if views.planes][:SHOWN_IN_PLANES]
    for number, views in enumerate(in_planes, start=1):
        sheets[f"planes_{number}"] = sheet_of_planes(views.planes)
    if not in_planes:
        pairs = rows.reshape(-1, *rows.shape[2:])
        sheets["pairs_real_synthetic_difference"] = contact_sheet(pairs, columns=3)
    for name, sheet in sheets.items():
        write_bytes(folder / f"{name}.png", encode_png(sheet))
    return {name: f"{name}.png" for name in sheets}


def sheet_of_planes(rows: Sequence[Sequence[Picture]]) -> Picture:
    """Rows of pictures, grey or coloured, in columns with thin gaps; (H, W, 3).

    Pictures that are smaller than their row and column lie in the middle of black.
    """
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(rows[0]))]
    heights = [max(image.shape[0] for image in row) for row in rows]
    shape = (sum(heights) + GAP * (len(rows) - 1), sum(widths) + GAP * (len(widths) - 1), 3)
    sheet = np.full(shape, BACKGROUND, np.uint8)
    top = 0
    for height, row in zip(heights, rows, strict=True):
        left = 0
        for width, image in zip(widths, row, strict=True):
            sheet[top : top + height, left : left + width] = 0
            y, x = top + (height - image.shape[0]) // 2, left + (width - image.shape[1]) // 2
            coloured = image if image.ndim == 3 else image[..., None]
            sheet[y : y + image.shape[0], x : x + image.shape[1]] = coloured
            left += width + GAP
        top += height + GAP
    return sheet


def _padded(images: list[Picture]) -> Picture:
    """All in one array, the smaller ones in the middle of black."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    whole = np.zeros((len(images), height, width), np.uint8)
    for canvas, image in zip(whole, images, strict=True):
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return whole
