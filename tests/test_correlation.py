"""Pixel scores of pairs against numpy, scikit-image, scikit-learn and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, normalized_mutual_information
from sklearn.metrics import normalized_mutual_info_score

from fetalsynth.assessment.metrics import normalised_mutual_information as nmi
from fetalsynth.assessment.metrics.combined import combined_score
from fetalsynth.assessment.metrics.correlation import correlation
from fetalsynth.assessment.metrics.mse import mse, normalised_mse
from fetalsynth.assessment.metrics.tissue_error import tissue_errors
from fetalsynth.assessment.metrics.trivial_baseline import painted

RNG = np.random.default_rng(0)
X = RNG.random((20, 30, 25))
Y = 0.6 * X + 0.4 * RNG.random(X.shape)


def test_correlation_equals_numpy_and_ignores_brightness_and_contrast() -> None:
    expected = np.corrcoef(X.ravel(), Y.ravel())[0, 1]
    assert correlation(first=X, second=Y) == pytest.approx(expected, abs=1e-12)
    assert correlation(first=X, second=1000 - 3 * Y) == pytest.approx(-expected, abs=1e-12)
    inside = X > 0.5
    expected = np.corrcoef(X[inside], Y[inside])[0, 1]
    assert correlation(first=X, second=Y, where=inside) == pytest.approx(expected, abs=1e-12)


def test_correlation_of_bytes_does_not_overflow() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert correlation(first=image, second=255 - image) == pytest.approx(-1)


def test_correlation_with_a_flat_image_is_zero() -> None:
    for level in (0.0, 0.1, 1e6 + 0.1):
        assert correlation(first=X, second=np.full(X.shape, level)) == 0.0


def test_mse_equals_scikit_image_and_its_closed_form() -> None:
    assert mse(first=X, second=Y) == pytest.approx(mean_squared_error(X, Y), rel=1e-12)
    dark, bright = np.zeros((4, 4), np.uint8), np.full((4, 4), 200, np.uint8)
    assert mse(first=dark, second=bright) == 200**2
    assert normalised_mse(first=dark, second=bright, data_range=255) == pytest.approx(
        (200 / 255) ** 2
    )
    where = np.zeros((4, 4), bool)
    where[0] = True
    bright[1:] = 7
    assert mse(first=dark, second=bright, where=where) == 200**2
    a, b = RNG.random((2, 400, 400))
    assert mse(first=a, second=b) == pytest.approx(1 / 6, rel=0.01)


def test_combined_score_is_the_studys() -> None:
    """Table 1 of the MRI study: SSIM 0.97 and correlation 0.98 make 0.973."""
    assert combined_score(ssim=0.97, correlation=0.98) == pytest.approx(0.97333, abs=1e-5)


def test_studholme_equals_scikit_image() -> None:
    for bins in (32, 100):
        ends = [(float(image.min()), float(image.max())) for image in (X, Y)]
        found = nmi.entropies(
            first=X, second=Y, first_range=ends[0], second_range=ends[1], bins=bins
        )
        expected = normalized_mutual_information(X, Y, bins=bins)
        assert nmi.studholme(found) == pytest.approx(expected, abs=1e-10)


def test_arithmetic_equals_scikit_learn() -> None:
    first = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
    second = (first // 2 + RNG.integers(0, 60, first.shape)).astype(np.uint8)
    found = nmi.entropies(first=first, second=second, first_range=(0, 256), second_range=(0, 256))
    expected = normalized_mutual_info_score((first // 8).ravel(), (second // 8).ravel())
    assert nmi.arithmetic(found) == pytest.approx(expected, abs=1e-10)


def test_information_at_its_ends() -> None:
    """A one-to-one map of grey levels has the upper end, independence the lower one."""
    grid = np.arange(32)
    first, second = np.meshgrid(grid, grid)
    apart = nmi.of_codes(first=first, second=second)
    assert nmi.studholme(apart) == pytest.approx(1, abs=1e-12)
    assert nmi.arithmetic(apart) == pytest.approx(0, abs=1e-12)
    mapped = nmi.of_codes(first=first, second=31 - first)
    assert nmi.studholme(mapped) == pytest.approx(2, abs=1e-12)
    assert nmi.arithmetic(mapped) == pytest.approx(1, abs=1e-12)
    flat = nmi.binned(image=np.full((4, 4), 3.5), data_range=(3.5, 3.5))
    assert not flat.any()
    assert nmi.studholme(nmi.of_codes(first=flat, second=flat)) == 2


def test_bias_for_unrelated_images_is_what_the_docstring_says() -> None:
    first, second = RNG.integers(0, 32, (2, 40, 64, 64))
    found = [nmi.of_codes(first=a, second=b) for a, b in zip(first, second, strict=True)]
    assert np.mean([nmi.studholme(one) for one in found]) == pytest.approx(1.02, abs=0.005)
    assert np.mean([nmi.arithmetic(one) for one in found]) == pytest.approx(0.04, abs=0.005)


def test_tissue_errors_find_what_was_planted() -> None:
    labels = RNG.integers(0, 4, X.shape)
    shift = np.array([9.0, 0.5, -0.25, 0.0])
    alternating = np.where(np.arange(X.size).reshape(X.shape) % 2, 0.125, -0.125)
    synthetic = X + shift[labels] + np.where(labels == 3, alternating, 0)
    found = tissue_errors(real=X, synthetic=synthetic, labels=labels, data_range=2)
    assert [error.label for error in found] == [1, 2, 3]
    assert [error.voxels for error in found] == np.bincount(labels.ravel())[1:].tolist()
    assert np.allclose([error.signed for error in found[:2]], [0.25, -0.125])
    assert np.allclose([error.absolute for error in found], [0.25, 0.125, 0.0625])
    assert abs(found[2].signed) < 0.005


def test_painting_keeps_the_mean_of_every_label_and_nothing_else() -> None:
    labels = RNG.integers(0, 5, X.shape) * 3
    plain = painted(real=X, labels=labels)
    for label in np.unique(labels):
        assert np.ptp(plain[labels == label]) == 0
        assert plain[labels == label][0] == pytest.approx(X[labels == label].mean())
    errors = tissue_errors(real=X, synthetic=plain, labels=labels, data_range=1)
    assert max(abs(error.signed) for error in errors) < 1e-12


def test_unfit_input_is_refused() -> None:
    for call in (
        lambda: correlation(first=X, second=X[1:]),
        lambda: mse(first=X, second=X[1:]),
        lambda: mse(first=X, second=X, where=np.zeros(X.shape, bool)),
        lambda: normalised_mse(first=X, second=X, data_range=-1),
        lambda: painted(real=X, labels=np.zeros(X.shape[1:], int)),
        lambda: tissue_errors(real=X, synthetic=X, labels=np.zeros((2, 2), int), data_range=1),
        lambda: nmi.entropies(first=X, second=X + 9, first_range=(0, 1), second_range=(0, 1)),
    ):
        with pytest.raises(ValueError, match=r"shape|pixel|range"):
            call()
