"""Volumes as pictures: three planes, tissues in colour, outlines of labels on grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.volumes import WHITE

# Background and FeTA's tissues; more labels take the colours again from the second on.
COLOURS = (
    (0, 0, 0),
    (90, 140, 250),
    (245, 190, 70),
    (235, 235, 225),
    (60, 220, 220),
    (120, 200, 90),
    (215, 100, 170),
    (240, 110, 70),
)


def middle_slices(cube: NDArray[Any]) -> list[NDArray[Any]]:
    """Sagittal, coronal and axial slice through the middle of (S, S, S), as they are hung."""
    stacks = [to_slices(cube, plane=plane) for plane in PLANES]
    return [stack[len(stack) // 2] for stack in stacks]


def grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """0…WHITE → (…, 3) uint8."""
    levels = np.rint(np.clip(np.asarray(values, np.float32) * (255 / WHITE), 0, 255))
    return np.repeat(levels.astype(np.uint8)[..., None], 3, axis=-1)


def coloured(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels → (…, 3) uint8."""
    first, rest = COLOURS[:1], COLOURS[1:]
    table = np.array([*first, *(rest[k % len(rest)] for k in range(255))], np.uint8)
    return np.asarray(table[labels])


def outlined(values: NDArray[Any], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A slice (H, W) in grey, (H, W, 3), with the outline of every tissue in its colour.

    A labelled pixel is on the outline where the neighbour to the right or below has another label,
    or any of the four none: lines one pixel wide.
    """
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[1:] |= labels[:-1] == 0
    edge[:, 1:] |= labels[:, :-1] == 0
    return np.where((edge & (labels > 0))[..., None], coloured(labels), grey(values))
