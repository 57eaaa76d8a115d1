"""Kernel distance: definition, unbiasedness, exact test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import polynomial_kernel as sklearn_kernel

from fetalsynth.assessment.metrics.kid import (
    group_distances,
    kernel_distance,
    permutation_p_value,
    polynomial_kernel,
)


def sample(n: int, seed: int, *, d: int = 16, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def by_loops(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    xx = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    return float(np.mean(xx) + np.mean(yy) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_value_is_the_definition_and_symmetric() -> None:
    x, y = sample(9, 0), sample(13, 1, shift=0.4)
    assert kernel_distance(first=x, second=y) == pytest.approx(by_loops(x, y), rel=1e-10)
    assert kernel_distance(first=y, second=x) == pytest.approx(by_loops(x, y), rel=1e-10)


def test_kernel_agrees_with_scikit_learn() -> None:
    x, y = sample(6, 2), sample(5, 3)
    theirs = sklearn_kernel(x, y, degree=3, gamma=1 / 16, coef0=1)
    assert np.allclose(polynomial_kernel(first=x, second=y), theirs, rtol=1e-12)


def test_groups_out_of_one_kernel_equal_separate_computations() -> None:
    pooled = sample(30, 4)
    kernel = polynomial_kernel(first=pooled, second=pooled)
    first = np.random.default_rng(5).random((7, 30)) < 0.4
    second = ~first & (np.random.default_rng(6).random((7, 30)) < 0.8)
    together = group_distances(kernel=kernel, first=first, second=second)
    alone = [
        kernel_distance(first=pooled[a], second=pooled[b])
        for a, b in zip(first, second, strict=True)
    ]
    assert np.allclose(together, alone, rtol=1e-9, atol=1e-12)


def test_unbiased_at_any_count() -> None:
    for n in (5, 20):
        values = [
            kernel_distance(first=sample(n, 2 * s), second=sample(n, 2 * s + 1)) for s in range(400)
        ]
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(400)


def test_shift_of_mean_has_the_closed_form_for_a_point_mass() -> None:
    x, y = np.ones((4, 2)), np.full((5, 2), 2.0)
    assert kernel_distance(first=x, second=y) == pytest.approx(2.0**3 + 5.0**3 - 2 * 3.0**3)


def p_value(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    pooled = np.concatenate([x, y])
    kernel = polynomial_kernel(first=pooled, second=pooled)
    rng = np.random.default_rng(seed)
    return permutation_p_value(kernel=kernel, n_first=len(x), permutations=99, rng=rng)


def test_p_values_are_uniform_without_and_small_with_a_difference() -> None:
    null = [p_value(sample(20, 2 * s), sample(25, 2 * s + 1), s) for s in range(200)]
    assert stats.kstest(null, "uniform").pvalue > 0.01
    assert np.mean(np.array(null) <= 0.05) < 0.1
    assert p_value(sample(40, 1000), sample(40, 1001, shift=0.5), 0) == 0.01


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="two images"):
        kernel_distance(first=sample(1, 0), second=sample(5, 1))


@pytest.mark.parametrize(("n", "m"), [(30, 40), (23, 57), (100, 37)])
def test_features_without_any_difference_are_no_finding(n: int, m: int) -> None:
    rows = np.repeat(np.random.default_rng(n).random((1, 256)), n + m, axis=0)
    kernel = polynomial_kernel(first=rows, second=rows)
    rng = np.random.default_rng(1)
    assert permutation_p_value(kernel=kernel, n_first=n, permutations=99, rng=rng) == 1
