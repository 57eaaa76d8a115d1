"""Which images belong together, so that tests take each subject once and halves take it whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes


def subject_numbers(
    *, names: Sequence[str], images: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], int]:
    """Subject number (N,) of images (N, H, W), and how many images repeat an earlier one.

    Images with the same subject name belong together, and so do images with the same pixels,
    whatever their names: they are no two independent observations. Numbers count from 0 in order
    of first appearance.
    """
    first: dict[str, int] = {}
    pixels: dict[str, int] = {}
    group = np.arange(len(names))
    repeated = 0
    for number, (name, image) in enumerate(zip(names, images, strict=True)):
        digest = digest_bytes(image.tobytes())
        repeated += digest in pixels
        for known, place in ((first, name), (pixels, digest)):
            _join(group, known.setdefault(place, number), number)
    roots = [_root(group, number) for number in range(len(names))]
    order = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return np.array([order[root] for root in roots], np.int64), repeated


def _root(group: NDArray[np.int64], number: int) -> int:
    while group[number] != number:
        group[number] = group[group[number]]
        number = int(group[number])
    return number


def _join(group: NDArray[np.int64], one: int, other: int) -> None:
    roots = _root(group, one), _root(group, other)
    group[max(roots)] = min(roots)
