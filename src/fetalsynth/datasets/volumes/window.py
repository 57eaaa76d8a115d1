"""Grey levels: a declared window of source values, from black (0) to ``WHITE``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.volumes import WHITE
from fetalsynth.errors import UserError

PERCENTILE = 99.9
Window = tuple[float, float]


def measure_window(image: NDArray[Any], labels: NDArray[np.uint8] | None, *, where: str) -> Window:
    """(0, the 99.9th percentile of the labelled brain), source units.

    One in a thousand voxels is clipped; the brightest of a volume are often artefacts that would
    darken all others. Without labels, all voxels above 0 count. Raises UserError where that is 0.
    """
    inside = image[image > 0] if labels is None else image[labels > 0]
    upper = float(np.percentile(inside, PERCENTILE)) if inside.size else 0.0
    if upper <= 0:
        raise UserError(f"{where}: the image is black where its brain is; check the file")
    return 0.0, upper


def apply_window(image: NDArray[Any], window: Window) -> NDArray[np.int16]:
    """Source values → 0…WHITE, linear, rounded, clipped at both ends."""
    low, high = window
    scaled = (np.asarray(image, np.float32) - np.float32(low)) * np.float32(WHITE / (high - low))
    levels: NDArray[np.int16] = np.rint(scaled).clip(0, WHITE).astype(np.int16)
    return levels


def undo_window(values: NDArray[Any], window: Window) -> NDArray[np.float32]:
    """0…WHITE → source values; what was clipped stays at the window's ends."""
    low, high = window
    return np.asarray(values, np.float32) * np.float32((high - low) / WHITE) + np.float32(low)
