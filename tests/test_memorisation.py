"""Memorisation measures and image variants: SciPy as reference, planted turns, closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats
from scipy.ndimage import gaussian_filter

from fetalsynth.assessment.metrics.memorisation import authentic_share, data_copying_z
from fetalsynth.assessment.metrics.nearest import nearest, nearest_variant
from fetalsynth.assessment.metrics.variants import (
    DEGREES,
    plain_rows,
    stays_inside,
    turned,
    variant_rows,
)


def pictures(n: int, seed: int, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layout = gaussian_filter(rng.standard_normal((n, side, side)), (0, 5, 5))
    grain = gaussian_filter(rng.standard_normal((n, side, side)), (0, 1, 1))
    values = 128 + 40 * layout / layout.std() + 10 * grain / grain.std()
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("ties", [False, True])
def test_data_copying_z_is_the_mann_whitney_statistic(ties: bool) -> None:
    rng = np.random.default_rng(0)
    for shift in (-0.5, 0.0, 0.8):
        ours, theirs = rng.standard_normal(70) + shift, rng.standard_normal(45)
        if ties:
            ours, theirs = np.round(ours, 1), np.round(theirs, 1)
        z = data_copying_z(synthetic=ours, held_out=theirs)
        expected = stats.mannwhitneyu(
            ours, theirs, alternative="less", method="asymptotic", use_continuity=False
        )
        assert stats.norm.cdf(z) == pytest.approx(expected.pvalue, rel=1e-9)
        assert np.sign(z) == np.sign(np.median(ours) - np.median(theirs))
    assert data_copying_z(synthetic=np.ones(5), held_out=np.ones(9)) == 0


def test_data_copying_z_is_standard_normal_without_copying() -> None:
    rng = np.random.default_rng(1)
    scores = [
        data_copying_z(synthetic=rng.exponential(size=80), held_out=rng.exponential(size=40))
        for _ in range(2000)
    ]
    assert stats.kstest(scores, "norm").pvalue > 0.01


def test_authentic_share_counts_images_farther_than_the_training_images_neighbour() -> None:
    own = np.array([1.0, 2.0, 4.0])
    index = np.array([0, 0, 1, 2, 2])
    distance = np.array([0.5, 1.5, 2.0, 4.5, 3.0])
    assert authentic_share(distance=distance, index=index, own=own) == pytest.approx(2 / 5)


def test_authentic_share_of_fresh_draws_is_that_of_held_out_ones_and_copies_lower_it() -> None:
    rng = np.random.default_rng(2)
    train, fresh, held_out = (rng.standard_normal((n, 3)) for n in (400, 300, 300))
    subjects = np.arange(400)
    own = nearest(
        queries=[train], references=train, reference_subjects=subjects, query_subjects=subjects
    ).distance

    def share(rows: np.ndarray) -> float:
        found = nearest(queries=[rows], references=train, reference_subjects=subjects)
        return authentic_share(distance=found.distance, index=found.index, own=own)

    copied = np.concatenate([fresh[:150], train[:150] + 0.01 * rng.standard_normal((150, 3))])
    assert share(fresh) == pytest.approx(share(held_out), abs=0.1)
    assert share(copied) == pytest.approx(share(fresh) / 2, abs=0.07)


@pytest.mark.parametrize("shape", [(3, 40, 40), (2, 21, 34)])
@pytest.mark.parametrize("degrees", [5.0, -10.0, 33.0])
def test_turning_agrees_with_scipy(shape: tuple[int, ...], degrees: float) -> None:
    images = np.random.default_rng(3).random(shape)
    expected = [
        ndimage.rotate(image, degrees, reshape=False, order=1, mode="nearest") for image in images
    ]
    assert np.allclose(turned(images=images, degrees=degrees), expected, atol=1e-5)
    assert np.array_equal(turned(images=images, degrees=0.0), images.astype(np.float32))


def test_inside_holds_the_disc_and_leaves_the_corners() -> None:
    inside = stays_inside(shape=(32, 32), degrees=10.0)
    y, x = np.indices((32, 32)) - 15.5
    assert inside[np.hypot(y, x) <= 15].all()
    assert not inside[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert np.array_equal(inside, inside[::-1])
    assert np.array_equal(inside, inside[:, ::-1])
    assert stays_inside(shape=(9, 14), degrees=0.0).all()


@pytest.mark.parametrize("degrees", [0.0, 2.5, 7.0, -7.0, 10.0, 12.0])
def test_turned_mirrored_copies_are_found_at_once(degrees: float) -> None:
    images = pictures(150, 4)
    copies = np.stack(
        [
            ndimage.rotate(image.astype(float), degrees, reshape=False, order=3)
            for image in images[:40, :, ::-1]
        ]
    )
    variants = variant_rows(images=images, side=32)
    assert len(variants) == 4 * len(DEGREES)
    found = nearest_variant(
        queries=plain_rows(images=copies, side=32),
        references=variants,
        reference_subjects=np.arange(150),
    )
    plain = nearest_variant(
        queries=plain_rows(images=pictures(40, 5), side=32),
        references=variants,
        reference_subjects=np.arange(150),
    )
    assert np.array_equal(found.index, np.arange(40))
    assert found.distance.max() < 0.8 * plain.distance.min()
    assert found.isolation.max() < 0.8 * plain.isolation.min()


def test_variants_of_references_and_of_queries_find_the_same_neighbours() -> None:
    images, queries = pictures(30, 6, 24), pictures(20, 7, 24)
    subjects = np.arange(30)
    mirrored = [queries, queries[:, ::-1], queries[:, :, ::-1], queries[:, ::-1, ::-1]]
    by_query = nearest(
        queries=[plain_rows(images=x, side=32).astype(np.float64) for x in mirrored],
        references=plain_rows(images=images, side=32).astype(np.float64),
        reference_subjects=subjects,
    )
    by_reference = nearest_variant(
        queries=plain_rows(images=queries, side=32),
        references=variant_rows(images=images, side=32, degrees=(0.0,)),
        reference_subjects=subjects,
    )
    assert np.array_equal(by_query.index, by_reference.index)
    assert np.allclose(by_query.distance, by_reference.distance, atol=1e-4)
    assert np.allclose(by_query.isolation, by_reference.isolation, atol=1e-4)
