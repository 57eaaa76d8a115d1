"""A flat map of every feature space: its two main axes of variation among real images.

Principal components (Pearson, *Phil. Mag.* 2:559, 1901) of the held-out real images alone; the
images of all roles are projected on them, so that what only synthetic images do stays invisible.
A map for the eye; no number is read from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import ROLES, Samples
from fetalsynth.assessment.spaces import Space
from fetalsynth.assessment.tables import csv_text

FEATURE_MAP = "feature_map.csv"
FEATURE_MAP_AXES = "feature_map_axes.csv"
AXES = 2
Matrix = NDArray[np.float64]


def feature_maps(samples: Samples, spaces: tuple[Space, ...]) -> Part:
    """``feature_map.csv`` (space, role, file, axis_1, axis_2) and the share each axis explains."""
    names = [
        (role, file) for role in ROLES if role in samples.files for file in samples.files[role]
    ]
    points: list[tuple[object, ...]] = []
    shares: list[tuple[object, ...]] = []
    for space in spaces:
        axes, mean, explained = main_axes(rows=space.pooled[samples.pooled("real")])
        placed = (space.pooled - mean) @ axes.T
        points += [
            (space.name, role, file, float(f"{x:.5g}"), float(f"{y:.5g}"))
            for (role, file), (x, y) in zip(names, placed, strict=True)
        ]
        shares += [(space.name, axis + 1, float(s)) for axis, s in enumerate(explained)]
    tables = {
        FEATURE_MAP: csv_text(("space", "role", "file", "axis_1", "axis_2"), points),
        FEATURE_MAP_AXES: csv_text(("space", "axis", "share_of_real_variance"), shares),
    }
    return Part(tables=tables)


def main_axes(*, rows: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """First two principal axes (2, D), the mean (D,) and the shares of variance (2,) of (N, D).

    The largest component of every axis is positive, so that the same images give the same map.
    Rows without variation give zeros.
    """
    from scipy.linalg import eigh

    mean = rows.mean(0)
    centred = rows - mean
    wide = rows.shape[1] > len(rows)
    scatter = centred @ centred.T if wide else centred.T @ centred
    size = len(scatter)
    values, vectors = eigh(scatter, subset_by_index=[size - AXES, size - 1])
    axes = (vectors.T @ centred if wide else vectors.T)[::-1]
    total = float(np.trace(scatter))
    if total <= 0:
        return np.zeros_like(axes), mean, np.zeros(AXES)
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(float).tiny)
    largest = np.abs(axes).argmax(1)
    signs = np.where(axes[np.arange(AXES), largest] < 0, -1.0, 1.0)
    return axes * signs[:, None], mean, np.maximum(values[::-1], 0) / total
