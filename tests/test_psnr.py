"""PSNR against scikit-image and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from fetalsynth.assessment.metrics.psnr import all_pairs, finite_mean, psnr, squared_distances


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 12, 9), dtype=np.uint8)


def test_all_pairs_agree_with_scikit_image() -> None:
    first, second = images(5, 0), images(7, 1)
    ours = all_pairs(first=first, second=second, data_range=255)
    theirs = [[peak_signal_noise_ratio(a, b, data_range=255) for b in second] for a in first]
    assert np.allclose(ours, theirs, rtol=1e-12)
    assert psnr(first=first[2], second=second[3], data_range=255) == pytest.approx(ours[2, 3])


def test_closed_forms() -> None:
    zeros, ones = np.zeros((8, 8)), np.ones((8, 8))
    assert psnr(first=zeros, second=ones, data_range=1) == pytest.approx(0.0)
    assert psnr(first=zeros, second=ones, data_range=10) == pytest.approx(20.0)
    rng = np.random.default_rng(2)
    independent = psnr(first=rng.random((400, 400)), second=rng.random((400, 400)), data_range=1)
    assert independent == pytest.approx(10 * np.log10(6), abs=0.05)


def test_identical_images_are_infinite_and_counted_apart() -> None:
    first = images(4, 3)
    values = all_pairs(first=first, second=first, data_range=255)
    assert np.isinf(np.diagonal(values)).all()
    off = values[~np.eye(4, dtype=bool)]
    assert finite_mean(values) == (pytest.approx(off.mean()), 4)
    assert finite_mean(np.full((2, 2), np.inf)) == (None, 4)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_distances_of_nearly_equal_floats_survive_cancellation(scale: float) -> None:
    rng = np.random.default_rng(4)
    first = rng.random((3, 50, 50)) + 1000
    second = first + scale * rng.standard_normal(first.shape)
    exact = ((first - second) ** 2).sum((1, 2))
    ours = np.diagonal(squared_distances(first=first, second=second))
    assert np.allclose(ours, exact, rtol=1e-9)
    assert np.all(np.diagonal(squared_distances(first=first, second=first)) == 0)


def test_range_and_shape_are_checked() -> None:
    with pytest.raises(ValueError, match="positive"):
        psnr(first=images(1, 0)[0], second=images(1, 1)[0], data_range=0)
    with pytest.raises(ValueError, match="shape"):
        all_pairs(first=images(1, 0), second=np.zeros((1, 3, 3), np.uint8), data_range=255)
