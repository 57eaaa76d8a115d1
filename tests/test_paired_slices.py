"""Scores slice by slice against scikit-image, and what is usual of them; boxes of known data."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from fetalsynth.assessment.metrics.mutual_information import BINS, mutual_information
from fetalsynth.assessment.metrics.normalised_mutual_information import binned
from fetalsynth.assessment.metrics.trivial_baseline import painted
from fetalsynth.assessment.paired.opening import open_pairs
from fetalsynth.assessment.paired.slices import score_slices
from fetalsynth.assessment.paired.writing import assess_pairs
from fetalsynth.reports.boxplots import box_chart, box_of, round_ticks

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
SHAPE = (20, 24, 22)


def volume(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Texture within a block of two tissues that leaves slices empty at every end."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:17, 5:20, 4:18] = 2
    labels[6:12, 8:15, 7:14] = 5
    texture = gaussian_filter(rng.standard_normal(SHAPE), 1)
    image = np.where(labels > 0, 400.0 + 100 * labels + 60 * texture / texture.std(), 0)
    return image.astype(np.float32), labels


@pytest.fixture(scope="module")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    for number in range(2):
        image, labels = volume(number)
        made = gaussian_filter(image, 0.7) * (labels > 0)
        for kind, suffix, voxels in (
            ("r", "T2w", image),
            ("r", "dseg", labels),
            ("s", "desc-synth_T2w", made),
        ):
            (folder / kind).mkdir(exist_ok=True)
            path = folder / kind / f"sub-{number}_{suffix}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    (folder / "out").mkdir()
    assess_pairs(folder / "out", pairs=open_pairs(real=folder / "r", synthetic=folder / "s"))
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_every_slice_with_foreground_is_scored_as_scikit_image_does(assessed: Path) -> None:
    found = rows(assessed / "out" / "slices.csv")
    image, labels = volume(1)
    made = nibabel.load(assessed / "s" / "sub-1_desc-synth_T2w.nii.gz").get_fdata()
    sides = {"": made, "-baseline": painted(real=image, labels=labels)}
    assert len(found) == 2 * (14 + 15 + 14)
    high = float(image.max())
    for row in found[-43::5]:
        assert row["subject"] == "1"
        cut = [slice(None)] * 3
        cut[AXES[row["plane"]]] = int(row["slice"])
        a = image[tuple(cut)].astype(float)
        assert labels[tuple(cut)].any()
        for side, other in sides.items():
            b = other[tuple(cut)]
            similarity = structural_similarity(a, b, data_range=high, **WANG)
            r = np.corrcoef(a.ravel(), b.ravel())[0, 1]
            assert float(row[f"SSIM{side}"]) == pytest.approx(similarity, abs=1e-7)
            assert float(row[f"correlation{side}"]) == pytest.approx(r, abs=1e-7)
            assert float(row[f"combined{side}"]) == pytest.approx((2 * similarity + r) / 3)
            assert float(row[f"MSE{side}"]) == pytest.approx(np.mean((a - b) ** 2) / high**2)
            codes = [
                binned(image=x, data_range=(float(x.min()), float(x.max())))[tuple(cut)]
                for x in (image, other)
            ]
            shared = mutual_information(first=codes[0], second=codes[1], data_range=(0, BINS))
            assert float(row[f"MI{side}"]) == pytest.approx(shared)


def test_means_and_summary_are_those_of_the_slices(assessed: Path) -> None:
    slices = rows(assessed / "out" / "slices.csv")
    pairs = {row["subject"]: row for row in rows(assessed / "out" / "pairs.csv")}
    for row in rows(assessed / "out" / "slices_summary.csv"):
        plane, score = row["plane"], row["score"]
        of_plane = [one for one in slices if one["plane"] == plane]
        each = [float(one[score]) for one in of_plane]
        assert int(row["slices"]) == len(each)
        ends = [float(row[name]) for name in ("least", "median", "most")]
        assert ends == pytest.approx([min(each), np.median(each), max(each)])
        plain = [float(one[f"{score}-baseline"]) for one in of_plane]
        assert float(row["baseline_median"]) == pytest.approx(np.median(plain))
        mine = [float(one[score]) for one in of_plane if one["subject"] == "0"]
        assert float(pairs["0"][f"{score}-{plane}"]) == pytest.approx(np.mean(mine))


def test_planes_too_small_for_the_window_are_left_out() -> None:
    image = np.random.default_rng(0).random((12, 12, 9))
    codes = binned(image=image, data_range=(0, 1))
    found = score_slices(
        real=image,
        image=image,
        codes=(codes, codes),
        data_range=1,
        inside=np.ones(image.shape, bool),
    )
    assert {one.plane for one in found} == {"axial"}
    assert len(found) == 9
    assert all(one.values["SSIM"] == pytest.approx(1) for one in found)


def test_boxes_are_tukeys() -> None:
    values = [1.0, 2, 3, 4, 5, 6, 7, 8, 30]
    box = box_of(values)
    quartiles = np.percentile(values, [25, 50, 75])
    assert (box.low, box.middle, box.high) == pytest.approx(tuple(quartiles))
    assert box.whiskers == (1, 8)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.9612, 0.9987), (-3, 41), (1e-5, 3e-5), (0.971, 0.9711)]
)
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert low - 1e-12 <= min(ticks) <= max(ticks) <= high + 1e-12
    assert np.ptp(np.diff(ticks)) < 1e-9


def test_a_chart_has_a_box_per_group_and_escapes_names() -> None:
    many = list(np.linspace(0, 1, 200))
    groups = {"a<b": many, "few": [0.2, 0.4], "odd": [float("nan")], "tissue mean": [0.1] * 5}
    chart = box_chart(groups, label="SSIM", description="d", apart="tissue mean")
    assert len(re.findall('<rect class="box"', chart)) == 2
    assert len(re.findall('class="apart"', chart)) == 1
    assert len(re.findall('<circle class="point"', chart)) == 2 + 5
    assert "a&lt;b" in chart
    assert "odd" not in chart
    with pytest.raises(ValueError, match="nothing"):
        box_chart({"odd": [float("nan")]}, label="x", description="d")
