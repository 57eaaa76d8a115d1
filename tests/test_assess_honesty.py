"""What an assessment owes its reader: copies told whoever saw them, doubts told beside numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.assessment.floors import make_design
from fetalsynth.assessment.metrics.copying import expected_share, low_values
from fetalsynth.assessment.parts.copying import copying
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import collect
from fetalsynth.assessment.subjects import subject_numbers
from fetalsynth.cli.assess import run
from fetalsynth.errors import UserError
from planted_features import judged
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


def test_images_belong_together_by_name_or_by_pixels_and_through_others() -> None:
    images = np.zeros((6, 4, 4), np.uint8)
    images[:, 0, 0] = [1, 2, 3, 2, 5, 6]
    found, repeated = subject_numbers(names=["a", "b", "a", "c", "c", "d"], images=images)
    assert found.tolist() == [0, 1, 0, 1, 1, 2]
    assert repeated == 1


def test_repeated_real_images_are_one_subject_and_do_not_sharpen_a_test() -> None:
    """Forty images five times each: a test that took them for 200 would find chance differences."""
    real, made = np.repeat(scans(40, 1), 5, axis=0), scans(200, 2)
    samples = collect(
        real=image_set(real, "real"), synthetic=image_set(made, "synthetic"), train=None, seed=0
    )
    assert len(samples.one_per_subject("real")) == 40
    assert samples.repeated == {"real": 160}
    design = make_design(samples)
    for first, second in design.floor:
        pixels = [{image.tobytes() for image in samples.at(side)} for side in (first, second)]
        assert not pixels[0] & pixels[1]
    with pytest.raises(UserError, match="different real images of only 3 subjects"):
        collect(
            real=image_set(real[:15], "real"),
            synthetic=image_set(made, "synthetic"),
            train=None,
            seed=0,
        )


def test_the_excess_over_the_floor_holds_a_known_shift_and_its_interval_is_honest() -> None:
    """|b|² = 1 between Gaussians of 40 images a side: bias of few images is as large as that."""
    inside, nothing = [], []
    for seed in range(20):
        found = judged(seed, count=40, shift=1.0)["FD-Gauss"]
        low, high = found.settings["minus_floor_ci95"]
        assert found.settings["minus_floor"] == found.value - found.floor
        inside.append(low <= 1.0 <= high)
        low, high = judged(seed, count=40, shift=0.0)["FD-Gauss"].settings["minus_floor_ci95"]
        nothing.append(low <= 0.0 <= high)
        assert high - low < 8
    assert sum(inside) >= 18
    assert sum(nothing) >= 18


def test_numbers_from_too_few_images_say_so_themselves() -> None:
    """Sixty real images in halves are thirty a side, though sixty are not few."""
    few = judged(0, count=60, shift=0.0)["FD-Gauss"]
    assert few.n_real == 30
    assert few.settings["least_images_a_side"] == 50
    assert "needs 50 images a side and has 30: no more than a hint" in few.meaning
    enough = judged(0, count=100, shift=0.0)
    assert all("hint" not in metric.meaning for metric in enough.values())
    assert "needs 20" in judged(0, count=12, shift=0.0)["KID-Gauss"].meaning


def test_twelve_bits_in_sixteen_are_pointed_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for role, factor in (("real", 257), ("synthetic", 16)):
        (tmp_path / role).mkdir()
        for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (8, 12, 12))):
            deep = (factor * ((image + len(role)) % 256)).astype(np.uint16)
            (tmp_path / role / f"{number}.png").write_bytes(encode_png(deep))
    words = ["--real", str(tmp_path / "real"), "--synthetic", str(tmp_path / "synthetic")]
    run([*words, "--out", str(tmp_path / "a")])
    said = capsys.readouterr().err
    assert said.count("note: ") == 1
    assert "synthetic: the brightest pixel is 4080 of 65535" in said
    assert "only 17 of 256 grey levels" in said
    assert "--window 0 4080" in said
    run([*words, "--out", str(tmp_path / "b"), "--window", "0", "4080"])
    assert "note: " not in capsys.readouterr().err


def test_pairs_of_one_image_with_itself_are_an_alarm(tmp_path: Path) -> None:
    images = scans(10, 1)
    for role, made in (("real", images), ("same", images), ("other", images // 2)):
        (tmp_path / role).mkdir()
        for number, image in enumerate(made):
            (tmp_path / role / f"{number}.png").write_bytes(encode_png(image))
    for role, expected in (("same", {"copying"}), ("other", set())):
        words = ["--paired", "--real", str(tmp_path / "real"), "--synthetic", str(tmp_path / role)]
        run([*words, "--out", str(tmp_path / f"{role}-scores")])
        scores = read_scores(tmp_path / f"{role}-scores")
        assert {alarm.name for alarm in scores.alarms} == expected
        assert ("copying" in scores.unjudged) == (not expected)
