"""All ellipses tried on a coarse grid: where a head may be, without a first guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.skull.ridges import DIRECTIONS
from fetalsynth.anatomy.skull.rings import LARGER, evenness, outline

Floats = NDArray[np.float64]

CANDIDATES = 16
_COARSE = 2
_POINTS = 48
_SMALLEST, _LARGEST, _GROWTH = 0.085, 0.40, 1.1  # semi-minor axis, in sides of the picture
_INDICES = (0.93, 0.83, 0.74, 0.66)
_TURNS = {0.93: 4, 0.83: 12, 0.74: 12, 0.66: 12}
_STRIDE = 2
_REACH = 0.46  # how far a ring may reach over the picture, in sides
_CONSIDERED = 20_000
_NEAR, _ALIKE = 0.2, 0.12


def candidates(ridges: NDArray[np.float32]) -> Floats:
    """The best rings (N ≤ 16, 5) that differ from each other, in pixels of ``ridges`` (16, H, W).

    Ridges are blurred and taken at every second pixel; centres lie on every second of these in the
    middle four fifths of the picture; semi-minor axes run from 0.085 to 0.40 of the longer side in
    steps of a tenth, cephalic indices are 0.93, 0.83, 0.74 and 0.66, directions 15° apart.
    """
    small = _smaller(ridges)
    shapes = _shapes(max(small.shape[1:]))
    y, x = (_centres(n) for n in small.shape[1:])
    scores = _scores(small, shapes, y, x)
    order = _best(scores.ravel())
    shape, centre = np.divmod(order, scores.shape[1])
    rings = shapes[shape]
    rings[:, 0], rings[:, 1] = x[centre % len(x)], y[centre // len(x)]
    rings = _different(rings)
    rings[:, :2] = rings[:, :2] * _COARSE
    rings[:, 2] += np.log(_COARSE)
    return rings


def _smaller(ridges: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(ridges, (0, _COARSE / 2, _COARSE / 2), mode="nearest")
    return np.asarray(blurred[:, ::_COARSE, ::_COARSE])


def _shapes(side: int) -> Floats:
    """Rings (N, 5) about the origin."""
    count = int(np.log(_LARGEST / _SMALLEST) / np.log(_GROWTH)) + 1
    rings = [
        (0.0, 0.0, np.log(minor) - 0.5 * np.log(index), *(_long(index) * _way(k, _TURNS[index])))
        for minor in _SMALLEST * side * _GROWTH ** np.arange(count)
        for index in _INDICES
        for k in range(_TURNS[index])
    ]
    return np.array(rings)


def _long(index: float) -> float:
    return float(-0.5 * np.log(index))


def _way(k: int, turns: int) -> Floats:
    return np.array([np.cos(2 * np.pi * k / turns), np.sin(2 * np.pi * k / turns)])


def _centres(length: int) -> NDArray[np.intp]:
    """Every second pixel of the middle four fifths, the same from either end."""
    count = int(0.4 * length / _STRIDE)
    ends = length % 2  # an even length has no middle pixel
    half = _STRIDE * np.arange(count + 1)
    first = (length - 1) // 2
    return np.concatenate([first - half[::-1], first + 1 - ends + half[ends:]])


def _scores(
    small: NDArray[np.float32], shapes: Floats, y: NDArray[np.intp], x: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Score of every shape about every centre, (shapes, centres)."""
    margin = int(_REACH * max(small.shape[1:])) + 1
    padded = np.pad(small, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = padded.shape
    dx, dy, nx, ny = outline(shapes, points=_POINTS)
    k = np.rint(np.arctan2(ny, nx) * (DIRECTIONS / np.pi)).astype(np.intp) % DIRECTIONS
    offsets = (k * height + np.rint(dy).astype(np.intp)) * width + np.rint(dx).astype(np.intp)
    centres = ((y[:, None] + margin) * width + x + margin).ravel()
    flat = padded.ravel()
    larger = np.exp(LARGER * shapes[:, 2])
    found = np.empty((len(shapes), len(centres)), np.float32)
    for row, (offset, factor) in enumerate(zip(offsets, larger, strict=True)):
        found[row] = factor * evenness(flat[offset[:, None] + centres])
    return found


def _best(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Where the highest scores stand, best first."""
    count = min(_CONSIDERED, len(scores))
    top = np.argpartition(scores, len(scores) - count)[len(scores) - count :]
    return top[np.argsort(-scores[top], kind="stable")]


def _different(rings: Floats) -> Floats:
    """The first rings, best first, that are not near an earlier one in place and size."""
    left = np.ones(len(rings), bool)
    kept: list[int] = []
    while left.any() and len(kept) < CANDIDATES:
        k = int(np.argmax(left))
        kept.append(k)
        apart = np.hypot(*(rings[:, :2] - rings[k, :2]).T) / np.exp(rings[:, 2])
        left &= (apart >= _NEAR) | (np.abs(rings[:, 2] - rings[k, 2]) >= _ALIKE)
    return rings[kept]
