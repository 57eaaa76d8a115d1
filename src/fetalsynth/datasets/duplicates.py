"""The same picture twice: exactly, or re-exported with another crop, overlay or compression."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.datasets.decoding import Pixels
from fetalsynth.datasets.loading import with_channels

THUMBNAIL = 32
# On HC18 the eight known re-exports of one frame correlate at 0.970 and more at the original size
# (0.983 at 64 pixels), different examinations at 0.885 (0.918) and less.
NEARLY_SAME = 0.96
_CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class NearPair:
    """Positions of two images and the correlation of their thumbnails."""

    first: int
    second: int
    correlation: float


def pixel_hash(pixels: Pixels) -> str:
    """SHA-256 of shape, depth and pixels: equal exactly when the images are."""
    head = f"{pixels.shape} {pixels.dtype}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def equal_groups(hashes: Sequence[str]) -> list[list[int]]:
    """Positions of images with equal hashes, groups of two or more, in order."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(hashes):
        places[key].append(place)
    return [group for group in places.values() if len(group) > 1]


def thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """(THUMBNAIL²,) float32: the luminance averaged onto a square, less its mean, of length 1.

    A constant image gives zeros and so resembles nothing.
    """
    grey = with_channels(pixels, 1)[..., 0].astype(np.float32)
    size = (THUMBNAIL, THUMBNAIL)
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX)).ravel()
    centred = small - small.mean()
    length = float(np.linalg.norm(centred))
    if length < 1e-3:
        return np.zeros_like(centred)
    unit: NDArray[np.float32] = centred / np.float32(length)
    return unit


def near_pairs(
    thumbnails: NDArray[np.float32], *, threshold: float = NEARLY_SAME
) -> list[NearPair]:
    """All pairs of (N, D) unit thumbnails correlated at least ``threshold``, the closest first.

    Brightness and contrast do not matter. N² D operations, in chunks: seconds for thousands.
    """
    found: list[NearPair] = []
    for start in range(0, len(thumbnails), _CHUNK):
        similar = thumbnails[start : start + _CHUNK] @ thumbnails[start:].T
        first, second = np.nonzero(similar >= threshold)
        ahead = second > first
        found += [
            NearPair(first=start + int(a), second=start + int(b), correlation=float(similar[a, b]))
            for a, b in zip(first[ahead], second[ahead], strict=True)
        ]
    return sorted(found, key=lambda pair: -pair.correlation)
