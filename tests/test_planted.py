"""Planted truths: the assessment finds what was planted, at its size, and nothing that was not.

``benchmarks/planted.py`` prints the same for more seeds; docs/planted-truths.md shows it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from fetalsynth.artifacts.scores import Metric, Scores
from planted_features import judged, kernel_distance
from planted_images import (
    DISGUISES,
    GRAIN,
    Images,
    assess,
    blurred,
    brighter,
    noisy,
    scans,
    ten_modes,
    with_copies,
)

LAYOUT = ("SW2-layout16", "precision-layout16", "coverage-layout16")


@cache
def real_and_train() -> tuple[Images, Images]:
    return scans(100, 1), scans(150, 3)


def alarms(scores: Scores) -> set[str]:
    return {alarm.name for alarm in scores.alarms}


def within_floor(metric: Metric) -> bool:
    """Whether the interval meets what real images score against each other."""
    low, high = metric.settings["floor_interval"]
    assert metric.ci95 is not None
    return metric.ci95[0] <= high and metric.ci95[1] >= low


def beyond(scores: Scores, *names: str) -> list[str]:
    return [name for name in names if not within_floor(scores.metrics[name])]


def against(synthetic: Images) -> Scores:
    real, train = real_and_train()
    scores: Scores = assess(real, synthetic, train)
    return scores


def test_nothing_planted_nothing_found() -> None:
    scores = against(scans(100, 2))
    assert alarms(scores) == set()
    assert beyond(scores, "KID-LBP256", "LBPv-JS", "recall-layout16", *LAYOUT) == []


def test_blur_is_a_fault_of_texture_and_not_of_layout_or_brightness() -> None:
    scores = against(blurred(scans(100, 2)))
    assert "texture" in alarms(scores)
    assert not alarms(scores) & {"collapse", "copying"}
    assert beyond(scores, "KID-LBP256", "LBPv-L1", "LBPv-chi2", "LBPv-JS", "FD-LBP256") == [
        "KID-LBP256",
        "LBPv-L1",
        "LBPv-chi2",
        "LBPv-JS",
        "FD-LBP256",
    ]
    assert beyond(scores, "image-mean-KS", *LAYOUT) == []


def test_coarser_speckle_is_a_fault_of_texture_alone() -> None:
    scores = against(scans(100, 2, grain=1.2 * GRAIN))
    assert alarms(scores) == {"texture"}
    assert beyond(scores, "image-mean-KS", "grey-level-W1", *LAYOUT) == []


def test_noise_is_a_fault_of_texture_alone() -> None:
    scores = against(noisy(scans(100, 2)))
    assert alarms(scores) == {"texture"}
    assert beyond(scores, "image-mean-KS", *LAYOUT) == []


def test_lighter_images_are_a_fault_of_intensity_alone() -> None:
    scores = against(brighter(scans(100, 2)))
    assert alarms(scores) == {"intensity"}
    assert beyond(scores, "image-mean-KS", "grey-level-W1") == ["image-mean-KS", "grey-level-W1"]
    assert beyond(scores, "KID-LBP256", "LBPv-JS", "FD-LBP256") == []


def test_ten_pictures_are_caught_by_recall_coverage_and_vendi() -> None:
    scores = against(ten_modes(scans(100, 2)))
    assert "collapse" in alarms(scores)
    assert "copying" not in alarms(scores)
    measures = ("recall-layout16", "coverage-layout16", "Vendi-ratio-layout16")
    assert beyond(scores, *measures) == list(measures)
    assert scores.metrics["recall-layout16"].value < 0.1
    assert scores.metrics["duplicate-share"].value > 0.95
    assert {len(cluster.files) for cluster in scores.duplicate_clusters} == {10}


@pytest.mark.parametrize("shift", [5.0, 12.0])
def test_a_shift_of_brightness_is_recovered_within_its_interval(shift: float) -> None:
    real = levels_between(scans(120, 11))
    made = levels_between(scans(120, 12)) + np.uint8(shift)
    metric = assess(real, made).metrics["grey-level-W1"]
    assert metric.ci95[0] <= shift <= metric.ci95[1]
    assert metric.ci95[0] > metric.floor
    assert metric.p_value == 0.001


def levels_between(images: Images) -> Images:
    """Kept off both ends, so that a shift cuts nothing."""
    return np.clip(images, 20, 220)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.5, 1.0])
def test_a_known_shift_of_features_lies_within_the_interval_of_the_kernel_distance(
    shift: float,
) -> None:
    truth = kernel_distance(shift**2)
    found = [judged(seed, count=120, shift=shift)["KID-Gauss"] for seed in range(40)]
    covered = [m.ci95 is not None and m.ci95[0] <= truth <= m.ci95[1] for m in found]
    assert np.mean(covered) >= 0.9
    assert np.mean([m.value for m in found]) == pytest.approx(truth, rel=0.1)


def test_a_known_shift_of_features_is_recovered_once() -> None:
    metrics = judged(0, count=150, shift=1.0)
    kernel, frechet = metrics["KID-Gauss"], metrics["FD-Gauss"]
    assert kernel.ci95 is not None
    assert kernel.ci95[0] <= kernel_distance(1.0) <= kernel.ci95[1]
    assert kernel.p_value == 0.001
    assert frechet.ci95 is not None
    assert frechet.floor is not None
    low, high = (end - frechet.floor for end in frechet.ci95)
    assert low <= 1.0 <= high


@pytest.mark.slow
def test_the_excess_of_the_frechet_distance_over_its_floor_recovers_the_shift() -> None:
    """At counts where the bias is as large as the truth, |b|² = 1."""
    found = [judged(seed, count=60, shift=1.0)["FD-Gauss"] for seed in range(40)]
    values = np.array([metric.value for metric in found])
    floors = np.array([metric.floor or 0.0 for metric in found])
    assert values.mean() > 1.3
    assert (values - floors).mean() == pytest.approx(1.0, abs=0.25)


@pytest.mark.slow
def test_identical_distributions_raise_no_alarm_in_19_of_20_seeds() -> None:
    noisy_seeds = [
        seed
        for seed in range(20)
        if alarms(
            assess(
                scans(100, 1000 * seed + 1),
                scans(150, 1000 * seed + 2),
                scans(150, 1000 * seed + 3),
                seed=seed,
            )
        )
    ]
    assert len(noisy_seeds) <= 1, noisy_seeds


@cache
def for_copies() -> tuple[Images, Images, Images]:
    return scans(200, 31), scans(400, 32), scans(400, 33)


@pytest.mark.slow
@pytest.mark.parametrize("disguise", list(DISGUISES))
def test_one_copy_in_twenty_is_found(disguise: str) -> None:
    real, synthetic, train = for_copies()
    made = with_copies(synthetic, train, DISGUISES[disguise], share=0.05)
    scores: Any = assess(real, made, train)
    assert "copying" in alarms(scores)
    assert scores.metrics["copy-share"].value == pytest.approx(0.05, abs=0.015)
    planted = {f"synthetic{k:04d}.png" for k in range(20)}
    assert {pair.synthetic_file for pair in scores.closest_pairs} <= planted


@pytest.mark.slow
def test_held_out_images_are_not_taken_for_copies() -> None:
    flagged = []
    for seed in range(10):
        real, made, train = (scans(n, 500 * seed + n) for n in (150, 300, 301))
        scores = assess(real, made, train, seed=seed)
        assert "copying" not in alarms(scores), seed
        flagged.append(scores.metrics["copy-share"].value)
    assert np.mean(flagged) <= 0.01
