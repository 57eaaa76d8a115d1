"""Mutual information against scikit-learn, closed forms and the known bias."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from fetalsynth.assessment.metrics.mutual_information import all_pairs, mutual_information

RANGE = (0, 256)


def noise(*, n: int, seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side), dtype=np.uint8)


def test_agrees_with_scikit_learn_on_related_and_unrelated_images() -> None:
    first = noise(n=4, seed=0)
    second = np.concatenate([noise(n=3, seed=1), (first[:2] // 2 + 30).astype(np.uint8)])
    ours = all_pairs(first=first, second=second, data_range=RANGE, corrected=False)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            theirs = mutual_info_score(a.ravel() // 8, b.ravel() // 8)
            assert ours[i, j] == pytest.approx(theirs, abs=1e-12)


def test_symmetric_and_independent_of_the_block_size() -> None:
    first, second = noise(n=3, seed=2), noise(n=300, seed=3, side=32)
    whole = all_pairs(first=first, second=second, data_range=RANGE)
    swapped = all_pairs(first=second, second=first, data_range=RANGE)
    assert np.allclose(whole, swapped.T, atol=1e-12)
    assert np.array_equal(
        whole[:, 7:9], all_pairs(first=first, second=second[7:9], data_range=RANGE)
    )


def test_an_image_knows_itself_up_to_its_entropy() -> None:
    levels = np.repeat(np.arange(32) * 8, 32).reshape(32, 32).astype(np.uint8)
    itself = mutual_information(first=levels, second=levels, data_range=RANGE, corrected=False)
    assert itself == pytest.approx(np.log(32), abs=1e-12)
    reversed_levels = 255 - levels
    assert mutual_information(
        first=levels, second=reversed_levels, data_range=RANGE, corrected=False
    ) == pytest.approx(np.log(32), abs=1e-12)


def test_binary_channel_has_the_closed_form() -> None:
    first = np.zeros((10, 100), np.uint8)
    first[5:] = 255
    second = first.copy()
    second[:5, :20], second[5:, :20] = 255, 0
    error = 0.2
    expected = np.log(2) + error * np.log(error) + (1 - error) * np.log(1 - error)
    found = mutual_information(
        first=first, second=second, data_range=(0, 255), bins=2, corrected=False
    )
    assert found == pytest.approx(expected, abs=1e-12)


def test_correction_removes_the_known_bias_of_independent_images() -> None:
    first, second = noise(n=30, seed=4, side=64), noise(n=30, seed=5, side=64)
    plain = all_pairs(first=first, second=second, data_range=RANGE, corrected=False).mean()
    corrected = all_pairs(first=first, second=second, data_range=RANGE).mean()
    assert plain == pytest.approx(31**2 / (2 * 64**2), rel=0.15)
    assert abs(corrected) < 0.1 * plain


def test_values_outside_the_declared_range_are_refused() -> None:
    image = noise(n=1, seed=6)[0]
    with pytest.raises(ValueError, match="outside the declared range"):
        mutual_information(first=image, second=image, data_range=(0, 1))
    with pytest.raises(ValueError, match="shape"):
        mutual_information(first=image, second=image[:5], data_range=RANGE)
