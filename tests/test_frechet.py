"""Fréchet distance against closed forms, the matrix square root and eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from fetalsynth.assessment.metrics.frechet import frechet_distance, from_moments


def sample(n: int, d: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.diag(np.arange(1, d + 1) ** -0.6)
    return scale * rng.standard_normal((n, d)) @ mix + shift


def by_square_root(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(scipy.linalg.sqrtm(a @ b))
    gap = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(gap + np.trace(a) + np.trace(b) - 2 * np.trace(root))


def by_eigenvalues(x: np.ndarray, y: np.ndarray) -> float:
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    cross = np.sqrt(np.clip(np.real(np.linalg.eigvals(a @ b)), 0, None)).sum()
    gap = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(gap + np.trace(a) + np.trace(b) - 2 * cross)


def test_commuting_gaussians_have_the_closed_form() -> None:
    a, b = np.array([4.0, 9.0, 1.0]), np.array([1.0, 16.0, 1.0])
    mean = np.array([1.0, 2.0, 2.0])
    found = from_moments(
        mean_first=mean,
        covariance_first=np.diag(a),
        mean_second=np.zeros(3),
        covariance_second=np.diag(b),
    )
    assert found == pytest.approx(9 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


def test_a_shift_and_a_scale_of_one_sample_have_the_closed_form() -> None:
    for n in (10, 200):
        x = sample(n, 20, 0)
        shifted = frechet_distance(first=x, second=x + 0.5)
        assert shifted == pytest.approx(20 * 0.25, rel=1e-9)
        variance = x.var(0, ddof=1).sum()
        expected = 4 * variance + (2 * x.mean(0)) @ (2 * x.mean(0))
        assert frechet_distance(first=x, second=3 * x) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(500, 400), (65, 900)])
def test_covariance_route_agrees_with_both_references(n: int, m: int) -> None:
    x, y = sample(n, 64, 1), sample(m, 64, 2, scale=1.2, shift=0.1)
    found = frechet_distance(first=x, second=y)
    assert found == pytest.approx(by_square_root(x, y), rel=1e-9)
    assert found == pytest.approx(by_eigenvalues(x, y), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(30, 40), (64, 300), (300, 20)])
def test_few_images_agree_within_the_noise_of_the_references(n: int, m: int) -> None:
    x, y = sample(n, 128, 3), sample(m, 128, 4, scale=1.2, shift=0.1)
    found = frechet_distance(first=x, second=y)
    assert found == pytest.approx(by_eigenvalues(x, y), rel=1e-5)


def test_both_routes_agree_where_they_meet() -> None:
    x, y = sample(65, 64, 5), sample(80, 64, 6, shift=0.2)
    moments = from_moments(
        mean_first=x.mean(0),
        covariance_first=np.cov(x, rowvar=False),
        mean_second=y.mean(0),
        covariance_second=np.cov(y, rowvar=False),
    )
    wider_x, wider_y = np.pad(x, ((0, 0), (0, 40))), np.pad(y, ((0, 0), (0, 40)))
    assert frechet_distance(first=wider_x, second=wider_y) == pytest.approx(moments, rel=1e-10)


def test_features_that_sum_to_one_have_a_singular_covariance_and_still_a_distance() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.dirichlet(np.ones(16), 300), rng.dirichlet(np.full(16, 1.5), 300)
    narrow = np.linalg.qr(np.column_stack([np.ones(16), np.eye(16)[:, 1:]]))[0][:, 1:]
    expected = frechet_distance(first=x @ narrow, second=y @ narrow)
    assert frechet_distance(first=x, second=y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [40, 400])
def test_identity_symmetry_and_rotation(n: int) -> None:
    x, y = sample(n, 48, 8), sample(n + 5, 48, 9, shift=0.3)
    size = (x**2).sum() / n
    assert frechet_distance(first=x, second=x) <= 1e-9 * size
    forward = frechet_distance(first=x, second=y)
    assert frechet_distance(first=y, second=x) == pytest.approx(forward, rel=1e-9)
    turn = np.linalg.qr(np.random.default_rng(10).standard_normal((48, 48)))[0]
    assert frechet_distance(first=x @ turn, second=y @ turn) == pytest.approx(forward, rel=1e-9)


def test_small_samples_are_biased_as_documented() -> None:
    few = frechet_distance(first=sample(50, 256, 11), second=sample(50, 256, 12))
    many = frechet_distance(first=sample(2000, 256, 13), second=sample(2000, 256, 14))
    assert few > 10 * many


def test_unfit_input_is_refused() -> None:
    x = sample(10, 4, 15)
    with pytest.raises(ValueError, match="needs"):
        frechet_distance(first=x, second=x[:1])
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(first=x, second=np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="semi-definite"):
        from_moments(
            mean_first=np.zeros(2),
            covariance_first=np.diag([1.0, -1.0]),
            mean_second=np.zeros(2),
            covariance_second=np.eye(2),
        )
