"""Diversity of a set: repeated pictures, pairs, permutation tests against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.assessment.metrics.diversity import (
    low_ratio_p_values,
    pair_error,
    random_pairs,
    spread_ratios,
)
from fetalsynth.assessment.metrics.duplicates import LINKS, clusters, duplicate_threshold
from fetalsynth.assessment.metrics.nearest import distance_matrix
from fetalsynth.assessment.parts.duplicates import PICTURED, duplicates
from fetalsynth.assessment.parts.likeness import higher_p_value, likeness
from fetalsynth.assessment.samples import Samples, collect
from fetalsynth.assessment.suite import assess_images
from fetalsynth.assessment.writing import write_assessment
from fetalsynth.datasets.loading import ImageSet

SIDE = 48


def pictures(n: int, seed: int) -> np.ndarray:
    """Smooth random layouts under grain: every picture another, all of one kind."""
    rng = np.random.default_rng(seed)
    layout = gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, 5, 5))
    values = 128 + 40 * layout / layout.std() + rng.normal(0, 8, layout.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noisy(images: np.ndarray, seed: int = 0, sigma: float = 8.0) -> np.ndarray:
    values = images + np.random.default_rng(seed).normal(0, sigma, images.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def samples(
    real: np.ndarray, synthetic: np.ndarray, *, subjects: list[str] | None = None
) -> Samples:
    def image_set(images: np.ndarray, role: str, names: list[str] | None) -> ImageSet:
        records = tuple(
            ImageRecord(file=f"{role}{k}.png", subject=names[k] if names else "", sha256="")
            for k in range(len(images))
        )
        source = Input(role=role, path=f"/{role}", digest=role)
        return ImageSet(pixels=images[..., None], records=records, source=source)

    return collect(
        real=image_set(real, "real", subjects),
        synthetic=image_set(synthetic, "synthetic", None),
        train=None,
        seed=0,
    )


@pytest.mark.parametrize("twins", [0, 30])
def test_permutation_p_values_agree_with_a_plain_loop(twins: int) -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((140, 6))
    rows[:twins] = rows[twins : 2 * twins] + 1e-3
    distances = distance_matrix(rows=rows)
    found = low_ratio_p_values(
        distances=distances, count=60, permutations=199, rng=np.random.default_rng(2)
    )
    member = np.zeros((200, 140), bool)
    member[:, :60] = True
    member[1:] = np.random.default_rng(2).permuted(member[1:], axis=1)
    ratios = np.array(
        [
            spread_ratios(distances=distances[m][:, m], reference=distances[~m][:, ~m])
            for m in member
        ]
    )
    expected = (1 + (ratios[1:] <= ratios[0] + 1e-12).sum(0)) / 200
    assert found == pytest.approx(expected)
    assert (found[0] == 1 / 200) == (twins > 0)


def test_p_values_of_equal_distributions_are_uniform() -> None:
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        distances = distance_matrix(rows=rng.standard_normal((40, 3)))
        p_values.append(low_ratio_p_values(distances=distances, count=20, permutations=99, rng=rng))
    for column in np.array(p_values).T:
        assert stats.kstest(column, "uniform").pvalue > 0.01


def test_repeated_pictures_are_clustered_and_others_are_not() -> None:
    modes, others = pictures(4, 1), pictures(80, 2)
    copies = np.concatenate([noisy(modes), noisy(modes, 1), noisy(modes[:1, :, ::-1], 2)])
    found = duplicates(samples(pictures(100, 3), np.concatenate([others, copies])))
    names = [set(cluster.files) for cluster in found.duplicate_clusters]
    expected = [{f"synthetic{80 + k}.png", f"synthetic{84 + k}.png"} for k in range(4)]
    expected[0].add("synthetic88.png")
    assert names == expected
    share = found.metrics["duplicate-share"]
    assert share.value == pytest.approx(9 / 89)
    assert share.floor == 0
    assert (share.settings["clusters"], share.settings["largest_cluster"]) == (4, 3)
    assert [len(cluster.pictures) for cluster in found.duplicate_clusters] == [3, 2, 2, 2]
    rows = found.tables["duplicates.csv"].splitlines()
    assert rows[0] == "cluster,file"
    assert len(rows) == 10


def test_large_clusters_picture_the_first_few_and_list_all() -> None:
    synthetic = np.concatenate([pictures(30, 4), noisy(pictures(1, 5).repeat(20, 0))])
    (cluster,) = duplicates(samples(pictures(60, 6), synthetic)).duplicate_clusters
    assert len(cluster.files) == 20
    assert len(cluster.pictures) == PICTURED
    assert cluster.distance < 0.5


def test_the_gallery_shows_the_clusters(tmp_path: Path) -> None:
    modes = pictures(2, 13)
    synthetic = np.concatenate([pictures(50, 14), modes, noisy(modes), noisy(modes, 1)])
    sets = {
        role: ImageSet(
            pixels=images[..., None],
            records=tuple(
                ImageRecord(file=f"{k}.png", subject="", sha256="") for k in range(len(images))
            ),
            source=Input(role=role, path=f"/{role}", digest=role),
        )
        for role, images in (("real", pictures(60, 15)), ("synthetic", synthetic))
    }
    scores = assess_images(real=sets["real"], synthetic=sets["synthetic"])
    write_assessment(tmp_path, scores=scores, real=sets["real"], synthetic=sets["synthetic"])
    found = read_scores(tmp_path)
    assert [c.files for c in found.duplicate_clusters] == [
        ("50.png", "52.png", "54.png"),
        ("51.png", "53.png", "55.png"),
    ]
    for cluster in found.duplicate_clusters:
        for file, picture in zip(cluster.files, cluster.pictures, strict=True):
            shown = np.asarray(Image.open(tmp_path / picture))
            assert np.array_equal(shown, synthetic[int(file.removesuffix(".png"))])
    assert (tmp_path / "duplicates.csv").read_text() == scores.tables["duplicates.csv"]


def test_honest_sets_have_duplicates_about_as_rarely_as_promised() -> None:
    found = []
    for seed in range(100):
        real, synthetic = np.random.default_rng(seed).standard_normal((2, 100, 8))
        threshold = duplicate_threshold(
            nearest=distance_matrix(rows=real).min(1), count=len(synthetic)
        )
        assert threshold is not None
        distances = distance_matrix(rows=synthetic)
        found.append(bool(clusters(distances=distances, threshold=threshold)))
    assert np.mean(found) <= 0.1, f"clusters in {np.sum(found)} of 100 honest sets"


def test_threshold_follows_the_power_law_it_was_made_from() -> None:
    n, power = 2000, 6.0
    chance = (np.arange(n) + 0.5) / n
    nearest = (-np.log1p(-chance) / (n - 1)) ** (1 / power)
    found = duplicate_threshold(nearest=nearest, count=500)
    assert found is not None
    pairs = 500 * 499 / 2
    assert found == pytest.approx((LINKS / pairs) ** (1 / power), rel=0.01)
    assert duplicate_threshold(nearest=np.zeros(50), count=50) is None
    assert duplicate_threshold(nearest=np.ones(50), count=50) is None


def test_clusters_are_connected_components_the_largest_first() -> None:
    places = np.array([0.0, 10.0, 1.0, 20.0, 10.5, 2.0, 40.0])
    distances = np.abs(places[:, None] - places)
    found = clusters(distances=distances, threshold=1.1)
    assert [group.tolist() for group in found] == [[0, 2, 5], [1, 4]]


def test_frames_of_one_subject_do_not_set_the_threshold() -> None:
    real = pictures(100, 7)
    frames = np.concatenate([real, noisy(real, 3)])
    subjects = [f"s{k % 100}" for k in range(200)]
    others = pictures(60, 8)
    synthetic = np.concatenate([others, noisy(others[:3])])
    with_subjects = duplicates(samples(frames, synthetic, subjects=subjects))
    assert with_subjects.metrics["duplicate-share"].value == pytest.approx(6 / 63)
    assert with_subjects.metrics["duplicate-share"].floor == 0
    unnamed = duplicates(samples(frames, synthetic))
    assert unnamed.metrics["duplicate-share"].value == 0
    exact = duplicates(samples(np.concatenate([real, real]), synthetic))
    assert exact.metrics["duplicate-share"].value == pytest.approx(6 / 63)
    mirrored = duplicates(samples(np.concatenate([real, real[:, ::-1]]), synthetic))
    assert "twins" in mirrored.unjudged["duplicates"]
    few = duplicates(samples(real[:40], synthetic))
    assert "at least 50 subjects, there are 40" in few.unjudged["duplicates"]


def test_random_pairs_are_different_and_all_are_taken_when_few() -> None:
    first, second = random_pairs(count=10, pairs=100, rng=np.random.default_rng(0))
    assert sorted(zip(first, second, strict=True)) == [
        (i, j) for i in range(10) for j in range(i + 1, 10)
    ]
    first, second = random_pairs(count=60, pairs=500, rng=np.random.default_rng(0))
    assert len({*zip(first, second, strict=True)}) == 500
    assert (first < second).all()


def test_error_of_a_mean_over_pairs_is_that_of_repeated_experiments() -> None:
    means, errors = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal(40)
        first, second = random_pairs(count=40, pairs=300, rng=rng)
        product = values[first] + values[second] + 0.5 * rng.standard_normal(300)
        means.append(product.mean())
        errors.append(pair_error(values=product, first=first, second=second))
    naive = np.sqrt((2 + 0.25) / 300)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.12)
    assert np.mean(errors) > 2 * naive


def test_pairs_of_a_collapsed_set_are_more_alike_than_real_pairs() -> None:
    real = pictures(60, 9)
    honest = likeness(samples(real, pictures(80, 10))).metrics["MS-SSIM-pairs"]
    modes = noisy(pictures(4, 11)[np.arange(80) % 4])
    collapsed = likeness(samples(real, modes)).metrics["MS-SSIM-pairs"]
    assert honest.floor is not None
    assert honest.p_value is not None
    assert honest.p_value > 0.01
    assert honest.value == pytest.approx(honest.floor, abs=0.05)
    assert collapsed.p_value is not None
    assert collapsed.p_value < 1e-3
    assert collapsed.value > honest.floor + 0.1
    assert (honest.settings["scales"], honest.settings["pairs"]) == (3, 600)
    assert sum(honest.settings["weights"]) == pytest.approx(1)


def test_one_scale_is_plain_structural_similarity() -> None:
    small = pictures(20, 12)[:, :20, :20]
    found = likeness(samples(small, small)).metrics["MS-SSIM-pairs"]
    assert found.settings["scales"] == 1
    every = [
        structural_similarity(
            small[i].astype(float),
            small[j].astype(float),
            data_range=255,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        for i in range(20)
        for j in range(i + 1, 20)
    ]
    assert found.settings["pairs"] == 190
    assert found.value == pytest.approx(np.mean(np.maximum(every, 0)), rel=1e-6)
    assert found.value == found.floor


def test_likeness_of_few_images_keeps_its_level() -> None:
    rng = np.random.default_rng(5)

    def one_set(count: int) -> tuple[float, float]:
        of_image = 0.5 * rng.standard_normal(count)
        first, second = random_pairs(count=count, pairs=600, rng=rng)
        values = of_image[first] + of_image[second] + rng.standard_normal(len(first))
        return float(values.mean()), pair_error(values=values, first=first, second=second)

    def p_value(counts: tuple[int, int]) -> float:
        (ours, our_error), (theirs, their_error) = map(one_set, counts)
        return higher_p_value(gap=ours - theirs, errors=(our_error, their_error), counts=counts)

    found = np.array([p_value((20, 20)) for _ in range(2000)])
    assert (found < 0.01).mean() < 0.018
    assert 0.035 < (found < 0.05).mean() < 0.065
    assert higher_p_value(gap=1.0, errors=(0.0, 0.0), counts=(20, 20)) == 0
    theirs = stats.ttest_ind_from_stats(1.0, 2.0, 30, 0.4, 5.0, 12, equal_var=False)
    ours = higher_p_value(gap=0.6, errors=(2 / 30**0.5, 5 / 12**0.5), counts=(30, 12))
    assert ours == pytest.approx(theirs.pvalue / 2)


@pytest.mark.parametrize("most", [50, 60, 70])
def test_duplicates_are_sought_with_as_many_real_images_as_are_wanted(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetalsynth.assessment.parts.duplicates.MOST_REAL", most)
    sets = {"real": pictures(60, 1), "synthetic": pictures(20, 2), "train": pictures(60, 3)}
    given = Samples(
        images=sets,
        subjects={role: np.arange(len(images)) for role, images in sets.items()},
        files={role: tuple(map(str, range(len(images)))) for role, images in sets.items()},
        seed=0,
    )
    assert duplicates(given).metrics["duplicate-share"].settings["floor_images"] == most
