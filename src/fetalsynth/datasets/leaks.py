"""The same subject or picture in two splits, and copies within one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetalsynth.datasets.duplicates import equal_groups, near_pairs
from fetalsynth.datasets.inspecting import Seen

# Two frames of one examination reach 0.99 on HC18, so only a higher correlation proves a copy.
_SURELY_SAME = 0.995


def split_leaks(images: Sequence[Seen]) -> dict[str, list[str]]:
    """By kind, descriptions of the subjects and pictures that are surely in more than one split."""
    splits: dict[str, set[str]] = {}
    for image in images:
        splits.setdefault(image.subject, set()).add(image.split)
    return _found(
        {
            "subjects in more than one split": [
                f"{subject}: {', '.join(sorted(found))}"
                for subject, found in splits.items()
                if len(found) > 1
            ],
            "identical pictures in more than one split": [
                text for text, crossing in _same(images) if crossing
            ],
            "nearly identical pictures in more than one split": [
                text
                for text, crossing, correlation in _near(images)
                if crossing and correlation >= _SURELY_SAME
            ],
        }
    )


def copies(images: Sequence[Seen]) -> dict[str, list[str]]:
    """By kind, descriptions of copies within one split and of likely ones across splits."""
    near = _near(images)
    return _found(
        {
            "identical pictures within a split": [
                text for text, crossing in _same(images) if not crossing
            ],
            "nearly identical pictures within a split": [
                text for text, crossing, _ in near if not crossing
            ],
            "very similar pictures in more than one split": [
                text
                for text, crossing, correlation in near
                if crossing and correlation < _SURELY_SAME
            ],
        }
    )


def _found(groups: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: texts for name, texts in groups.items() if texts}


def _same(images: Sequence[Seen]) -> list[tuple[str, bool]]:
    groups = equal_groups([image.pixel_hash for image in images])
    return [
        (" = ".join(images[i].file for i in group), len({images[i].split for i in group}) > 1)
        for group in groups
    ]


def _near(images: Sequence[Seen]) -> list[tuple[str, bool, float]]:
    if not images:
        return []
    thumbnails = np.stack([image.thumbnail for image in images if image.thumbnail is not None])
    found = []
    for pair in near_pairs(thumbnails):
        a, b = images[pair.first], images[pair.second]
        if a.pixel_hash != b.pixel_hash:
            text = f"{a.file} ≈ {b.file} (correlation {pair.correlation:.3f})"
            found.append((text, a.split != b.split, pair.correlation))
    return found
