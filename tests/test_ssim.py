"""SSIM against scikit-image, MS-SSIM against a transcription of its definition by plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve
from skimage.metrics import structural_similarity

from fetalsynth.assessment.metrics.ms_ssim import halved, most_scales, ms_ssim, ms_ssim_batch
from fetalsynth.assessment.metrics.ssim import ssim, ssim_batch, ssim_maps
from fetalsynth.assessment.metrics.windows import weights

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth structure in [0, 1] with a flat corner, and the same with noise and other contrast."""
    rng = np.random.default_rng(seed)
    x = gaussian_filter(rng.standard_normal(shape), 2)
    x = (x - x.min()) / np.ptp(x)
    x[tuple(slice(0, n // 3) for n in shape)] = 0.0
    return x, np.clip(0.8 * x + 0.1 + 0.1 * rng.standard_normal(shape), 0, 1)


@pytest.mark.parametrize("shape", [(11, 11), (64, 64), (53, 90), (11, 12, 13), (40, 31, 57)])
def test_equals_scikit_image_with_both_windows(shape: tuple[int, ...]) -> None:
    x, y = pair(shape)
    expected = structural_similarity(x, y, data_range=1.0, **WANG)
    assert ssim(first=x, second=y, data_range=1.0) == pytest.approx(expected, abs=1e-10)
    expected = structural_similarity(x, y, data_range=1.0)
    found = ssim(first=x, second=y, data_range=1.0, window="uniform7")
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("window", "margin"), [("gaussian", 5), ("uniform7", 3)])
def test_map_is_scikit_images_without_the_border(window: str, margin: int) -> None:
    for shape in ((70, 45), (50, 24, 33)):
        x, y = pair(shape, 3)
        options = WANG if window == "gaussian" else {}
        _, whole = structural_similarity(x, y, data_range=2.0, full=True, **options)
        inner = whole[tuple(slice(margin, -margin) for _ in shape)]
        found = ssim_maps(first=x[None], second=y[None], data_range=2.0, window=window)[0]
        assert found.shape == inner.shape
        assert np.abs(found - inner).max() < 1e-10


def test_eight_bit_batches_equal_each_image_alone() -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (50, 64, 64), dtype=np.uint8)
    second = np.clip(first + rng.normal(0, 30, first.shape), 0, 255).astype(np.uint8)
    found = ssim_batch(first=first, second=second, data_range=255)
    alone = [
        structural_similarity(a, b, data_range=255, **WANG)
        for a, b in zip(first, second, strict=True)
    ]
    assert np.abs(found - alone).max() < 1e-10
    several = ms_ssim_batch(first=first, second=second, data_range=255, scales=3)
    one = ms_ssim(first=first[7], second=second[7], data_range=255, scales=3)
    assert several[7] == pytest.approx(one, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 1000))
def test_symmetric_unit_free_and_one_only_for_equal_images(seed: int, scale: float) -> None:
    x, y = pair((24, 30), seed)
    for window in ("gaussian", "uniform7"):
        forth = ssim(first=x, second=y, data_range=1, window=window)
        back = ssim(first=y, second=x, data_range=1, window=window)
        scaled = ssim(first=scale * x, second=scale * y, data_range=scale, window=window)
        assert forth == pytest.approx(back, abs=1e-12)
        assert forth == pytest.approx(scaled, abs=1e-7)
        assert -1 <= forth < 1
        assert ssim(first=x, second=x, data_range=1, window=window) == pytest.approx(1, abs=1e-12)


def test_flat_images_have_the_closed_form() -> None:
    """No structure: SSIM is its luminance factor, (2ab + C1)/(a² + b² + C1)."""
    a, b, c1 = 0.2, 0.7, 1e-4
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    for window in ("gaussian", "uniform7"):
        found = ssim(
            first=np.full((20, 20), a), second=np.full((20, 20), b), data_range=1, window=window
        )
        assert found == pytest.approx(expected, abs=1e-9)


def test_weights_sum_to_one_and_have_the_declared_width() -> None:
    assert weights("gaussian").sum() == pytest.approx(1)
    assert len(weights("gaussian")) == 11
    assert weights("gaussian")[5] / weights("gaussian")[2] == pytest.approx(np.exp(9 / (2 * 2.25)))


def transcribed(x: np.ndarray, y: np.ndarray, scales: int, data_range: float) -> float:
    """Wang 2003 with a dense window and whole images, nothing shared with the package."""
    exponents = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    exponents /= exponents.sum()
    grid = np.meshgrid(*[np.arange(-5, 6)] * x.ndim)
    window = np.exp(-sum(g.astype(float) ** 2 for g in grid) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2

    def mean(image: np.ndarray) -> np.ndarray:
        return convolve(image, window, mode="valid", method="direct")

    result = 1.0
    for scale in range(scales):
        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        structure = (2 * cov + c2) / (vx + vy + c2)
        if scale == scales - 1:
            structure = structure * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        result *= max(structure.mean(), 0) ** exponents[scale]
        box = np.full((2,) * x.ndim, 1 / 2**x.ndim)
        every_other = (slice(None, None, 2),) * x.ndim
        x, y = (convolve(image, box, mode="valid")[every_other] for image in (x, y))
    return float(result)


@pytest.mark.parametrize(
    ("shape", "scales"), [((176, 180), 5), ((64, 64), 3), ((45, 51), 3), ((24, 22, 25), 2)]
)
def test_ms_ssim_equals_its_definition(shape: tuple[int, ...], scales: int) -> None:
    x, y = pair(shape, 5)
    found = ms_ssim(first=x, second=y, data_range=1, scales=scales)
    assert found == pytest.approx(transcribed(x, y, scales, 1.0), abs=1e-10)


def test_ms_ssim_of_opposites_is_zero_and_of_itself_one() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((64, 64))
    assert ms_ssim(first=noise, second=-noise, data_range=4, scales=3) == 0
    assert ms_ssim(first=noise, second=noise, data_range=4, scales=3) == pytest.approx(1)


def test_halving_is_a_mean_of_two_by_two() -> None:
    image = np.arange(20, dtype=np.uint8).reshape(1, 4, 5)
    assert halved(image).tolist() == [[[3.0, 5.0], [13.0, 15.0]]]


def test_scales_that_fit() -> None:
    assert [most_scales((n, 200)) for n in (10, 11, 43, 44, 64, 175, 176)] == [0, 1, 2, 3, 3, 4, 5]


def test_unfit_input_is_refused() -> None:
    x = np.zeros((20, 20))
    for bad in (
        {"first": x, "second": x[:19], "data_range": 1},
        {"first": x, "second": x, "data_range": 0},
        {"first": x[:10], "second": x[:10], "data_range": 1},
    ):
        with pytest.raises(ValueError, match=r"shape|range|at least"):
            ssim(**bad)
    with pytest.raises(ValueError, match="fits 1"):
        ms_ssim(first=x, second=x, data_range=1)
    with pytest.raises(TypeError):
        ssim(first=x, second=x)
