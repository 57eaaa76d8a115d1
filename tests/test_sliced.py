"""Sliced Wasserstein and extrapolated Fréchet distances: closed forms, SciPy, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fetalsynth.assessment.floors import make_design
from fetalsynth.assessment.metrics.frechet import frechet_distance
from fetalsynth.assessment.metrics.frechet_infinity import frechet_infinity
from fetalsynth.assessment.metrics.sliced_wasserstein import (
    projections,
    random_directions,
    sliced_wasserstein,
)
from fetalsynth.assessment.parts.coverage import coverage, extrapolated
from fetalsynth.assessment.samples import Samples
from fetalsynth.assessment.spaces import Space


def directions(dimensions: int, *, seed: int = 0, count: int = 1000) -> np.ndarray:
    return random_directions(dimensions=dimensions, rng=np.random.default_rng(seed), count=count)


def test_a_shift_counts_its_square_up_to_the_choice_of_directions() -> None:
    rng = np.random.default_rng(1)
    rows, shift = rng.standard_normal((60, 12)), rng.standard_normal(12)
    units = directions(12)
    found = sliced_wasserstein(first=rows, second=rows + shift, directions=units)
    assert found == pytest.approx(12 * np.mean((units @ shift) ** 2), rel=1e-5)
    error = 12 * np.std((units @ shift) ** 2) / np.sqrt(1000)
    assert abs(found - shift @ shift) < 4 * error
    assert sliced_wasserstein(first=rows, second=rows[::-1], directions=units) == 0


def test_gaussians_of_two_widths_are_apart_by_the_closed_form() -> None:
    rng = np.random.default_rng(2)
    n, d = 4000, 6
    wide, narrow = 3 * rng.standard_normal((n, d)), rng.standard_normal((n, d))
    found = sliced_wasserstein(first=wide, second=narrow, directions=directions(d, count=300))
    assert found == pytest.approx(d * (3 - 1) ** 2, rel=0.05)


def test_every_direction_agrees_with_an_independent_transport_plan() -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((40, 5)), rng.gamma(2.0, size=(40, 5))
    for unit in directions(5, count=10):
        x, y = first @ unit, second @ unit
        cost = (x[:, None] - y) ** 2
        best = cost[linear_sum_assignment(cost)].mean()
        found = sliced_wasserstein(first=first, second=second, directions=unit[None]) / 5
        assert found == pytest.approx(best, rel=1e-5)
        order_1 = np.abs(np.sort(x) - np.sort(y)).mean()
        assert order_1 == pytest.approx(stats.wasserstein_distance(x, y))
        assert found >= order_1**2 * (1 - 1e-5)


def test_sees_what_two_moments_do_not() -> None:
    rng = np.random.default_rng(4)
    signs = np.where(rng.random((2000, 2)) < 0.5, -1.0, 1.0)
    normal = rng.standard_normal((2000, 2))
    units = directions(2, count=200)
    same = sliced_wasserstein(first=normal, second=rng.standard_normal((2000, 2)), directions=units)
    other = sliced_wasserstein(first=normal, second=signs, directions=units)
    assert frechet_distance(first=normal, second=signs) < 0.02
    assert other > 20 * same


def test_directions_are_unit_uniform_and_named_by_the_seed() -> None:
    units = directions(7, count=5000)
    assert np.allclose(np.linalg.norm(units, axis=1), 1)
    assert np.abs(units.T @ units / 5000 - np.eye(7) / 7).max() < 0.02
    assert np.array_equal(units, directions(7, count=5000))
    assert not np.array_equal(units[:10], directions(7, seed=1, count=10))


def test_unfit_features_are_refused() -> None:
    rows = np.random.default_rng(5).standard_normal((10, 4))
    with pytest.raises(ValueError, match="equally many"):
        sliced_wasserstein(first=rows, second=rows[:9], directions=directions(4))
    with pytest.raises(ValueError, match=r"needs \(N, 5\)"):
        projections(features=rows, directions=directions(5))
    with pytest.raises(ValueError, match="not finite"):
        projections(features=np.where(rows > 0, np.inf, rows), directions=directions(4))


def test_extrapolation_takes_the_bias_of_the_frechet_distance_away() -> None:
    rng = np.random.default_rng(6)
    first = rng.standard_normal((3000, 40))
    second = rng.standard_normal((3000, 40)) + 0.2
    truth = 40 * 0.2**2
    values = [
        frechet_infinity(
            first=first, second=second, rng=np.random.default_rng(seed), least=500, points=8
        )
        for seed in range(6)
    ]
    at_500 = frechet_distance(first=first[:500], second=second[:500])
    assert at_500 > 1.4 * truth
    assert np.mean(values) == pytest.approx(truth, rel=0.12)


def test_extrapolation_is_seeded_and_refused_for_small_sets() -> None:
    rng = np.random.default_rng(7)
    rows, others = rng.standard_normal((5200, 3)), rng.standard_normal((5200, 3)) + 1
    first, again = (
        frechet_infinity(first=rows, second=others, rng=np.random.default_rng(0)) for _ in range(2)
    )
    assert first == again
    assert first == pytest.approx(3, rel=0.05)
    with pytest.raises(ValueError, match="more than 5000 images a side, not 5000"):
        frechet_infinity(first=rows, second=rows[:5000], rng=np.random.default_rng(0))


def sets(n_real: int, n_synthetic: int) -> Samples:
    rng = np.random.default_rng(8)
    counts = {"real": n_real, "synthetic": n_synthetic}
    return Samples(
        images={r: rng.integers(0, 255, (n, 8, 8)).astype(np.uint8) for r, n in counts.items()},
        subjects={role: np.arange(n) for role, n in counts.items()},
        files={role: tuple(map(str, range(n))) for role, n in counts.items()},
        seed=0,
    )


def test_extrapolation_is_a_metric_only_above_its_least_number() -> None:
    rng = np.random.default_rng(9)
    many = sets(10400, 5200)
    pooled = rng.standard_normal((15600, 3)) + 0.5 * (np.arange(15600) >= 10400)[:, None]
    space = Space(name="three", pooled=pooled, settings={"features": "three numbers"})
    found = extrapolated(space, many, make_design(many))["FD-infinity-three"]
    assert found.value == pytest.approx(3 * 0.5**2, rel=0.1)
    assert found.floor == pytest.approx(0, abs=0.02)
    assert found.settings["floor_images_a_side"] == 5200
    few = sets(300, 200)
    small = Space(name="three", pooled=pooled[:500], settings={})
    assert extrapolated(small, few, make_design(few)) == {}


def test_coverage_is_refused_for_a_handful_of_images() -> None:
    few = sets(30, 40)
    space = Space(name="three", pooled=np.random.default_rng(0).random((70, 3)), settings={})
    part = coverage(few, make_design(few), (space,))
    assert not part.metrics
    assert "need 20 images" in part.unjudged["coverage of the real variety"]
    enough = sets(50, 40)
    space = Space(name="three", pooled=np.random.default_rng(0).random((90, 3)), settings={})
    metrics = coverage(enough, make_design(enough), (space,)).metrics
    assert {"recall-three", "SW2-three", "Vendi-ratio-three", "coverage-layout16"} <= set(metrics)
    assert all(m.ci95 is None or m.ci95[0] <= m.value <= m.ci95[1] for m in metrics.values())
