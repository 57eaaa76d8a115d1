"""Volumes onto another grid with parallel axes, one axis after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

Way = tuple[float, float]  # (start, step): source voxel = start + step · target voxel


def box_of(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last voxel that is True along each axis; at least one must be."""
    spans = []
    for axis in range(3):
        across = tuple(other for other in range(3) if other != axis)
        spans.append(np.flatnonzero(inside.any(axis=across)))
    return np.array([s[0] for s in spans]), np.array([s[-1] for s in spans])


def mapped(voxels: NDArray[_T], ways: Sequence[Way], *, shape: Sequence[int]) -> NDArray[_T]:
    """(I, J, K) → ``shape``, one way per axis; 0 beyond the ends of the source.

    Voxels are copied where every axis is only shifted by whole voxels or flipped, whatever their
    type; else they must be floats and are interpolated linearly, with the triangle widened to the
    step where the target is coarser, against aliasing.
    """
    if all(_is_copy(way) for way in ways):
        return _copied(voxels, ways, shape)
    for axis, way in enumerate(ways):
        voxels = _along(voxels, axis, way, shape[axis])
    return voxels


def mapped_labels(
    labels: NDArray[np.uint8], ways: Sequence[Way], *, shape: Sequence[int]
) -> NDArray[np.uint8]:
    """As :func:`mapped`: every voxel gets the label with the largest share of it."""
    if all(_is_copy(way) for way in ways):
        return _copied(labels, ways, shape)
    largest, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    best = np.zeros(shape, np.uint8)
    for label in np.unique(labels):
        if label > 0:
            block, share = _share(labels == label, ways, shape)
            best[block] = np.where(share > largest[block], label, best[block])
            largest[block] = np.maximum(share, largest[block])
            total[block] += share
    return np.where(largest > 1 - total, best, np.uint8(0))


def _is_copy(way: Way) -> bool:
    start, step = way
    return abs(step) == 1 and start == math.floor(start)


def _copied(voxels: NDArray[_T], ways: Sequence[Way], shape: Sequence[int]) -> NDArray[_T]:
    found = np.zeros(shape, voxels.dtype)
    into, out = [], []
    for axis, (start, step) in enumerate(ways):
        source = np.int64(start) + np.int64(step) * np.arange(shape[axis])
        there = np.flatnonzero((source >= 0) & (source < voxels.shape[axis]))
        if not len(there):
            return found
        into.append(slice(int(there[0]), int(there[-1]) + 1))
        first, beyond = int(source[there[0]]), int(source[there[-1]] + step)
        out.append(slice(first, beyond if beyond >= 0 else None, int(step)))
    found[tuple(into)] = voxels[tuple(out)]
    return found


def _along(voxels: NDArray[_T], axis: int, way: Way, length: int) -> NDArray[_T]:
    """Resample one axis to ``length`` voxels."""
    places, weights = _taps(voxels.shape[axis], way, length)
    shape = [1, 1, 1]
    shape[axis] = length
    found: NDArray[Any] = np.zeros((), voxels.dtype)
    for place, weight in zip(places, weights, strict=True):
        found = found + np.take(voxels, place, axis) * weight.astype(voxels.dtype).reshape(shape)
    return found


def _taps(count: int, way: Way, length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(T, length) source voxels and their weights: a triangle as wide as the coarser step."""
    start, step = way
    centre = start + step * np.arange(length)
    reach = max(1.0, abs(step))
    places = (
        np.floor(centre - reach).astype(np.int64) + np.arange(math.ceil(2 * reach) + 1)[:, None]
    )
    weights = np.maximum(0, 1 - np.abs(places - centre) / reach)
    weights /= weights.sum(axis=0)
    weights[(places < 0) | (places >= count)] = 0
    needed = weights.any(axis=1)
    return places.clip(0, count - 1)[needed], weights[needed]


def _share(
    inside: NDArray[np.bool_], ways: Sequence[Way], shape: Sequence[int]
) -> tuple[tuple[slice, ...], NDArray[np.float32]]:
    """The block of the target that a tissue reaches, and its share of every voxel there."""
    first, last = box_of(inside)
    block, own = [], []
    for axis, (start, step) in enumerate(ways):
        centre = start + step * np.arange(shape[axis])
        reach = max(1.0, abs(step))
        there = np.flatnonzero((centre > first[axis] - reach) & (centre < last[axis] + reach))
        begin, end = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
        block.append(slice(begin, end))
        own.append((start + step * begin - first[axis], step))
    cut = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
    counts = [b.stop - b.start for b in block]
    return tuple(block), mapped(inside[cut].astype(np.float32), own, shape=counts)
