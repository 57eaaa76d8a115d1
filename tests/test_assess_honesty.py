"""What an assessment owes its reader: copies told whoever saw them, doubts told beside numbers."""

from __future__ import annotations

import pytest

from fetalsynth.assessment.parts.copying import copying
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import collect
from planted_images import Images, image_set, scans


def screen(real: Images, synthetic: Images, train: Images | None = None) -> Part:
    samples = collect(
        real=image_set(real, "real"),
        synthetic=image_set(synthetic, "synthetic"),
        train=None if train is None else image_set(train, "train"),
        seed=0,
    )
    return copying(samples, samples, ())


def reasons(part: Part) -> dict[str, str]:
    return {alarm.name: alarm.reason for alarm in part.alarms}


@pytest.mark.parametrize("with_train", [False, True])
def test_the_real_images_themselves_are_not_passed_off_as_synthetic(with_train: bool) -> None:
    real, train = scans(60, 1), scans(60, 2) if with_train else None
    found = screen(real, real[::-1], train)
    assert "60 synthetic images are the very real images" in reasons(found)["copying"]
    assert "copying" not in found.unjudged
    one = scans(60, 3)
    assert "copying" not in reasons(screen(real, one, train))
    one[5] = real[7]
    assert "1 synthetic images" in reasons(screen(real, one, train))["copying"]


def test_a_mirrored_real_image_is_found_without_training_images() -> None:
    real, made = scans(60, 1), scans(60, 3)
    made[5] = real[7, :, ::-1]
    assert "copying" in reasons(screen(real, made))
