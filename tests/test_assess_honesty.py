"""What an assessment owes its reader: copies told whoever saw them, doubts told beside numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fetalsynth.assessment.metrics.copying import expected_share, low_values
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


@pytest.mark.parametrize(("held_out", "share"), [(25, 1 / 26), (99, 0.01), (199, 1 / 200)])
def test_the_expected_share_of_suspicious_images_is_that_of_images_never_copied(
    held_out: int, share: float
) -> None:
    rng = np.random.default_rng(0)
    found = [
        low_values(values=rng.random(50), calibration=rng.random(held_out)).mean()
        for _ in range(4000)
    ]
    assert expected_share(held_out) == pytest.approx(share)
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(share, abs=4 * error)


def test_few_held_out_images_promise_no_more_than_they_can_tell() -> None:
    found = screen(scans(30, 1), scans(60, 3), scans(60, 2)).metrics["copy-share"]
    assert found.floor == pytest.approx(1 / 31)
    assert "any of 30 unseen real images" in found.meaning
