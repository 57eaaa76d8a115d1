"""Precision, recall, density, coverage: against a transcription, closed forms, planted collapse."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from fetalsynth.assessment.floors import Design, fewer_draws, matched_table
from fetalsynth.assessment.metrics.pairwise import euclidean
from fetalsynth.assessment.metrics.precision_recall import (
    Support,
    among,
    expected_coverage,
    precision_recall,
)
from fetalsynth.assessment.resampling import half_samples

DIMENSIONS = 2048
SPECTRUM = np.arange(1, DIMENSIONS + 1) ** -1.2
SCALE = np.sqrt(100 * SPECTRUM / SPECTRUM.sum())


def features(n: int, seed: int) -> np.ndarray:
    """Gaussian features with the falling spectrum of a deep network's."""
    return np.random.default_rng(seed).standard_normal((n, DIMENSIONS)) * SCALE


def transcribed(real: np.ndarray, made: np.ndarray, k: int) -> Support:
    """The definitions image by image, with scikit-learn's neighbours."""

    def radii(rows: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=k).fit(rows).kneighbors()[0][:, -1]

    of_real, of_made = radii(real), radii(made)
    precision, recall, density, coverage = 0, 0, 0, 0
    for y in made:
        balls = sum(np.linalg.norm(y - x) <= r for x, r in zip(real, of_real, strict=True))
        precision, density = precision + (balls > 0), density + balls
    for x, r in zip(real, of_real, strict=True):
        gaps = np.linalg.norm(made - x, axis=1)
        recall += (gaps <= of_made).any()
        coverage += gaps.min() <= r
    n = len(real)
    return Support(
        precision=precision / n, recall=recall / n, density=density / (k * n), coverage=coverage / n
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_agrees_with_the_definitions_image_by_image(k: int, shift: float) -> None:
    rng = np.random.default_rng(k)
    real = rng.standard_normal((150, 8))
    made = 0.8 * rng.standard_normal((150, 8)) + shift
    found = precision_recall(real=real, synthetic=made, k=k)
    assert np.allclose(found.values(), transcribed(real, made, k).values(), atol=1e-12)


def test_equal_distributions_reach_the_published_coverage_and_the_known_values() -> None:
    for n, p, r, repeats in ((50, 0.955, 0.94, 20), (300, 0.894, 0.893, 4)):
        values = np.mean(
            [
                precision_recall(real=features(n, 2 * i), synthetic=features(n, 2 * i + 1)).values()
                for i in range(repeats)
            ],
            axis=0,
        )
        assert values[:2] == pytest.approx([p, r], abs=0.025)
        assert values[2] == pytest.approx(1.0, abs=0.06)
        assert values[3] == pytest.approx(expected_coverage(count=n), abs=0.015)
    assert expected_coverage(count=10**6) == pytest.approx(1 - 2**-5, abs=1e-5)


def test_expected_coverage_is_exact_for_any_continuous_distribution() -> None:
    rng = np.random.default_rng(0)
    found = [
        precision_recall(
            real=rng.exponential(size=(12, 2)), synthetic=rng.exponential(size=(12, 2)), k=2
        ).coverage
        for _ in range(3000)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected_coverage(count=12, k=2)) < 4 * error


def test_collapse_to_ten_modes_keeps_precision_and_loses_recall_and_coverage() -> None:
    values = np.array(
        [
            precision_recall(
                real=features(300, 10 + i), synthetic=features(10, 50 + i).repeat(30, 0)
            ).values()
            for i in range(5)
        ]
    )
    precision, recall, density, coverage = values.T
    assert (recall == 0).all()
    assert precision.mean() == pytest.approx(0.85, abs=0.12)
    assert coverage.mean() == pytest.approx(0.12, abs=0.05)
    assert (coverage <= density * 5 * 10 / 300 + 1e-12).all()


def test_duplicates_do_not_count_themselves_as_more_than_one_neighbour() -> None:
    rng = np.random.default_rng(3)
    single = rng.standard_normal((40, 6))
    repeated = single.repeat(3, 0)
    found = precision_recall(real=repeated, synthetic=repeated[::-1], k=2)
    assert found.values() == pytest.approx([1.0, 1.0, 1.5, 1.0])
    distances = euclidean(rows=np.concatenate([repeated, repeated[::-1]]) + 1000.0)
    assert (distances[np.arange(120), 239 - np.arange(120)] == 0).all()


def test_distances_agree_with_scikit_learn_and_equal_rows_are_at_zero() -> None:
    rows = np.random.default_rng(4).standard_normal((1200, 20)) + 50
    rows[7] = rows[1100]
    distances = euclidean(rows=rows)
    assert np.allclose(distances, pairwise_distances(rows), rtol=1e-6, atol=1e-6)
    assert (np.diagonal(distances) == 0).all()
    assert distances[7, 1100] == distances[1100, 7] == 0
    rows[3] = rows[5] + 1e-6
    assert euclidean(rows=rows)[3, 5] == pytest.approx(np.sqrt(20) * 1e-6, rel=1e-5)


def test_unfit_input_is_refused() -> None:
    rows = np.random.default_rng(5).standard_normal((10, 3))
    with pytest.raises(ValueError, match="equally many"):
        precision_recall(real=rows, synthetic=rows[:9])
    with pytest.raises(ValueError, match="too few for 5 neighbours"):
        precision_recall(real=rows[:6], synthetic=rows[4:])
    with pytest.raises(ValueError, match="not finite"):
        precision_recall(real=rows, synthetic=np.where(rows == rows[0, 0], np.nan, rows))
    with pytest.raises(ValueError, match="equally many"):
        among(distances=euclidean(rows=rows), real=np.arange(5), synthetic=np.arange(4))
    assert precision_recall(real=rows[:7], synthetic=rows[3:]).recall == 1.0


def test_intervals_cover_what_sets_of_this_size_score_on_average() -> None:
    n, draws = 120, 100
    values, intervals = [], []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        pooled = rng.standard_normal((2 * n, 5)) + 0.5 * (np.arange(2 * n) >= n)[:, None]
        distances = euclidean(rows=pooled)
        halves = half_samples(subjects=np.arange(n), rng=rng)
        others = half_samples(subjects=np.arange(n), rng=rng)
        pairs = tuple(
            (np.flatnonzero(a), n + np.flatnonzero(b)) for a, b in zip(halves, others, strict=True)
        )
        whole = ((np.arange(n), n + np.arange(n)),)
        design = Design(
            kind="", count=n, value=whole, floor=pairs[:2], halves=pairs, floor_halves=()
        )
        found = matched_table(
            lambda a, b, d=distances: among(distances=d, real=a, synthetic=b).values(),  # type: ignore[misc]
            fewer_draws(design, draws=1, halves=30, least=7),
        )
        values.append([one.value for one in found])
        intervals.append([one.ci95 for one in found])
    truth = np.mean(values, axis=0)
    for column, name in enumerate(("precision", "recall", "density", "coverage")):
        inside = np.mean([row[column][0] <= truth[column] <= row[column][1] for row in intervals])
        assert inside >= 0.9, (name, inside)
