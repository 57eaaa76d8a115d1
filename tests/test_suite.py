"""The whole assessment: silent where nothing is wrong, loud about planted faults, honest floors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.scores import Scores
from fetalsynth.assessment.floors import make_design
from fetalsynth.assessment.metrics.copying import excess_p_value
from fetalsynth.assessment.metrics.diversity import low_ratio_p_values, spread_ratios
from fetalsynth.assessment.metrics.kolmogorov_smirnov import ks_distance, ks_p_value
from fetalsynth.assessment.metrics.nearest import distance_matrix
from fetalsynth.assessment.pairing import PAIRINGS, choose_partners
from fetalsynth.assessment.resampling import half_of_subjects, half_samples, interval
from fetalsynth.assessment.samples import collect
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import UserError

SIDE = 32


def textures(n: int, seed: int, *, grain: float = 0.7, noise: float = 12.0) -> np.ndarray:
    """Smooth random layouts under fine grain: every image another, all of one kind."""
    rng = np.random.default_rng(seed)
    layout = gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, 5, 5))
    speckle = gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, grain, grain))
    return levels(128 + 40 * layout / layout.std() + noise * speckle / speckle.std())


def levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def image_set(
    images: np.ndarray, role: str, *, subjects: list[str] | None = None, offset: int = 0
) -> ImageSet:
    names = [f"{role}{offset + k:04d}.png" for k in range(len(images))]
    records = tuple(
        ImageRecord(file=name, subject=subject, sha256="")
        for name, subject in zip(names, subjects or names, strict=True)
    )
    source = Input(role=role, path=f"/data/{role}", digest=role)
    return ImageSet(pixels=images[..., None], records=records, source=source)


def assess(
    real: np.ndarray, synthetic: np.ndarray, train: np.ndarray | None = None, *, seed: int = 0
) -> Scores:
    return assess_images(
        real=image_set(real, "real"),
        synthetic=image_set(synthetic, "synthetic"),
        train=None if train is None else image_set(train, "train"),
        seed=seed,
    )


def alarms(scores: Scores) -> set[str]:
    return {alarm.name for alarm in scores.alarms}


@cache
def standard() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return textures(120, 1), textures(150, 2), textures(200, 3)


def test_identical_distributions_raise_no_alarm_in_19_of_20_seeds() -> None:
    noisy = []
    for seed in range(20):
        real, synthetic, train = (textures(n, 100 * seed + n) for n in (60, 70, 90))
        found = assess(real, synthetic, train if seed % 2 else None, seed=seed)
        noisy += [(seed, alarm) for alarm in found.alarms]
    assert len({seed for seed, _ in noisy}) <= 1, noisy


def blurred(images: np.ndarray) -> np.ndarray:
    return levels(gaussian_filter(images.astype(float), (0, 1, 1)))


def brighter(images: np.ndarray) -> np.ndarray:
    return levels(images + 15.0)


def more_contrast(images: np.ndarray) -> np.ndarray:
    return levels(128 + 1.3 * (images - 128.0))


def ten_modes(images: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(9)
    return levels(images[:10].repeat(15, 0) + rng.normal(0, 3, (150, SIDE, SIDE)))


def one_mode(images: np.ndarray) -> np.ndarray:
    return levels(images[:1] + np.random.default_rng(9).normal(0, 12, images.shape))


@pytest.mark.parametrize(
    ("fault", "expected", "silent"),
    [
        (blurred, "texture", {"copying", "collapse", "intensity"}),
        (brighter, "intensity", {"copying", "collapse", "texture"}),
        (more_contrast, "intensity", {"copying", "collapse"}),
        (ten_modes, "collapse", {"copying"}),
        (one_mode, "collapse", {"copying"}),
    ],
)
def test_planted_fault_raises_its_alarm(
    fault: Callable[[np.ndarray], np.ndarray], expected: str, silent: set[str]
) -> None:
    real, synthetic, train = standard()
    found = alarms(assess(real, fault(synthetic), train))
    assert expected in found
    assert not found & silent


def with_copies(share: float, disguise: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    _, synthetic, train = standard()
    count = round(share * len(synthetic))
    return np.concatenate([disguise(train[:count]), synthetic[count:]])


@pytest.mark.parametrize(
    "disguise",
    [
        lambda x: x,
        lambda x: x[:, :, ::-1],
        lambda x: levels(0.7 * x[:, ::-1] + 30.0),
        lambda x: levels(x + np.random.default_rng(0).normal(0, 8, x.shape)),
        blurred,
    ],
    ids=["as is", "mirrored", "upside down, duller", "noisy", "blurred"],
)
def test_copies_of_training_images_are_found_in_disguise(
    disguise: Callable[[np.ndarray], np.ndarray],
) -> None:
    real, _, train = standard()
    scores = assess(real, with_copies(0.2, disguise), train)
    assert "copying" in alarms(scores)
    assert scores.metrics["copy-share"].value == pytest.approx(0.2, abs=0.02)
    nearest = {pair.real_file for pair in scores.closest_pairs}
    assert nearest <= {f"train{k:04d}.png" for k in range(30)}
    assert max(pair.distance for pair in scores.closest_pairs) < 0.8


def test_a_single_exact_copy_is_an_alarm() -> None:
    real, synthetic, train = standard()
    planted = synthetic.copy()
    planted[7] = train[11]
    scores = assess(real, planted, train)
    assert "copying" in alarms(scores)
    pair = scores.closest_pairs[0]
    assert (pair.synthetic_file, pair.real_file) == ("synthetic0007.png", "train0011.png")
    assert pair.distance == pytest.approx(0, abs=1e-5)


def test_copying_test_keeps_its_level_though_the_threshold_is_estimated() -> None:
    rng = np.random.default_rng(0)
    p_values = np.array(
        [excess_p_value(values=rng.random(400), calibration=rng.random(150)) for _ in range(4000)]
    )
    for level in (0.1, 0.01):
        share = (p_values < level).mean()
        assert share <= level + 3 * np.sqrt(level / 4000)
    naive = np.array(
        [
            stats.binom.sf((rng.random(400) < rng.random(150).min()).sum() - 1, 400, 0.01)
            for _ in range(4000)
        ]
    )
    assert (naive < 0.01).mean() > 0.03


def test_kolmogorov_smirnov_agrees_with_scipy_also_with_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(1, 12, 55).astype(float)
    theirs = stats.ks_2samp(a, b)
    assert ks_distance(first=a, second=b) == pytest.approx(theirs.statistic)
    assert ks_p_value(first=a, second=b) == pytest.approx(theirs.pvalue)
    assert ks_distance(first=a, second=a) == 0
    assert ks_distance(first=a, second=a + 100) == 1


def test_diversity_ratios_have_closed_forms_and_uniform_p_values() -> None:
    line = np.arange(6.0)[:, None]
    unit, half = distance_matrix(rows=line), distance_matrix(rows=line / 2)
    assert spread_ratios(distances=half, reference=unit) == pytest.approx((0.5, 0.5))
    twice = distance_matrix(rows=np.repeat(line[::2], 2, axis=0))
    nearest, pairwise = spread_ratios(distances=twice, reference=unit)
    assert nearest == pytest.approx(0)
    assert pairwise == pytest.approx(32 / 35)
    rng = np.random.default_rng(1)
    p_values = [
        low_ratio_p_values(
            distances=distance_matrix(rows=rng.standard_normal((40, 3))),
            count=20,
            permutations=49,
            rng=rng,
        )
        for _ in range(150)
    ]
    for column in np.transpose(p_values):
        assert stats.kstest(column, "uniform").pvalue > 0.01


def test_what_cannot_be_judged_is_said() -> None:
    real, synthetic, train = standard()
    without = assess(real, synthetic)
    assert set(without.unjudged) == {"shift", "copying"}
    assert "--inception-weights" in without.unjudged["shift"]
    assert "--train" in without.unjudged["copying"]
    assert set(assess(real, synthetic, train).unjudged) == {"shift"}
    few = assess(real[:30], synthetic, train)
    assert "too-few-images" in alarms(few)
    assert "30 real" in few.alarms[0].reason


def test_every_metric_has_a_floor_counts_and_words() -> None:
    scores = assess(*standard())
    assert {"KID-LBP256", "FD-LBP256", "MI", "PSNR", "LBPv-L1", "LBPv-V143"} <= set(scores.metrics)
    for name, metric in scores.metrics.items():
        assert metric.floor is not None, name
        assert metric.meaning, name
        assert metric.settings, name
        assert 0 < metric.n_real <= 120, name
        assert 0 < metric.n_synthetic <= 150, name
        if metric.ci95 is not None:
            assert metric.ci95[0] <= metric.value <= metric.ci95[1], name
    distance = scores.metrics["FD-LBP256"]
    assert (
        distance.n_real == distance.n_synthetic == distance.settings["floor_images_a_side"] == 120
    )


def test_matched_floor_takes_the_bias_of_few_images_away() -> None:
    real, synthetic, train = standard()
    for n in (60, 120):
        distance = assess(real[:n], synthetic, train).metrics["FD-LBP256"]
        assert distance.value == pytest.approx(distance.floor, rel=0.1)
    few = assess(real[:60], synthetic, train).metrics["FD-LBP256"].value
    assert few > 1.3 * assess(real, synthetic, train).metrics["FD-LBP256"].value


def test_the_same_arguments_give_the_same_scores_and_the_seed_matters_little() -> None:
    real, synthetic, _ = standard()
    first, again, other = (assess(real, synthetic, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    for name in ("MI", "PSNR", "KID-LBP256"):
        assert first.metrics[name].value == other.metrics[name].value


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_pairing_rules(pairing: str) -> None:
    real, _, train = standard()
    copies = real[::-1].copy()
    scores = assess_images(
        real=image_set(real, "real"),
        synthetic=image_set(copies, "synthetic"),
        train=image_set(train, "train"),
        pairing=pairing,  # type: ignore[arg-type]
    )
    settings = scores.metrics["MI"].settings
    assert settings["pairing"] == pairing
    assert settings["pairs"] == (120 * 120 if pairing == "all-pairs" else 120)
    if pairing == "nearest":
        assert "PSNR" not in scores.metrics
        assert scores.metrics["MI"].value > 2 * scores.metrics["MI"].floor
    else:
        own = scores.metrics["PSNR"].settings["pairs_left_out_as_identical"]
        assert own == 120 if pairing == "all-pairs" else own < 10


def test_random_partners_use_every_reference_equally() -> None:
    rng = np.random.default_rng(0)
    queries, references = textures(25, 4), textures(10, 5)
    partners = choose_partners(rule="random", queries=queries, references=references, rng=rng)
    assert sorted(np.bincount(partners, minlength=10)) == [2] * 5 + [3] * 5


def test_halves_and_designs_keep_subjects_whole() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(30), rng.integers(1, 5, 30))
    for _ in range(20):
        half = half_of_subjects(subjects=subjects, rng=rng)
        assert not set(subjects[half]) & set(subjects[~half])
        assert len(subjects) // 2 - 3 <= half.sum() <= len(subjects) // 2
    images = textures(len(subjects), 6)
    real = image_set(images, "real", subjects=[f"s{k}" for k in subjects])
    made = image_set(textures(40, 7), "synthetic")
    design = make_design(collect(real=real, synthetic=made, train=None, seed=0))
    for first, second in design.floor:
        assert not set(subjects[first]) & set(subjects[second])
        assert len(first) == len(second) == design.count
    for of_real, of_made in design.value:
        assert of_real.max() < len(subjects) <= of_made.min()


def test_half_samples_give_the_standard_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, 400)
    halves = half_samples(subjects=np.arange(400), rng=rng, draws=500)
    means = np.array([values[half].mean() for half in halves])
    found = interval(value=float(values.mean()), halves=means)
    assert found is not None
    error = values.std(ddof=1) / np.sqrt(400)
    assert (found[1] - found[0]) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_intervals_of_the_kernel_distance_cover_a_known_shift() -> None:
    from fetalsynth.assessment.metrics.kid import group_distances, polynomial_kernel

    def draw(seed: int) -> tuple[float, tuple[float, float]]:
        rng = np.random.default_rng(seed)
        pooled = np.concatenate([rng.standard_normal((80, 4)), rng.standard_normal((80, 4)) + 0.6])
        kernel = polynomial_kernel(first=pooled, second=pooled)
        whole = np.arange(160)[None] < 80
        halves = (
            half_samples(subjects=np.arange(80), rng=rng),
            half_samples(subjects=np.arange(80), rng=rng),
        )
        off = np.zeros_like(halves[0])
        spread = group_distances(
            kernel=kernel,
            first=np.concatenate([halves[0], off], 1),
            second=np.concatenate([off, halves[1]], 1),
        )
        value = float(group_distances(kernel=kernel, first=whole, second=~whole)[0])
        found = interval(value=value, halves=spread)
        assert found is not None
        return value, found

    results = [draw(seed) for seed in range(200)]
    truth = np.mean([value for value, _ in results])
    covered = np.mean([low <= truth <= high for _, (low, high) in results])
    assert covered > 0.9


def test_sets_that_cannot_be_compared_are_refused() -> None:
    real, synthetic, train = standard()
    with pytest.raises(UserError, match=r"/data/synthetic: images are 16×32 pixels.*--size 32"):
        assess(real, synthetic[:, :, :16])
    with pytest.raises(UserError, match="at least 8"):
        assess(real, synthetic[:5])
    with pytest.raises(UserError, match=r"real0000\.png: is also a training image \(3 of 120"):
        assess(real, synthetic, np.concatenate([train, real[:3]]))
    with pytest.raises(UserError, match="only 2 subjects"):
        collect(
            real=image_set(real, "real", subjects=["a", "b"] * 60),
            synthetic=image_set(synthetic, "synthetic"),
            train=None,
            seed=0,
        )


def test_deep_and_colour_images_are_brought_to_one_form() -> None:
    real, synthetic, _ = standard()
    deep = image_set((real.astype(np.uint16) * 257), "real")
    colour = image_set(synthetic, "synthetic")
    rgb = ImageSet(
        pixels=np.repeat(colour.pixels, 3, 3), records=colour.records, source=colour.source
    )
    plain = assess(real, synthetic)
    scores = assess_images(real=deep, synthetic=rgb)
    assert scores.metrics == plain.metrics
    assert scores.inputs["real"]["bits"] == 16
    assert scores.inputs["real"]["window"] == [0.0, 65535.0]
    assert scores.inputs["synthetic"]["channels"] == 3


@pytest.mark.parametrize("level", [0, 128])
def test_a_generator_that_died_is_assessed_and_found_out(level: int) -> None:
    real, synthetic, train = standard()
    scores = assess(real, np.full_like(synthetic, level), train)
    assert {"collapse", "texture", "intensity"} <= alarms(scores)
    assert "copying" not in alarms(scores)
    assert scores.metrics["diversity-pairwise"].value == 0
    assert all(np.isfinite(metric.value) for metric in scores.metrics.values())


def test_the_smallest_sets_that_are_taken() -> None:
    scores = assess(textures(8, 20), textures(8, 21))
    assert alarms(scores) == {"too-few-images"}
    assert scores.metrics["FD-LBP256"].n_real == 4
