"""Vendi score: closed forms, the definition by SciPy, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from fetalsynth.assessment.metrics.vendi import vendi_score


def test_orthogonal_images_count_fully_and_equal_ones_once() -> None:
    rotation = stats.ortho_group.rvs(20, random_state=0)
    assert vendi_score(features=5 * rotation) == pytest.approx(20)
    assert vendi_score(features=rotation[:7]) == pytest.approx(7)
    assert vendi_score(features=np.ones((30, 4))) == pytest.approx(1)
    assert vendi_score(features=np.array([[1.0, 2.0]])) == pytest.approx(1)


@given(modes=st.integers(1, 12), repeats=st.integers(1, 9))
@settings(deadline=None, max_examples=30)
def test_repeated_modes_count_once_each(modes: int, repeats: int) -> None:
    rows = np.eye(15)[:modes].repeat(repeats, 0) * 3.0
    assert vendi_score(features=rows) == pytest.approx(modes)


@pytest.mark.parametrize("shape", [(60, 9), (9, 60), (30, 30)])
def test_agrees_with_the_matrix_definition(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(1).gamma(1.0, size=shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    density = unit @ unit.T / len(rows)
    eigenvalues = linalg.eigvals(density).real.clip(0)
    expected = np.exp(stats.entropy(eigenvalues))
    assert vendi_score(features=rows) == pytest.approx(expected, rel=1e-9)


def test_two_unequal_modes_have_the_entropy_of_their_shares() -> None:
    rows = np.eye(2)[[0] * 9 + [1]]
    expected = np.exp(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    assert vendi_score(features=rows) == pytest.approx(expected)


def test_length_and_order_do_not_count_and_mixing_in_copies_lowers_it() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((80, 50))
    score = vendi_score(features=rows)
    assert vendi_score(features=rows[::-1] * rng.uniform(0.1, 9, (80, 1))) == pytest.approx(score)
    copied = np.concatenate([rows[:40], rows[:40]])
    assert vendi_score(features=copied) < 0.8 * score


def test_directionless_features_are_refused() -> None:
    rows = np.ones((4, 3))
    rows[2] = 0
    with pytest.raises(ValueError, match="not all zero"):
        vendi_score(features=rows)
    with pytest.raises(ValueError, match="needs"):
        vendi_score(features=np.ones(3))
    with pytest.raises(ValueError, match="finite"):
        vendi_score(features=np.array([[1.0, np.nan]]))
