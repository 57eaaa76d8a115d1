"""A sheet of images with their head outlines drawn on them, to see what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fetalsynth.anatomy.ellipse import Ellipse
from fetalsynth.artifacts.contact_sheet import contact_sheet
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import encode_png
from fetalsynth.datasets.decoding import Pixels

MEASURED = (64, 224, 255)
ASKED = (255, 150, 40)
MOST_SHOWN, MOST_WORST = 48, 24
_CELL, _COLUMNS, _FINE = 192, 6, 4


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image with the measured outline and the one asked for, both in its pixels."""

    pixels: Pixels
    measured: Ellipse | None
    asked: Ellipse | None
    caption: str


class Gallery:
    """Some images of a set of ``total``, and those to look at first; holds no others in memory."""

    def __init__(self, total: int) -> None:
        self.overview: list[Shown] = []
        self._worst: list[tuple[float, int, Shown]] = []
        self._total, self._seen = total, 0

    def add(self, shown: Shown, *, doubt: float) -> None:
        """The next image; ``doubt`` is higher the more one should look at it."""
        before, after = (
            k * MOST_SHOWN // max(self._total, 1) for k in (self._seen, self._seen + 1)
        )
        if len(self.overview) < MOST_SHOWN and (self._total <= MOST_SHOWN or after > before):
            self.overview.append(shown)
        self._worst.append((-doubt, self._seen, shown))
        self._worst = sorted(self._worst, key=lambda one: one[:2])[:MOST_WORST]
        self._seen += 1

    @property
    def worst(self) -> list[Shown]:
        """Those of the most doubt, most first."""
        return [shown for _, _, shown in self._worst]


def write_sheet(path: Path, shown: Sequence[Shown]) -> None:
    """Write one PNG with a cell per image: measured outlines in blue, asked ones in orange."""
    cells = np.stack([_cell(one) for one in shown])
    write_bytes(path, encode_png(contact_sheet(cells, columns=min(_COLUMNS, len(shown)))))


def _cell(shown: Shown) -> NDArray[np.uint8]:
    pixels = shown.pixels
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    eight = eight[..., 0] if eight.ndim == 3 and eight.shape[2] == 1 else eight
    picture = Image.fromarray(np.ascontiguousarray(eight)).convert("RGB")
    scale = _CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left, top = (_CELL - size[0]) // 2, (_CELL - size[1]) // 2
    cell = Image.new("RGB", (_CELL, _CELL))
    cell.paste(picture.resize(size, Image.Resampling.BICUBIC), (left, top))
    for ellipse, colour in ((shown.asked, ASKED), (shown.measured, MEASURED)):
        if ellipse is not None:
            cell = _drawn(cell, ellipse, colour, scale=scale, left=left, top=top)
    ImageDraw.Draw(cell).text((3, 2), shown.caption, fill=(235, 235, 120))
    return np.asarray(cell)


def _drawn(
    cell: Image.Image,
    ellipse: Ellipse,
    colour: tuple[int, int, int],
    *,
    scale: float,
    left: int,
    top: int,
) -> Image.Image:
    """With the ellipse as a thin smooth line, drawn large and made small."""
    turn = np.linspace(0, 2 * np.pi, 181)
    angle = np.radians(ellipse.angle_deg)
    a, b = ellipse.semi_major_px * np.cos(turn), ellipse.semi_minor_px * np.sin(turn)
    x = ellipse.center_x_px + 0.5 + a * np.cos(angle) - b * np.sin(angle)
    y = ellipse.center_y_px + 0.5 + a * np.sin(angle) + b * np.cos(angle)
    mask = Image.new("L", (_CELL * _FINE, _CELL * _FINE))
    points = np.column_stack([(x * scale + left) * _FINE, (y * scale + top) * _FINE])
    ImageDraw.Draw(mask).line([(float(u), float(v)) for u, v in points], fill=255, width=_FINE)
    small = mask.resize(cell.size, Image.Resampling.BOX)
    return Image.composite(Image.new("RGB", cell.size, colour), cell, small)
