"""Heads measured on images alone: planted ellipses, invariances, phantoms, HC18."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fetalsynth.anatomy.ellipse import (
    Ellipse,
    ellipse_circumference,
    map_ellipse,
)
from fetalsynth.anatomy.skull.fit import NO_HEAD, SkullFit, fit_skull
from fetalsynth.datasets.phantoms.ultrasound import sample_params, simulate
from fetalsynth.randomness import numpy_rng
from fetalsynth.statistics.measurement import measurement_error
from planted_heads import HEAD, PLANTED, Planted, picture, scaled

HELD_OUT = (
    "002_HC.png",
    "068_2HC.png",
    "111_HC.png",
    "145_HC.png",
    "246_HC.png",
    "298_HC.png",
    "372_HC.png",
    "438_HC.png",
    "520_HC.png",
    "575_HC.png",
    "633_HC.png",
    "755_HC.png",
)


def found(image: np.ndarray, *, pixel_ratio: float = 1.0) -> SkullFit:
    fit = fit_skull(image, pixel_ratio=pixel_ratio)
    assert fit is not None
    return fit


def error(fit: SkullFit, truth: Ellipse) -> float:
    return ellipse_circumference(fit.ellipse) / ellipse_circumference(truth) - 1


def assert_alike(one: Ellipse, other: Ellipse, *, pixels: float) -> None:
    """Borders of both in 32 directions lie within ``pixels`` of each other."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)

    def border(e: Ellipse) -> np.ndarray:
        own = turn - np.radians(e.angle_deg)
        a, b = e.semi_major_px, e.semi_minor_px
        radius = a * b / np.hypot(b * np.cos(own), a * np.sin(own))
        x, y = e.center_x_px + radius * np.cos(turn), e.center_y_px + radius * np.sin(turn)
        return np.column_stack([x, y])

    assert np.hypot(*(border(one) - border(other)).T).max() < pixels


@pytest.mark.parametrize("side", [64, 128, 256, 512])
def test_a_planted_head_is_found_at_every_size(side: int) -> None:
    truth = scaled(HEAD, side / 128)
    planted = replace(PLANTED, ellipse=truth, thickness=2.6 * side / 128)
    fit = found(picture(planted, height=side, width=side))
    assert abs(error(fit, truth)) < 0.02
    assert_alike(fit.ellipse, truth, pixels=0.02 * side)
    assert fit.confidence > 0.9
    assert fit.bright_fraction > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_heads_of_all_sizes_directions_and_grains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.uniform(20, 52)
    truth = Ellipse(
        center_x_px=64 + rng.uniform(-6, 6),
        center_y_px=66 + rng.uniform(-6, 6),
        semi_major_px=a,
        semi_minor_px=a * rng.uniform(0.68, 0.92),
        angle_deg=rng.uniform(-90, 90),
    )
    planted = Planted(
        ellipse=truth, thickness=2.4, arc=a < 40, noise=rng.uniform(0.05, 0.3), seed=seed
    )
    assert abs(error(found(picture(planted, height=128, width=128)), truth)) < 0.025


def test_an_image_that_is_wider_than_high_and_large() -> None:
    truth = Ellipse(
        center_x_px=430, center_y_px=270, semi_major_px=230, semi_minor_px=180, angle_deg=8
    )
    planted = Planted(ellipse=truth, thickness=15, arc=False)
    fit = found(picture(planted, height=540, width=800))
    assert abs(error(fit, truth)) < 0.02
    assert_alike(fit.ellipse, truth, pixels=12)


@pytest.mark.parametrize(
    ("turned", "matrix", "shift"),
    [
        (lambda p: p[:, ::-1], [[-1, 0], [0, 1]], (127, 0)),
        (lambda p: p[::-1], [[1, 0], [0, -1]], (0, 127)),
        (lambda p: p.T, [[0, 1], [1, 0]], (0, 0)),
        (lambda p: p[::-1, ::-1], [[-1, 0], [0, -1]], (127, 127)),
    ],
)
def test_a_flipped_image_has_the_flipped_head(turned, matrix, shift) -> None:  # type: ignore[no-untyped-def]
    image = picture(PLANTED, height=128, width=128)
    expected = map_ellipse(found(image).ellipse, matrix=np.array(matrix, float), shift=shift)
    assert_alike(found(turned(image)).ellipse, expected, pixels=0.3)


@pytest.mark.parametrize(
    "changed",
    [lambda p: 200 * p, lambda p: p * 2 - 1, lambda p: (p * 40000).astype(np.uint16)],
    ids=["gain", "range", "16-bit"],
)
def test_the_grey_scale_does_not_matter(changed) -> None:  # type: ignore[no-untyped-def]
    image = np.clip(picture(PLANTED, height=128, width=128) / 1.3, 0, 1)
    first, second = found(image), found(changed(image))
    assert_alike(first.ellipse, second.ellipse, pixels=0.1)
    assert second.confidence == pytest.approx(first.confidence, abs=0.01)


def test_a_squashed_image_is_measured_by_its_pixel_ratio() -> None:
    image = picture(replace(PLANTED, arc=False), height=128, width=128)
    squashed = image.reshape(64, 2, 128).mean(axis=1)
    fit = found(squashed, pixel_ratio=2.0)
    back = map_ellipse(fit.ellipse, matrix=np.diag([1.0, 2.0]), shift=(0.0, 0.5))
    assert ellipse_circumference(back) == pytest.approx(ellipse_circumference(HEAD), rel=0.02)


def test_the_midline_and_a_bright_spot_are_not_the_skull() -> None:
    image = picture(replace(PLANTED, midline=True, arc=False), height=128, width=128)
    image[10:20, 90:110] += 3.0
    assert abs(error(found(image), HEAD)) < 0.02


def test_outlines_that_grow_are_measured_as_growing() -> None:
    sizes, seen = np.linspace(0.8, 1.2, 5), []
    for k, size in enumerate(sizes):
        ellipse = replace(HEAD, semi_major_px=38 * size, semi_minor_px=30 * size)
        image = picture(Planted(ellipse=ellipse, thickness=2.6, seed=k), height=128, width=128)
        seen.append(ellipse_circumference(found(image).ellipse))
    assert np.diff(seen) / np.diff(sizes * ellipse_circumference(HEAD)) == pytest.approx(
        np.ones(4), abs=0.12
    )


@pytest.mark.parametrize(
    "image",
    [np.zeros((64, 64)), np.full((64, 64), 7, np.uint8), np.full((540, 800), -1.0, np.float32)],
)
def test_an_image_of_one_grey_has_no_head(image: np.ndarray) -> None:
    assert fit_skull(image) is None


def test_noise_has_no_head_to_be_sure_of() -> None:
    rng = np.random.default_rng(0)
    for sigma in (0.5, 1, 2):
        grain = gaussian_filter(rng.standard_normal((128, 128)), sigma)
        fit = fit_skull(np.exp(0.6 * grain / grain.std()))
        assert fit is None or NO_HEAD <= fit.confidence < 0.5


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.full((64, 64), np.nan), "finite"),
        (np.zeros((64, 64, 3)), "height, width"),
        (np.zeros(64), "height, width"),
        (np.zeros((20, 64)), "too small"),
        (np.zeros((0, 0)), "too small"),
    ],
)
def test_what_is_no_image_is_refused(image: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit_skull(image)


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), 100.0])
def test_pixels_of_no_shape_are_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="not plausible"):
        fit_skull(np.eye(64), pixel_ratio=ratio)


def test_one_image_takes_well_under_a_second() -> None:
    import time

    image = picture(PLANTED, height=128, width=128)
    fit_skull(image)
    began = time.process_time()
    fit_skull(image)
    assert time.process_time() - began < 0.8


def test_phantoms_have_the_circumference_of_their_biometry() -> None:
    errors = []
    for number in range(8):
        params = sample_params(numpy_rng(seed=3, stream="test-skull", counter=number))
        image = simulate(params, size=128)
        fit = fit_skull(image.pixels)
        errors.append(np.inf if fit is None else abs(error(fit, image.ellipse)))
    assert np.median(errors) < 0.03
    assert np.sort(errors)[-2] < 0.10


def test_agreement_of_two_measurements_in_closed_form() -> None:
    true = np.array([100.0, 200.0, 300.0, 400.0])
    measured = true * [1.02, 0.98, 1.04, 1.00]
    rng = np.random.default_rng(0)
    one = measurement_error(measured=measured, true=true, rng=rng, missing=1)
    assert one.bias == pytest.approx(0.01)
    assert one.median_absolute == pytest.approx(0.02)
    assert one.mean_absolute == pytest.approx(0.02)
    assert one.sd == pytest.approx(np.std([0.02, -0.02, 0.04, 0.0], ddof=1))
    assert one.limits == pytest.approx((0.01 - 1.96 * one.sd, 0.01 + 1.96 * one.sd))
    assert one.r == pytest.approx(np.corrcoef(measured, true)[0, 1])
    assert [share.value for share in one.shares] == pytest.approx([3 / 5, 4 / 5, 4 / 5])
    assert one.median_interval is not None
    assert one.median_interval[0] <= 0.02 <= one.median_interval[1]
    flat = measurement_error(measured=measured, true=np.full(4, 9.0), rng=rng)
    assert flat.r is None


@pytest.mark.parametrize(
    ("measured", "true"), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, 0], [1, 2, 3])]
)
def test_measurements_that_do_not_pair_up_are_refused(measured, true) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"values|needs"):
        measurement_error(measured=measured, true=true, rng=np.random.default_rng(0))


def test_real_heads_are_measured_within_a_few_percent(hc18_folder: Path, tmp_path: Path) -> None:
    """Twelve held-out images at full size, against HC18's own table."""
    with (hc18_folder / "training_set_pixel_size_and_HC.csv").open(newline="") as stream:
        table = [row for row in csv.DictReader(stream) if row["filename"] in HELD_OUT]
    assert len(table) == len(HELD_OUT)
    errors = []
    for row in table:
        with Image.open(hc18_folder / "training_set" / row["filename"]) as image:
            fit = fit_skull(np.asarray(image.convert("L")))
        assert fit is not None
        size = next(float(row[key]) for key in row if key.startswith("pixel size"))
        true = next(float(row[key]) for key in row if key.startswith("head circumference"))
        errors.append(ellipse_circumference(fit.ellipse) * size / true - 1)
    assert np.median(np.abs(errors)) < 0.03
    assert np.mean(np.abs(errors) < 0.1) >= 10 / 12
