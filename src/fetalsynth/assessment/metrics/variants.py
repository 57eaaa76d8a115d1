"""Mirrored and slightly turned versions of images, for finding copies that augmentation disguises.

Formula
    Bilinear rotation about the centre by 0, ±5 and ±10 degrees, then the four mirror images: 20
    variants. Compared are only pixels that stay inside the picture under every turn, averaged over
    blocks to at most ``side`` pixels a side, each row with mean 0 and norm 1.
Direction
    None; a building block.
Input
    (N, H, W) grey images.
Ideal and chance
    Distance 0 for a mirrored copy. A copy turned by an angle in between is 2.5 degrees or less from
    a variant: at 32 pixels a side, 0.7 pixels at the border.
Least number of images
    1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.nearest import flips, shrunk
from fetalsynth.datasets.scratch import scratch

DEGREES = (0.0, -10.0, -5.0, 5.0, 10.0)
_FINER = 2
_IMAGES_AT_ONCE = 256

Rows = NDArray[np.float32]


def plain_rows(*, images: NDArray[np.generic], side: int) -> Rows:
    """The images as they are, as rows (N, D) comparable with those of :func:`variant_rows`."""
    blocks = range(0, len(images), _IMAGES_AT_ONCE)
    return np.concatenate([_plain(images[at : at + _IMAGES_AT_ONCE], side) for at in blocks])


def _plain(images: NDArray[np.generic], side: int) -> Rows:
    return _rows(shrunk(images=shrunk(images=images, side=_FINER * side), side=side))


def variant_rows(
    *, images: NDArray[np.generic], side: int, degrees: tuple[float, ...] = DEGREES
) -> list[Rows]:
    """Rows (N, D) of every variant; the images as they are come first.

    Twenty copies of all images are too many for memory: they lie in a temporary file.
    """
    width = plain_rows(images=images[:1], side=side).shape[1]
    rows = scratch(shape=(4 * len(degrees), len(images), width), dtype=np.float32)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        fine = shrunk(images=images[part], side=_FINER * side)
        for number, angle in enumerate(degrees):
            small = shrunk(images=turned(images=fine, degrees=angle), side=side)
            for flip, mirrored in enumerate(flips(images=small)):
                rows[4 * number + flip, part] = _rows(mirrored)
    return list(rows)


def turned(*, images: NDArray[np.generic], degrees: float) -> NDArray[np.float32]:
    """(N, H, W) turned anticlockwise about the centre; the border continues outwards."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    if degrees:
        rows = np.ascontiguousarray((_turning(images.shape[1:], degrees) @ rows.T).T)
    return rows.reshape(images.shape)


@lru_cache(maxsize=8)
def _turning(shape: tuple[int, ...], degrees: float) -> Any:
    """Sparse (H·W, H·W) weights: one product turns all images at once."""
    from scipy import sparse

    height, width = shape
    y, x = _from_centre(height, width)
    angle = np.deg2rad(degrees)
    source_y = np.cos(angle) * y + np.sin(angle) * x + (height - 1) / 2
    source_x = np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2
    source_y, source_x = source_y.clip(0, height - 1), source_x.clip(0, width - 1)
    top, left = np.floor(source_y).astype(int), np.floor(source_x).astype(int)
    below, right = source_y - top, source_x - left
    rows, columns, weights = [], [], []
    for down, share_y in ((0, 1 - below), (1, below)):
        for aside, share_x in ((0, 1 - right), (1, right)):
            row, column = np.minimum(top + down, height - 1), np.minimum(left + aside, width - 1)
            rows.append(np.arange(y.size))
            columns.append((row * width + column).ravel())
            weights.append((share_y * share_x).ravel().astype(np.float32))
    places = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_array((np.concatenate(weights), places), shape=(y.size, y.size))


def stays_inside(*, shape: tuple[int, int], degrees: float) -> NDArray[np.bool_]:
    """Pixels (H, W) whose centre stays within the picture when turned by ± ``degrees``."""
    height, width = shape
    y, x = _from_centre(height, width)
    angle = np.deg2rad(degrees)
    far_y = np.abs(y) * np.cos(angle) + np.abs(x) * np.sin(angle)
    far_x = np.abs(x) * np.cos(angle) + np.abs(y) * np.sin(angle)
    return np.asarray((far_y <= height / 2) & (far_x <= width / 2))


def _from_centre(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    return np.repeat(y[:, None], width, 1), np.repeat(x[None], height, 0)


def _rows(small: NDArray[np.generic]) -> Rows:
    _, height, width = small.shape
    inside = stays_inside(shape=(height, width), degrees=max(DEGREES))
    values = small[:, inside].astype(np.float32)
    values -= values.mean(1, keepdims=True)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(norm > 0, norm, 1), np.float32)
