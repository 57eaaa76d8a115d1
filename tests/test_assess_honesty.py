"""What an assessment owes its reader: copies told whoever saw them, doubts told beside numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fetalsynth.artifacts.scores import Scores
from fetalsynth.assessment.suite import assess_images
from planted_images import Images, image_set, scans


def assess(real: Images, synthetic: Images, train: Images | None = None) -> Scores:
    return assess_images(
        real=image_set(real, "real"),
        synthetic=image_set(synthetic, "synthetic"),
        train=None if train is None else image_set(train, "train"),
        most_images=60,
    )


def reasons(scores: Scores) -> dict[str, str]:
    return {alarm.name: alarm.reason for alarm in scores.alarms}


@pytest.mark.parametrize("with_train", [False, True])
def test_the_real_images_themselves_are_not_passed_off_as_synthetic(with_train: bool) -> None:
    real, train = scans(60, 1), scans(60, 2) if with_train else None
    found = assess(real, real[::-1], train)
    assert "60 synthetic images are the very real images" in reasons(found)["copying"]
    assert "copying" not in found.unjudged
    one = scans(60, 3)
    one[5] = real[7]
    assert "1 synthetic images" in reasons(assess(real, one, train))["copying"]
    assert "copying" not in reasons(assess(real, scans(60, 3), train))


def test_a_mirrored_real_image_is_found_without_training_images() -> None:
    real, made = scans(60, 1), scans(60, 3)
    made[5] = real[7, :, ::-1]
    assert "copying" in reasons(assess(real, made))
