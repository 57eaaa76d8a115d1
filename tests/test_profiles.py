"""Profiles run what they name, change no number, and say what each published choice is worth."""

from __future__ import annotations

import csv
import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.feature import local_binary_pattern
from skimage.metrics import structural_similarity
from sklearn.decomposition import PCA

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.scores import Scores, read_scores, write_scores
from fetalsynth.assessment.paired.opening import open_pairs
from fetalsynth.assessment.paired.writing import assess_pairs
from fetalsynth.assessment.parts.maps import main_axes
from fetalsynth.assessment.profiles import PROFILES, choose, for_pairs, for_sets
from fetalsynth.assessment.suite import assess_images
from fetalsynth.cli.main import main
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import UserError

SIDE = 32


def textures(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layout = gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, 5, 5))
    grain = gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, 0.7, 0.7))
    values = 128 + 40 * layout / layout.std() + 12 * grain / grain.std()
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def image_set(images: np.ndarray, role: str) -> ImageSet:
    records = tuple(
        ImageRecord(file=f"{k}.png", subject=f"{k}.png", sha256="") for k in range(len(images))
    )
    source = Input(role=role, path=f"/data/{role}", digest=role)
    return ImageSet(pixels=images[..., None], records=records, source=source)


@cache
def assessed(profile: str) -> Scores:
    return assess_images(
        real=image_set(textures(60, 1), "real"),
        synthetic=image_set(textures(70, 2), "synthetic"),
        train=image_set(textures(80, 3), "train"),
        profile=profile,  # type: ignore[arg-type]
    )


def test_the_study_of_2022_is_a_part_of_everything_and_has_the_same_numbers() -> None:
    whole, study = assessed("small-n"), assessed("paper-ultrasound")
    assert {"MI", "PSNR", "FD-LBP256", "LBPv-V8", "LBPv-V240"} <= set(study.metrics)
    for name, metric in study.metrics.items():
        assert name.startswith(("MI", "PSNR", "FD-", "KID-", "LBPv-"))
        assert metric.value == whole.metrics[name].value
        assert metric.floor == whole.metrics[name].floor
    assert {"copy-share", "diversity-nearest", "recall-layout16"} <= set(whole.metrics)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MI", "images that are no pairs"),
        ("PSNR", "every synthetic image meets every real one"),
        ("FD-LBP256", "bias from too few images"),
        ("KID-LBP256", "Not in the study"),
        ("LBPv-V20", "picked from 256 after seeing"),
        ("LBPv-V20", "not augmented"),
        ("LBPv-L1", "not augmented"),
    ],
)
def test_every_measure_of_the_study_carries_its_caveat(name: str, said: str) -> None:
    assert said in assessed("paper-ultrasound").metrics[name].meaning
    assert said not in assessed("small-n").metrics[name].meaning


def test_elements_of_the_lbp_vector_are_reference_minus_synthetic_raw_counts() -> None:
    def mean_count(images: np.ndarray, code: int) -> float:
        with np.errstate(all="ignore"):
            codes = [local_binary_pattern(image, 8, 1, method="default") for image in images]
        return float(np.mean([(found == code).sum() for found in codes]))

    metrics = assessed("paper-ultrasound").metrics
    for code in (8, 20, 143, 240):
        real, made = (mean_count(textures(n, seed), code) for n, seed in ((60, 1), (70, 2)))
        metric = metrics[f"LBPv-V{code}"]
        assert metric.value == pytest.approx(real - made, abs=0.02)
        assert metric.settings["reference"] == pytest.approx(real, abs=0.02)
        assert metric.settings["synthetic"] == pytest.approx(made, abs=0.02)


def test_what_a_profile_leaves_out_is_not_judged() -> None:
    study = assessed("paper-ultrasound")
    assert {"intensity", "collapse", "copying", "shift"} == set(study.unjudged)
    assert "paper-ultrasound" in study.unjudged["copying"]
    assert set(assessed("small-n").unjudged) == {"shift"}


def test_the_profile_is_recorded_and_tables_stay_out_of_the_scores(tmp_path: Path) -> None:
    scores = assessed("paper-ultrasound")
    write_scores(tmp_path, scores)
    back = read_scores(tmp_path)
    assert back.profile == "paper-ultrasound"
    assert back.metrics == scores.metrics
    assert scores.tables
    assert back.tables == {}
    assert "axis_1" not in (tmp_path / "scores.json").read_text()


def test_a_profile_that_does_not_fit_is_refused_with_what_to_do() -> None:
    assert for_sets("paper-ultrasound", pairing="all-pairs") is PROFILES["paper-ultrasound"]
    with pytest.raises(UserError, match="prescribes --pairing all-pairs, not nearest"):
        for_sets("paper-ultrasound", pairing="nearest")
    with pytest.raises(UserError, match="add --paired"):
        for_sets("paper-mri", pairing="all-pairs")
    with pytest.raises(UserError, match="leave --paired out"):
        for_pairs("paper-ultrasound")
    with pytest.raises(UserError, match="small-n, paper-ultrasound, paper-mri"):
        choose("paper")


@pytest.fixture
def pair_folders(tmp_path: Path) -> tuple[Path, Path]:
    real = textures(6, 5)
    real[:, :8] = 0
    blurred = np.rint(gaussian_filter(real.astype(float), (0, 1, 1))).astype(np.uint8)
    for name, images in (("real", real), ("synthetic", blurred)):
        (tmp_path / name).mkdir()
        for k, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{k}.png")
    return tmp_path / "real", tmp_path / "synthetic"


def test_the_mri_study_takes_the_full_image_beside_the_trivial_baseline(
    tmp_path: Path, pair_folders: tuple[Path, Path]
) -> None:
    pairs = open_pairs(real=pair_folders[0], synthetic=pair_folders[1])
    scores = assess_pairs(tmp_path, pairs=pairs, profile="paper-mri")
    assert set(scores.metrics) == set(PROFILES["paper-mri"].paired or ())
    value = {name: metric.value for name, metric in scores.metrics.items()}
    images = [pairs.load(k) for k in range(pairs.count)]
    similar = [
        structural_similarity(
            pair.real,
            pair.synthetic,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for pair in images
    ]
    alike = [np.corrcoef(pair.real.ravel(), pair.synthetic.ravel())[0, 1] for pair in images]
    assert value["SSIM-full"] == pytest.approx(np.mean(similar), abs=1e-6)
    assert value["correlation-full"] == pytest.approx(np.mean(alike), abs=1e-9)
    combined = np.mean((2 * np.array(similar) + alike) / 3)
    assert value["combined-full"] == pytest.approx(combined, abs=1e-6)
    for metric in scores.metrics.values():
        assert "Painting" in metric.meaning
        assert "empty" in metric.meaning
        assert np.isfinite(metric.settings["baseline"])
    assert scores.profile == "paper-mri"


def test_the_command_line_takes_profiles(
    tmp_path: Path, pair_folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real, synthetic = map(str, pair_folders)
    common = ["assess", "--real", real, "--synthetic", synthetic, "--out", str(tmp_path / "out")]
    assert main([*common, "--profile", "paper-mri"]) == 2
    assert "add --paired" in capsys.readouterr().err
    assert main([*common, "--paired", "--profile", "paper-ultrasound"]) == 2
    assert not (tmp_path / "out").exists()
    assert main([*common, "--paired", "--profile", "paper-mri"]) == 0
    assert read_scores(tmp_path / "out").profile == "paper-mri"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Likeness" in page
    assert "paper-mri" in page


@pytest.mark.parametrize("shape", [(40, 6), (10, 30)])
def test_main_axes_are_the_principal_components(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).standard_normal(shape) * np.linspace(3, 0.5, shape[1])
    axes, mean, explained = main_axes(rows=rows)
    theirs = PCA(n_components=2).fit(rows)
    assert np.abs(axes @ theirs.components_.T) == pytest.approx(np.eye(2), abs=1e-9)
    assert mean == pytest.approx(theirs.mean_)
    assert explained == pytest.approx(theirs.explained_variance_ratio_)
    flat, _, nothing = main_axes(rows=np.ones(shape))
    assert not flat.any()
    assert not nothing.any()


def test_maps_and_distances_have_a_row_for_every_image() -> None:
    tables = assessed("small-n").tables
    rows = list(csv.DictReader(io.StringIO(tables["feature_map.csv"])))
    spaces = {row["space"] for row in rows}
    assert "LBP256" in spaces
    assert len(rows) == len(spaces) * (60 + 70 + 80)
    real = np.array([[float(r["axis_1"]), float(r["axis_2"])] for r in rows if r["role"] == "real"])
    assert np.abs(real[:60].mean(0)).max() < 1e-3 * np.abs(real).max()
    nearest = list(csv.DictReader(io.StringIO(tables["nearest_distances.csv"])))
    held_out = [float(r["relative_distance"]) for r in nearest if r["role"] == "held-out"]
    assert len(held_out) == 60
    assert np.median(held_out) == pytest.approx(1)
    assert sum(row["role"] == "synthetic" for row in nearest) == 70
