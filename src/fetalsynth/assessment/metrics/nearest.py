"""Nearest neighbours between two sets of images or features.

Formula
    d₁(s) = min over references t (and over given variants of s) of ‖s − t‖. The *isolation*
    d₁ / median(d₂ … d₁₁) sets it against the next ten references of other subjects: a copy is
    near one image, a blurred image is near all of them.
Calibration
    d₁ divided by the median d₁ of held-out real images against the same references: 1 is usual
    for an image that was not seen.
Direction
    None: too small is a copy, too large is unlike anything real.
Input
    (N, D) rows; for pixels :func:`standardised` first.
Ideal and chance
    Calibrated distance 1. Exact duplicates give 0.
Least number of images
    20 held-out images for the median, 100 for the 1st percentile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
NEIGHBOURS = 10
_ROWS_AT_ONCE = 512
_VALUES_AT_ONCE = 1 << 22
_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """For each query: distance and index of the nearest reference, and how isolated that is.

    ``distance`` and ``isolation`` are (N,) float64, ``index`` (N,) integers. Isolation is 1 where
    no other subject is left to compare with.
    """

    distance: Matrix
    index: NDArray[np.int64]
    isolation: Matrix

    def only(self, numbers: NDArray[np.int64]) -> Neighbours:
        """Those of these queries."""
        return Neighbours(
            distance=self.distance[numbers],
            index=self.index[numbers],
            isolation=self.isolation[numbers],
        )


def nearest(
    *,
    queries: list[Matrix],
    references: Matrix,
    reference_subjects: NDArray[np.int64],
    query_subjects: NDArray[np.int64] | None = None,
) -> Neighbours:
    """Nearest of ``references`` (M, D) to each query.

    ``queries`` lists variants (for instance flips) of the same (N, D) rows; the closest variant
    counts. Subjects are integers; with ``query_subjects`` a query never meets its own subject,
    which makes a leave-one-out comparison inside one set.
    """
    return _in_blocks(queries, [references], reference_subjects, query_subjects)


def nearest_variant(
    *,
    queries: Matrix | NDArray[np.float32],
    references: Sequence[Matrix] | Sequence[NDArray[np.float32]],
    reference_subjects: NDArray[np.int64],
    query_subjects: NDArray[np.int64] | None = None,
) -> Neighbours:
    """Like :func:`nearest`, with variants (for instance rotations) of the references (M, D)."""
    return _in_blocks([queries], references, reference_subjects, query_subjects)


def _in_blocks(
    queries: Sequence[NDArray[Any]],
    references: Sequence[NDArray[Any]],
    reference_subjects: NDArray[np.int64],
    query_subjects: NDArray[np.int64] | None,
) -> Neighbours:
    parts = []
    norms = [_norms(other) for other in references]
    step = max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // max(1, len(references[0]))))
    for start in range(0, len(queries[0]), step):
        part = slice(start, start + step)
        squared = _squared(queries[0][part], references[0], norms[0])
        for number, variant in enumerate(queries):
            for other, norm in list(zip(references, norms, strict=True))[number == 0 :]:
                np.minimum(squared, _squared(variant[part], other, norm), out=squared)
        if query_subjects is not None:
            squared[query_subjects[part, None] == reference_subjects] = np.inf
        parts.append(_neighbours(squared, reference_subjects))
    return Neighbours(
        distance=np.concatenate([part.distance for part in parts]),
        index=np.concatenate([part.index for part in parts]),
        isolation=np.concatenate([part.isolation for part in parts]),
    )


def _neighbours(squared: Matrix, reference_subjects: NDArray[np.int64]) -> Neighbours:
    index = squared.argmin(1)
    rows = np.arange(len(squared))
    distance = np.sqrt(squared[rows, index], dtype=np.float64)
    squared[reference_subjects[index][:, None] == reference_subjects] = np.inf
    count = min(NEIGHBOURS, squared.shape[1])
    others = np.sqrt(np.partition(squared, count - 1, axis=1)[:, :count], dtype=np.float64)
    return Neighbours(distance=distance, index=index, isolation=_isolation(distance, others))


def _isolation(distance: Matrix, others: Matrix) -> Matrix:
    known = np.isfinite(others)
    middle = np.array(
        [
            np.median(row[some]) if some.any() else 0.0
            for row, some in zip(others, known, strict=True)
        ]
    )
    return np.where(middle > 0, distance / np.where(middle > 0, middle, 1), 1.0)


def _squared(a: Matrix, b: Matrix, norm_b: Matrix) -> Matrix:
    squared: Matrix = (a**2).sum(1)[:, None] + norm_b - 2 * (a @ b.T)
    return np.maximum(squared, 0.0, out=squared)


def _norms(rows: NDArray[Any]) -> NDArray[Any]:
    """Squared lengths (N,), a few rows at a time."""
    blocks = range(0, len(rows), _ROWS_AT_ONCE)
    return np.concatenate([(rows[at : at + _ROWS_AT_ONCE] ** 2).sum(1) for at in blocks])


def distance_matrix(*, rows: Matrix) -> Matrix:
    """Euclidean distances (N, N) between rows (N, D); the diagonal is infinite."""
    distances = np.sqrt(_squared(rows, rows, _norms(rows)))
    np.fill_diagonal(distances, np.inf)
    return distances


def standardised(*, images: NDArray[np.generic], side: int) -> Matrix:
    """Rows (N, D) for distances between pictures, of images (N, H, W).

    Images longer than ``side`` are first averaged over whole blocks of pixels (rows and columns
    left over at the lower and right end are dropped). Each row then has mean 0 and norm 1, so
    that brightness and contrast do not count and the distance of uncorrelated images is √2.
    A flat image becomes zeros.
    """
    values = shrunk(images=images, side=side)
    rows = values.reshape(len(values), -1)
    rows = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1))


def shrunk(*, images: NDArray[np.generic], side: int) -> Matrix:
    """(N, H, W) averaged over blocks of ⌈longer side / ``side``⌉ pixels, float64."""
    factor = -(-max(images.shape[1:]) // side)
    height, width = images.shape[1] // factor, images.shape[2] // factor
    small = np.empty((len(images), height, width))
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        part = images[start : start + _IMAGES_AT_ONCE, : height * factor, : width * factor]
        blocks = part.astype(np.float64).reshape(-1, height, factor, width, factor)
        small[start : start + _IMAGES_AT_ONCE] = blocks.mean((2, 4))
    return small


def flips(*, images: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """(N, H, W) as it is, mirrored left to right, top to bottom, and both."""
    return [images, images[:, :, ::-1], images[:, ::-1], images[:, ::-1, ::-1]]
