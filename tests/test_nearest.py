"""Nearest neighbours: against scikit-learn, planted copies, flips and blur."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from fetalsynth.assessment.metrics.nearest import (
    distance_matrix,
    flips,
    nearest,
    shrunk,
    standardised,
)


def rows(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 12))


def test_distance_and_index_agree_with_scikit_learn_beyond_one_block() -> None:
    queries, references = rows(1100, 0), rows(300, 1)
    found = nearest(queries=[queries], references=references, reference_subjects=np.arange(300))
    distance, index = NearestNeighbors(n_neighbors=11).fit(references).kneighbors(queries)
    assert np.array_equal(found.index, index[:, 0])
    assert np.allclose(found.distance, distance[:, 0])
    assert np.allclose(found.isolation, distance[:, 0] / np.median(distance[:, 1:], axis=1))


def test_own_subject_is_never_met() -> None:
    references = np.repeat(rows(20, 2), 2, axis=0)
    subjects = np.repeat(np.arange(20), 2)
    found = nearest(
        queries=[references],
        references=references,
        reference_subjects=subjects,
        query_subjects=subjects,
    )
    assert (subjects[found.index] != subjects).all()
    assert found.distance.min() > 0.5
    alone = nearest(
        queries=[references[:2]],
        references=references[2:4],
        reference_subjects=subjects[2:4],
    )
    assert np.array_equal(alone.isolation, [1.0, 1.0])


def test_a_flipped_brighter_copy_is_at_distance_zero() -> None:
    images = np.random.default_rng(3).integers(0, 100, (10, 16, 16)).astype(np.uint8)
    copies = (2 * images[:, ::-1, ::-1] + 20).astype(np.uint8)
    found = nearest(
        queries=[standardised(images=flip, side=64) for flip in flips(images=copies)],
        references=standardised(images=images, side=64),
        reference_subjects=np.arange(10),
    )
    assert np.array_equal(found.index, np.arange(10))
    assert found.distance.max() < 1e-6
    assert found.isolation.max() < 1e-6


def test_standardised_rows_have_correlation_distance() -> None:
    images = np.random.default_rng(4).random((5, 8, 8))
    z = standardised(images=images, side=64)
    correlation = np.corrcoef(images.reshape(5, -1))
    off = ~np.eye(5, dtype=bool)
    assert np.allclose(distance_matrix(rows=z)[off], np.sqrt(2 - 2 * correlation)[off])
    assert np.isinf(np.diagonal(distance_matrix(rows=z))).all()
    assert np.array_equal(standardised(images=np.full((1, 4, 4), 7), side=64), np.zeros((1, 16)))


def test_shrinking_averages_whole_blocks() -> None:
    images = np.arange(2 * 7 * 9).reshape(2, 7, 9).astype(float)
    small = shrunk(images=images, side=3)
    assert small.shape == (2, 2, 3)
    assert small[1, 0, 2] == pytest.approx(images[1, 0:3, 6:9].mean())
    assert np.array_equal(shrunk(images=images, side=9), images)
