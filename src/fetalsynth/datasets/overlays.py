"""Burned-in overlays of ultrasound screens: the grey-level bar and blacked-out boxes.

A generator learns both. The bar is a vertical ramp, constant along its rows, at the left or right
edge. A box is an axis-aligned rectangle of zeros that cuts into the picture: two straight edges
meet in a corner, which no anechoic tissue does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.decoding import Pixels

_EDGE_FRACTION = 0.08  # of the width, where a bar may lie
_BAR_HEIGHT = 0.1  # of the height, at least
_CORNER_EDGE = 12  # pixels of straight edge on both sides of a corner, at least
_DENSITY = 0.9  # of a straight edge's neighbours that are not black


@dataclass(frozen=True, kw_only=True)
class Box:
    """Rows top … bottom − 1 and columns left … right − 1."""

    kind: Literal["bar", "box"]
    top: int
    left: int
    bottom: int
    right: int


def boxes_text(boxes: list[Box]) -> str:
    """One cell of a table: ``kind:top,left,bottom,right`` joined by ``;``, ``none`` if empty."""
    parts = [f"{b.kind}:{b.top},{b.left},{b.bottom},{b.right}" for b in boxes]
    return ";".join(parts) or "none"


def find_overlays(pixels: Pixels) -> list[Box]:
    """Bars and boxes in one image (H, W) or (H, W, 3), at its original resolution.

    Resampling blurs the edges that this looks for: it is meant for the images as the source has
    them.
    """
    grey = pixels.max(axis=2) if pixels.ndim == 3 else pixels
    return [*_find_bars(grey), *_find_boxes(grey)]


def _find_bars(grey: Pixels) -> list[Box]:
    height, width = grey.shape
    reach = max(8, round(_EDGE_FRACTION * width))
    found = []
    for start in (0, width - reach):
        strip = grey[:, start : start + reach].astype(np.int64)
        box = _bar_in(
            strip, least=round(_BAR_HEIGHT * height), top_level=int(np.iinfo(grey.dtype).max)
        )
        if box is not None:
            top, bottom, left, right = box
            found.append(
                Box(kind="bar", top=top, left=start + left, bottom=bottom, right=start + right)
            )
    return found


def _bar_in(
    strip: NDArray[np.int64], *, least: int, top_level: int
) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) of a ramp over at least three columns that are all alike."""
    alike = (strip[:, 1:] == strip[:, :-1]) & (strip[:, 1:] > 0)
    sums = np.pad(np.cumsum(alike, axis=0), ((1, 0), (0, 0)))
    long = (sums[least:] - sums[:-least] == least).any(axis=0)
    bright = np.where(alike, strip[:, 1:], 0).max(axis=0) >= 0.5 * top_level
    ramps = [
        c
        for c in np.flatnonzero(long & bright)
        if _ramp(strip[:, c : c + 2], least=least, top_level=top_level) is not None
    ]
    columns = np.array(ramps, dtype=np.int64)
    for group in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        if len(group) >= 2:
            left, right = int(group[0]), int(group[-1]) + 2
            rows = _ramp(strip[:, left:right], least=least, top_level=top_level)
            if rows is not None:
                return rows[0], rows[1], left, right
    return None


def _ramp(columns: NDArray[np.int64], *, least: int, top_level: int) -> tuple[int, int] | None:
    """(top, bottom) of a stretch of constant rows that is a ramp of grey levels."""
    rows = np.flatnonzero((np.ptp(columns, axis=1) == 0) & (columns[:, 0] > 0))
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
        if len(run) < least:
            continue
        ramp = columns[run, 0]
        steps = np.diff(ramp)
        monotone = max(np.mean(steps <= 0), np.mean(steps >= 0))
        if monotone >= 0.95 and np.ptp(ramp) >= 0.5 * top_level:
            return int(run[0]), int(run[-1]) + 1
    return None


def _find_boxes(grey: Pixels) -> list[Box]:
    """Black boxes of which any corner shows: the search is for one corner in a turned image."""
    dark = grey == 0
    height, width = dark.shape
    boxes = []
    for upside_down in (False, True):
        for mirrored in (False, True):
            turned = dark[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
            for top, left, bottom, right in _corner_boxes(turned):
                t, b = (height - bottom, height - top) if upside_down else (top, bottom)
                le, r = (width - right, width - left) if mirrored else (left, right)
                boxes.append(Box(kind="box", top=t, left=le, bottom=b, right=r))
    return _without_contained(boxes)


def _corner_boxes(dark: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Dark rectangles whose top and left edges are straight borders of the picture."""
    core = dark[1:, 1:] & ~dark[:-1, 1:] & ~dark[1:, :-1]
    core[-_CORNER_EDGE:] = False
    core[:, -_CORNER_EDGE:] = False
    y, x = (index + 1 for index in np.nonzero(core))
    along = np.arange(_CORNER_EDGE)
    down, across = y[:, None] + along, x[:, None] + along
    left_edge = dark[down, x[:, None]] & ~dark[down, x[:, None] - 1]
    top_edge = dark[y[:, None], across] & ~dark[y[:, None] - 1, across]
    straight = (left_edge.mean(axis=1) >= _DENSITY) & (top_edge.mean(axis=1) >= _DENSITY)
    grown = (_grow(dark, int(a), int(b)) for a, b in zip(y[straight], x[straight], strict=True))
    return [box for box in grown if box is not None]


def _grow(dark: NDArray[np.bool_], top: int, left: int) -> tuple[int, int, int, int] | None:
    """The dark rectangle from its top left corner, None where it is too small to be one."""
    square = dark[top : top + _CORNER_EDGE, left : left + _CORNER_EDGE]
    if not square.all():
        return None
    right = left + _run(np.all(dark[top : top + _CORNER_EDGE, left:], axis=0))
    bottom = top + _run(np.all(dark[top:, left : left + _CORNER_EDGE], axis=1))
    inside = dark[top:bottom, left:right]
    if inside.mean() < 0.98:
        return None
    return top, left, bottom, right


def _run(line: Any) -> int:
    """How many elements from the first on are true."""
    return len(line) if line.all() else int(np.argmin(line))


def _without_contained(boxes: list[Box]) -> list[Box]:
    """The largest of boxes that overlap by most of the smaller one."""
    kept: list[Box] = []
    for box in sorted(boxes, key=_area, reverse=True):
        if all(_overlap(box, other) < 0.5 * _area(box) for other in kept):
            kept.append(box)
    return sorted(kept, key=lambda box: (box.top, box.left))


def _area(box: Box) -> int:
    return (box.bottom - box.top) * (box.right - box.left)


def _overlap(a: Box, b: Box) -> int:
    rows = min(a.bottom, b.bottom) - max(a.top, b.top)
    columns = min(a.right, b.right) - max(a.left, b.left)
    return max(0, rows) * max(0, columns)
