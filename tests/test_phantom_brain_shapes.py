"""Shapes and random fields of the brain phantom against closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fetalsynth.datasets.phantoms.brain_noise import band_noise, smooth_fields
from fetalsynth.datasets.phantoms.brain_shapes import cut, ellipsoid, join, ramp, soft, tube


def points(*places: tuple[float, float, float]) -> list[np.ndarray]:
    return list(np.array(places, np.float32).T)


def test_ellipsoid_is_a_sphere_exactly_and_right_on_every_axis() -> None:
    x, y, z = np.random.default_rng(0).normal(0, 9, (3, 500)).astype(np.float32)
    sphere = ellipsoid(x, y, z, centre=(1, 2, 3), radii=(7, 7, 7))
    truth = np.sqrt((x - 1) ** 2 + (y - 2) ** 2 + (z - 3) ** 2) - 7
    far = truth > -6.5
    assert np.allclose(sphere[far], truth[far], atol=1e-3)
    axes = points((6, 0, 0), (0, 8, 0), (0, 0, -12), (3, 0, 0))
    found = ellipsoid(*axes, centre=(0, 0, 0), radii=(5, 7, 9))
    assert np.allclose(found, [1, 1, 3, -2], atol=1e-4)


def test_ellipsoid_has_its_volume() -> None:
    x, y, z = np.meshgrid(*3 * [np.arange(-20, 21, dtype=np.float32)], indexing="ij")
    inside = ellipsoid(x, y, z, centre=(0, 0, 0), radii=(8, 11, 15)) < 0
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 8 * 11 * 15, rel=0.01)


def test_tube_is_the_distance_to_its_nearest_ball() -> None:
    x, y, z = np.random.default_rng(1).normal(0, 10, (3, 200)).astype(np.float32)
    line = ((-8.0, 0.0, 1.0), (2.0, 5.0, 0.0), (9.0, -3.0, 4.0))
    found = tube(x, y, z, points=line, radii=(2.0, 2.0, 2.0))
    t = np.linspace(0, 1, 2001)[:, None]
    dense = np.concatenate(
        [np.array(p) + t * (np.array(q) - np.array(p)) for p, q in pairwise(line)]
    )
    gaps = np.linalg.norm(np.stack([x, y, z], 1)[:, None] - dense, axis=2).min(axis=1)
    assert np.allclose(found, gaps - 2, atol=0.01)


def test_join_and_cut_are_minimum_and_maximum_away_from_the_seam() -> None:
    a, b = np.random.default_rng(2).normal(0, 5, (2, 1000)).astype(np.float32)
    apart = np.abs(a - b) >= 2
    assert np.allclose(join(a, b, blend=2)[apart], np.minimum(a, b)[apart], atol=1e-5)
    assert np.allclose(cut(a, b, blend=2)[apart], np.maximum(a, b)[apart], atol=1e-5)
    assert (join(a, b, blend=2) <= np.minimum(a, b) + 1e-5).all()
    assert np.allclose(join(a, a, blend=2), a - 0.5, atol=1e-5)


def test_soft_and_ramp_go_from_one_end_to_the_other() -> None:
    values = np.array([-3, -0.5, 0, 0.5, 3], np.float32)
    assert np.allclose(soft(values, width=1), [1, 1, 0.5, 0, 0])
    assert np.allclose(ramp(values, -1, 1), [0, 0.15625, 0.5, 0.84375, 1])


def test_noise_has_unit_variance_and_its_period() -> None:
    field = band_noise(np.random.default_rng(3), shape=(48, 64, 40), period=8.0, bandwidth=0.15)
    assert field.std() == pytest.approx(1, rel=1e-3)
    power = np.abs(np.fft.fftn(field)) ** 2
    grids = np.meshgrid(*(np.fft.fftfreq(n) for n in field.shape), indexing="ij")
    radius = np.sqrt(sum(grid**2 for grid in grids))
    assert (power * radius).sum() / power.sum() == pytest.approx(1 / 8, rel=0.06)


def test_smooth_fields_are_cosines() -> None:
    coefficients = np.zeros((2, 3, 3, 3))
    coefficients[0, 2, 0, 0] = 1.5
    coefficients[1, 0, 1, 1] = -2.0
    first, second = smooth_fields(coefficients, shape=(10, 12, 14))
    i, j, k = (np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in (10, 12, 14))
    along = np.cos(2 * np.pi * (np.arange(10) + 0.5) / 10)
    assert i.shape == (10,)
    assert np.allclose(first, 1.5 * along[:, None, None] * np.ones((10, 12, 14)), atol=1e-5)
    assert np.allclose(second, np.broadcast_to(-2 * j[:, None] * k, (10, 12, 14)), atol=1e-5)
