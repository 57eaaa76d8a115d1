"""Dice against closed forms, and its conventions for labels that are absent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fetalsynth.assessment.metrics.dice import dice


def test_overlapping_blocks() -> None:
    """Two blocks of 4 × 4 × 4, one voxel apart: 3/4 of each is shared."""
    first, second = np.zeros((2, 10, 10, 10), np.uint8)
    first[2:6, 3:7, 1:5] = 5
    second[3:7, 3:7, 1:5] = 5
    assert dice(first=first, second=second, labels=(5,)) == {5: 0.75}
    assert dice(first=first, second=first, labels=(5,)) == {5: 1.0}


def test_it_counts_as_the_sets_do() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 12, 11, 9))
    found = dice(first=first, second=second, labels=range(6))
    for label in range(6):
        a, b = (set(np.flatnonzero(x == label)) for x in (first, second))
        assert found[label] == pytest.approx(2 * len(a & b) / (len(a) + len(b)), abs=1e-15)
    assert dice(first=second, second=first, labels=range(6)) == found


def test_absent_labels() -> None:
    first = np.array([1, 1, 0, 3])
    second = np.array([1, 2, 0, 3])
    found = dice(first=first, second=second, labels=(2, 9))
    assert found[2] == 0
    assert math.isnan(found[9])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        dice(first=np.zeros((2, 2), int), second=np.zeros(4, int), labels=(1,))
    with pytest.raises(ValueError, match="negative"):
        dice(first=np.array([-1]), second=np.array([1]), labels=(1,))
