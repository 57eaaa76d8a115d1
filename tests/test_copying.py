"""The copying screen: planted copies in disguise are found, unseen real images are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.assessment.features.extractors import Options
from fetalsynth.assessment.metrics.copying import excess_p_value, screened
from fetalsynth.assessment.metrics.nearest import Neighbours
from fetalsynth.assessment.parts.copying import P_PIXELS, P_SPACES, copying
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import collect
from fetalsynth.assessment.spaces import feature_spaces
from fetalsynth.datasets.loading import ImageSet

Pictures = np.ndarray
SEEDS = 24


def pictures(n: int, seed: int, side: int = 48) -> Pictures:
    """A bright oval of varying place and size on a smooth ground, under grain."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)) / side - 0.5
    place, axes = rng.normal(0, 0.06, (2, n, 1, 1)), rng.uniform(0.2, 0.35, (2, n, 1, 1))
    radius = np.hypot((y - place[0]) / axes[0], (x - place[1]) / axes[1])
    ground = gaussian_filter(rng.standard_normal((n, side, side)), (0, 4, 4))
    grain = gaussian_filter(rng.standard_normal((n, side, side)), (0, 0.8, 0.8))
    values = 90 + 70 * np.exp(-(((radius - 1) / 0.15) ** 2)) + 25 * ground / ground.std()
    return levels(values + 10 * grain / grain.std())


def levels(values: np.ndarray) -> Pictures:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def screen(real: Pictures, synthetic: Pictures, train: Pictures, *, seed: int = 0) -> Part:
    def image_set(images: Pictures, role: str) -> ImageSet:
        records = tuple(
            ImageRecord(file=f"{role}{k}.png", subject="", sha256="") for k in range(len(images))
        )
        source = Input(role=role, path=f"/{role}", digest=role)
        return ImageSet(pixels=images[..., None], records=records, source=source)

    samples = collect(
        real=image_set(real, "real"),
        synthetic=image_set(synthetic, "synthetic"),
        train=image_set(train, "train"),
        seed=seed,
    )
    return copying(samples, samples, feature_spaces(samples, Options()))


@cache
def standard() -> tuple[Pictures, Pictures, Pictures]:
    """Held-out, synthetic and training images."""
    return pictures(300, 1), pictures(400, 2), pictures(250, 3)


def planted(share: float, disguise: Callable[[Pictures], Pictures]) -> Pictures:
    _, synthetic, train = standard()
    count = round(share * len(synthetic))
    return np.concatenate([disguise(train[:count]), synthetic[count:]])


def rotated(images: Pictures, degrees: float) -> Pictures:
    turned = [ndimage.rotate(image.astype(float), degrees, reshape=False) for image in images]
    return levels(np.stack(turned))


def noisy(images: Pictures, sigma: float) -> Pictures:
    return levels(images + np.random.default_rng(0).normal(0, sigma, images.shape))


DISGUISES: dict[str, Callable[[Pictures], Pictures]] = {
    "as is": lambda x: x,
    "mirrored": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
    "turned 7": lambda x: rotated(x, 7),
    "turned -7": lambda x: rotated(x, -7),
    "turned 2.5, mirrored": lambda x: rotated(x[:, :, ::-1], 2.5),
    "noise 5": lambda x: noisy(x, 5),
    "noise 10": lambda x: noisy(x, 10),
    "turned 7, noise 10": lambda x: noisy(rotated(x, 7), 10),
    "duller": lambda x: levels(0.7 * x + 30.0),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_five_percent_of_copies_are_found_in_disguise(disguise: str) -> None:
    real, _, train = standard()
    found = screen(real, planted(0.05, DISGUISES[disguise]), train)
    assert [alarm.name for alarm in found.alarms] == ["copying"]
    metric = found.metrics["copy-share"]
    assert metric.p_value is not None
    assert metric.p_value < P_PIXELS
    assert metric.value == pytest.approx(0.05, abs=0.015)
    pairs = {(pair.synthetic_file, pair.real_file) for pair in found.closest_pairs}
    assert pairs <= {(f"synthetic{k}.png", f"train{k}.png") for k in range(20)}


def test_unseen_images_raise_no_alarm_in_as_many_seeds() -> None:
    alarms = []
    for seed in range(SEEDS):
        real, synthetic, train = (pictures(n, 1000 + 10 * seed + n) for n in (100, 120, 110))
        alarms += [(seed, a.reason) for a in screen(real, synthetic, train, seed=seed).alarms]
    assert not alarms, f"false alarms in {len(alarms)} of {SEEDS} seeds: {alarms}"


def test_all_spaces_together_keep_one_false_alarm_in_a_thousand() -> None:
    rng = np.random.default_rng(0)

    def neighbours(n: int) -> Neighbours:
        distance = rng.random(n)
        return Neighbours(
            distance=distance, index=np.zeros(n, np.int64), isolation=distance + rng.random(n) / 9
        )

    p_values = np.array(
        [screened(synthetic=neighbours(300), held_out=neighbours(250)).p_value for _ in range(3000)]
    )
    promised = P_PIXELS + P_SPACES
    assert promised == pytest.approx(1e-3)
    for level in (0.05, 0.01):
        share = float((p_values < level).mean())
        assert share <= level + 3 * np.sqrt(level / 3000), f"{share:.4f} of p-values below {level}"


def test_a_stray_held_out_image_does_not_hide_copies() -> None:
    rng = np.random.default_rng(1)
    held_out, synthetic = rng.uniform(0.5, 1, 400), rng.uniform(0.5, 1, 400)
    synthetic[:40] = rng.uniform(0.1, 0.2, 40)

    def found(calibration: np.ndarray) -> float:
        def row(values: np.ndarray) -> Neighbours:
            return Neighbours(
                distance=values, index=np.zeros(len(values), np.int64), isolation=values
            )

        return screened(synthetic=row(synthetic), held_out=row(calibration)).p_value

    clean, stray = held_out.copy(), held_out.copy()
    stray[0] = 0.01
    assert found(clean) < found(stray) < 1e-4
    share = excess_p_value(values=synthetic, calibration=clean)
    least = stats.betabinom.sf(39, 400, 1, 400)
    assert found(clean) == pytest.approx(2 * min(share, least), rel=0.5)


def test_blur_is_no_copying_though_it_lies_near_everything() -> None:
    real, synthetic, train = standard()
    blurred = levels(gaussian_filter(synthetic.astype(float), (0, 2, 2)))
    found = screen(real, blurred, train)
    assert found.metrics["nearest-distance"].value < 1
    assert found.metrics["data-copying-z"].value < -3
    assert not found.alarms


def test_summaries_move_with_copying_and_stay_where_nothing_was_copied() -> None:
    real, synthetic, train = standard()
    honest = screen(real, synthetic, train).metrics
    copied = screen(real, planted(0.6, lambda x: noisy(x, 6)), train).metrics
    assert abs(honest["data-copying-z"].value) < 3
    assert copied["data-copying-z"].value < -8
    assert honest["authentic-share"].floor is not None
    assert honest["authentic-share"].value == pytest.approx(
        honest["authentic-share"].floor, abs=0.12
    )
    assert copied["authentic-share"].value < 0.6 * honest["authentic-share"].value
    assert honest["nearest-distance"].value == pytest.approx(1, abs=0.05)
    below = honest["nearest-distance"].settings
    assert below["share_below_1st_percentile"] < 0.05
    assert below["share_below_5th_percentile"] == pytest.approx(0.05, abs=0.04)
    assert copied["nearest-distance"].settings["share_below_1st_percentile"] > 0.55
    for metric in ("copy-share", "data-copying-z", "authentic-share"):
        assert "screen, not a guarantee" in honest[metric].meaning


def test_exact_copies_are_seen_in_the_features_too() -> None:
    real, _, train = standard()
    found = screen(real, planted(0.1, lambda x: x), train).metrics["copy-share-LBP256"]
    assert found.p_value is not None
    assert found.p_value < P_SPACES
    assert found.value == pytest.approx(0.1, abs=0.02)


@cache
def head_images(folder: Path) -> tuple[Pictures, np.ndarray]:
    """HC18 at 64 × 64 and the subject of each image."""
    files = sorted(path for path in folder.rglob("*_*HC.png") if "Annotation" not in path.name)
    images = [Image.open(f).convert("L").resize((64, 64), Image.Resampling.BOX) for f in files]
    return np.stack([np.asarray(i) for i in images]), np.array([f.name[:3] for f in files])


def parted(images: Pictures, subjects: np.ndarray, seed: int) -> tuple[Pictures, ...]:
    """Held-out, "synthetic" and training images of different subjects, one image of each."""
    _, first = np.unique(subjects, return_index=True)
    order = np.random.default_rng(seed).permutation(first)
    return images[order[:250]], images[order[250:500]], images[order[500:800]]


@pytest.mark.slow
def test_head_images_that_were_not_seen_raise_no_alarm(hc18_folder: Path) -> None:
    images, subjects = head_images(hc18_folder)
    alarms = []
    for seed in range(SEEDS):
        found = screen(*parted(images, subjects, seed), seed=seed)
        alarms += [(seed, alarm.reason) for alarm in found.alarms]
    assert not alarms, f"false alarms in {len(alarms)} of {SEEDS} seeds: {alarms}"


@pytest.mark.slow
@pytest.mark.parametrize("disguise", DISGUISES)
def test_copies_of_head_images_are_found(hc18_folder: Path, disguise: str) -> None:
    real, synthetic, train = parted(*head_images(hc18_folder), 0)
    count = round(0.05 * len(synthetic))
    made = np.concatenate([DISGUISES[disguise](train[:count]), synthetic[count:]])
    found = screen(real, made, train)
    assert found.alarms, found.metrics["copy-share"]
    nearest = {pair.real_file for pair in found.closest_pairs}
    assert nearest <= {f"train{k}.png" for k in range(count)}
