"""Paint over overlays so that a generator finds neither a box nor a bar to learn.

Where the overlay hides nothing of the picture it becomes black, as its surroundings are. Where it
hides tissue it is filled with the smooth continuation of the surrounding brightness times speckle
taken from beside it: plausible texture without anatomy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.datasets.decoding import Pixels, to_depth
from fetalsynth.datasets.fan import sector_right_of
from fetalsynth.datasets.overlays import Box

_BLOCK = 8  # pixels per cell of the coarse brightness map
_GRAIN = 9  # pixels over which speckle is compared with its surroundings
_MARGIN = 2  # pixels beside a box that its blurred edge may have darkened


def paint_over(pixels: Pixels, *, boxes: list[Box]) -> Pixels:
    """A copy of (H, W) or (H, W, 3) pixels without the given overlays; deterministic."""
    if not boxes:
        return pixels
    if pixels.ndim == 3:
        planes = [paint_over(pixels[..., i], boxes=boxes) for i in range(3)]
        stacked = np.stack(planes, axis=-1)
        return to_depth(stacked, deep=pixels.dtype == np.uint16)
    values = pixels.astype(np.float32)
    for box in boxes:
        values[_slices(box)] = 0
    known = values > 0
    holes = [_tissue_behind(known, box) for box in boxes]
    for box in boxes:
        known[_slices(box, margin=_MARGIN)] = False
    if known.sum() >= 100 and any(hole.any() for hole in holes):
        values = _filled(values, known, list(zip(boxes, holes, strict=True)))
    top = np.iinfo(pixels.dtype).max
    return to_depth(np.rint(values).clip(0, top), deep=pixels.dtype == np.uint16)


def _slices(box: Box, *, margin: int = 0) -> tuple[slice, slice]:
    rows = slice(max(0, box.top - margin), box.bottom + margin)
    return rows, slice(max(0, box.left - margin), box.right + margin)


def _tissue_behind(picture: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Which pixels of the overlay, and of its blurred margin, belong to the sector."""
    inside = np.zeros_like(picture)
    inside[_slices(box, margin=0 if box.kind == "bar" else _MARGIN)] = True
    if box.kind == "bar":
        return inside & _beside(picture, box)[:, None]
    width = picture.shape[1]
    if box.left + box.right >= width:
        return inside & sector_right_of(picture, left=box.left)
    turned = sector_right_of(picture[:, ::-1], left=width - box.right)
    return inside & turned[:, ::-1]


def _beside(picture: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    """Rows in which there is signal right beside a bar, on its inner side."""
    at_left = box.left + box.right < picture.shape[1]
    strip = slice(box.right, box.right + 6) if at_left else slice(max(0, box.left - 6), box.left)
    rows: NDArray[np.bool_] = picture[:, strip].mean(axis=1) >= 0.5
    return rows


def _filled(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    holes: list[tuple[Box, NDArray[np.bool_]]],
) -> NDArray[np.float32]:
    brightness, speckle = _brightness(values, known), _speckle(values, known)
    for box, hole in holes:
        y, x = np.nonzero(hole)
        if len(y):
            from_y, from_x = _beside_the_box(y, x, box, known)
            values[y, x] = np.maximum(brightness[y, x] * speckle[from_y, from_x], 1)
    return values


def _brightness(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Local mean of the known pixels, carried on smoothly into the unknown (pull–push)."""
    from scipy.ndimage import gaussian_filter

    height, width = values.shape
    pad = ((0, -height % _BLOCK), (0, -width % _BLOCK))
    total, weight = (_blocks(np.pad(part, pad)) for part in (values * known, known))
    mean, trust = np.zeros_like(total), np.zeros_like(total)
    for sigma in (1, 3, 9, 27):
        share = gaussian_filter(weight, sigma)
        local = gaussian_filter(total, sigma) / np.maximum(share, 1e-6)
        more = np.clip(4 * share, 0, 1) * (1 - trust)
        mean, trust = mean + more * local, trust + more
    coarse = (mean / np.maximum(trust, 1e-6)).astype(np.float32)
    size = (coarse.shape[1] * _BLOCK, coarse.shape[0] * _BLOCK)
    fine = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(fine)[:height, :width]


def _blocks(values: NDArray[np.floating | np.bool_]) -> NDArray[np.float64]:
    height, width = values.shape
    tiles = values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    means: NDArray[np.float64] = tiles.mean(axis=(1, 3), dtype=np.float64)
    return means


def _speckle(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Every pixel relative to its surroundings; clipped, so that no skull is carried over."""
    from scipy.ndimage import uniform_filter

    around = uniform_filter(values * known, _GRAIN) / np.maximum(
        uniform_filter(known.astype(np.float32), _GRAIN), 0.05
    )
    ratio: NDArray[np.float32] = (values / np.maximum(around, 1)).clip(0.4, 1.8)
    ratio[~known] = 1
    return ratio


def _beside_the_box(
    y: NDArray[np.intp], x: NDArray[np.intp], box: Box, known: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where to take speckle from: mirrored across the side of the box with more picture behind."""
    height, width = known.shape
    to_left = 2 * box.left - 1 - _MARGIN - x
    to_right = 2 * box.right + _MARGIN - x
    upwards = 2 * box.top - 1 - _MARGIN - y
    downwards = 2 * box.bottom + _MARGIN - y
    choices = [(y, to_left), (y, to_right), (upwards, x), (downwards, x)]
    kept = [(r.clip(0, height - 1), c.clip(0, width - 1)) for r, c in choices]
    seen = [
        float((known[r, c] & (r == r0) & (c == c0)).mean())
        for (r, c), (r0, c0) in zip(kept, choices, strict=True)
    ]
    return kept[int(np.argmax(seen))]
