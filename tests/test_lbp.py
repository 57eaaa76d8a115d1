"""Local binary patterns against scikit-image, and the convention written down."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import jensenshannon
from scipy.stats import kstest, wasserstein_distance
from skimage.feature import local_binary_pattern

from fetalsynth.assessment.metrics import histograms
from fetalsynth.assessment.metrics.lbp import (
    lbp3x3,
    lbp_codes,
    lbp_counts,
    nri_uniform_table,
    outside_fan,
    rotation_table,
    uniform_table,
)


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 64, 64))
    smooth = np.stack([gaussian_filter(x, 3) for x in noise.astype(float)])
    steps = (np.clip((smooth - smooth.min()) / np.ptp(smooth), 0, 1) * 6).astype(int) * 40
    return {
        "noise": noise.astype(np.uint8),
        "smooth": smooth.astype(np.uint8),
        "steps": steps.astype(np.uint8),
        "flat": np.arange(256, dtype=np.uint8)[:, None, None].repeat(6, 1).repeat(7, 2),
        "deep": rng.integers(0, 65536, (10, 40, 30)).astype(np.uint16),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_codes_equal_scikit_image_without_exception(name: str) -> None:
    images = pictures()[name]
    theirs = np.stack([local_binary_pattern(image, 8, 1, "default") for image in images])
    assert int((lbp_codes(images=images) != theirs).sum()) == 0


def test_where_interpolation_ties_exactly_only_the_library_wavers() -> None:
    images = (np.random.default_rng(2).integers(0, 3, (20, 64, 64)) * 127).astype(np.uint8)
    ours = lbp_codes(images=images)
    theirs = np.stack([local_binary_pattern(image, 8, 1, "default") for image in images])
    padded = np.pad(images.astype(int), ((0, 0), (1, 1), (1, 1)))
    number, row, column = np.nonzero(ours != theirs)
    assert 0 < len(number) < 1e-3 * ours.size
    for n, r, c in zip(number, row + 1, column + 1, strict=True):
        bits = int(ours[n, r - 1, c - 1]) ^ int(theirs[n, r - 1, c - 1])
        for bit, (down, right) in {1: (-1, 1), 3: (-1, -1), 5: (1, -1), 7: (1, 1)}.items():
            if bits >> bit & 1:
                centre = padded[n, r, c]
                beside = padded[n, r + down, c] + padded[n, r, c + right]
                assert padded[n, r + down, c + right] == centre
                assert beside == 2 * centre
                assert ours[n, r - 1, c - 1] >> bit & 1
                bits ^= 1 << bit
        assert bits == 0


@pytest.mark.parametrize(
    ("method", "table"),
    [("ror", rotation_table()), ("uniform", uniform_table()), ("nri_uniform", nri_uniform_table())],
)
def test_tables_give_the_other_methods(method: str, table: np.ndarray) -> None:
    images = pictures()["noise"][:10]
    codes = lbp_codes(images=images)
    theirs = np.stack([local_binary_pattern(image, 8, 1, method) for image in images])
    assert len(np.unique(codes)) == 256
    assert np.array_equal(table[codes], theirs)


def test_number_of_values_of_each_method() -> None:
    tables = (rotation_table(), uniform_table(), nri_uniform_table())
    assert [len(np.unique(table)) for table in tables] == [36, 10, 59]


@pytest.mark.parametrize(
    ("bit", "down", "right"),
    [(0, 0, 1), (1, -1, 1), (2, -1, 0), (3, -1, -1), (4, 0, -1), (5, 1, -1), (6, 1, 0), (7, 1, 1)],
)
def test_bits_go_anticlockwise_from_the_right(bit: int, down: int, right: int) -> None:
    image = np.zeros((1, 5, 5), np.uint8)
    image[0, 2, 2] = 100
    image[0, 2 + down, 2 + right] = 200
    assert lbp3x3(images=image)[0, 2, 2] == 1 << bit
    assert lbp_codes(images=image)[0, 2, 2] == 1 << bit


def test_the_square_variant_is_another_measure() -> None:
    images = pictures()["noise"]
    share = (lbp3x3(images=images) != lbp_codes(images=images)).mean()
    assert 0.1 < share < 0.5


def test_counts_are_per_image_and_follow_the_mask() -> None:
    codes = lbp_codes(images=pictures()["smooth"])
    counts = lbp_counts(codes=codes)
    assert counts.shape == (40, 256)
    assert (counts.sum(1) == 64 * 64).all()
    assert np.array_equal(counts[3], np.bincount(codes[3].ravel(), minlength=256))
    keep = np.zeros(codes.shape, bool)
    keep[:, :2, :3] = True
    assert (lbp_counts(codes=codes, keep=keep).sum(1) == 6).all()


def test_black_outside_the_fan_is_found_and_black_inside_kept() -> None:
    image = np.full((1, 20, 20), 90, np.uint8)
    image[0, :, :6] = 0
    image[0, 8:14, 10:16] = 0
    outside = outside_fan(images=image)[0]
    assert outside[:, :5].all()
    assert not outside[:, 5:].any()


def test_codes_do_not_depend_on_the_batch_and_floats_are_refused() -> None:
    images = np.random.default_rng(1).integers(0, 256, (300, 64, 64)).astype(np.uint8)
    assert np.array_equal(lbp_codes(images=images)[123], lbp_codes(images=images[123:124])[0])
    with pytest.raises(ValueError, match="uint8"):
        lbp_codes(images=images.astype(float))  # type: ignore[arg-type]


def test_histogram_distances_agree_with_scipy_and_closed_forms() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 50, 256).astype(float), rng.integers(0, 90, 256).astype(float)
    a[5] = b[5] = b[9] = 0
    p, q = a / a.sum(), b / b.sum()
    levels = np.arange(256)
    assert histograms.jensen_shannon(first=a, second=b) == pytest.approx(jensenshannon(p, q) ** 2)
    assert histograms.wasserstein(first=a, second=b) == pytest.approx(
        wasserstein_distance(levels, levels, p, q)
    )
    left, right = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 3.0, 3.0])
    assert histograms.l1(first=left, second=right) == pytest.approx(2)
    assert histograms.chi_squared(first=left, second=right) == pytest.approx(1)
    assert histograms.jensen_shannon(first=left, second=right) == pytest.approx(np.log(2))
    assert histograms.wasserstein(first=left, second=right) == pytest.approx(2)
    for distance in (histograms.l1, histograms.chi_squared, histograms.jensen_shannon):
        assert distance(first=a, second=7 * a) == pytest.approx(0, abs=1e-12)
        assert distance(first=a, second=b) == pytest.approx(distance(first=b, second=a))
    with pytest.raises(ValueError, match="empty"):
        histograms.l1(first=a, second=0 * a)


def test_permutation_of_grey_levels_is_exact_without_and_powerful_with_a_difference() -> None:
    def p_value(seed: int, shift: int) -> float:
        rng = np.random.default_rng(seed)
        centres = rng.integers(60, 90, 40)
        centres[20:] += shift
        rows = np.stack([np.bincount(rng.poisson(c, 300), minlength=256) / 300 for c in centres])
        return histograms.wasserstein_p_value(
            first=rows[:20], second=rows[20:], permutations=99, rng=rng
        )

    assert kstest([p_value(seed, 0) for seed in range(150)], "uniform").pvalue > 0.01
    assert p_value(999, 20) == 0.01
