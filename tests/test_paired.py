"""Pairs: who is matched with whom, over which region, beside which baseline; and the real atlas."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from scipy import stats
from scipy.ndimage import gaussian_filter, zoom
from skimage.metrics import structural_similarity

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.scores import Scores, read_scores
from fetalsynth.assessment.metrics.correlation import correlation
from fetalsynth.assessment.metrics.ssim import ssim, ssim_maps
from fetalsynth.assessment.metrics.trivial_baseline import painted
from fetalsynth.assessment.paired.nifti import find_volumes, key, read_volume
from fetalsynth.assessment.paired.opening import open_pairs
from fetalsynth.assessment.paired.partners import Item, partners, stem_of
from fetalsynth.assessment.paired.summary import over_subjects
from fetalsynth.assessment.regions import bounding_box, foreground, mean_over, regions
from fetalsynth.cli.assess import run
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
SHAPE = (30, 34, 28)
AFFINE = np.diag([0.8, 0.8, 0.8, 1.0])


def brain(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """A ball of three tissues with texture in a black volume, and its labels."""
    rng = np.random.default_rng(seed)
    steps = [np.linspace(-1, 1, n) for n in shape]
    radius = np.sqrt(sum(g**2 for g in np.meshgrid(*steps, indexing="ij")))
    labels = np.select([radius < 0.25, radius < 0.45, radius < 0.6], [4, 3, 2], 0)
    texture = gaussian_filter(rng.standard_normal(shape), 1)
    means = np.array([0.0, 0, 500, 700, 1000])
    image = np.where(labels > 0, means[labels] + 80 * texture / texture.std(), 0)
    return np.maximum(image, 0).astype(np.float32), labels.astype(np.uint8)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def volumes(folder: Path, count: int, *, labels: bool = True) -> tuple[Path, Path]:
    """Real brains with labels, and synthetic ones that differ by noise of growing strength."""
    rng = np.random.default_rng(9)
    real, synthetic = folder / "real", folder / "synthetic"
    for number in range(count):
        image, tissue = brain(number)
        noise = (20 + 10 * number) * rng.standard_normal(SHAPE) * (tissue > 0)
        save(real / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_T2w.nii.gz", image)
        if labels:
            save(real / f"sub-{number:02d}" / "anat" / f"sub-{number:02d}_dseg.nii.gz", tissue)
        made = np.maximum(image + noise, 0).astype(np.float32)
        save(synthetic / f"sub-{number:02d}_desc-synth_T2w.nii.gz", made)
    return real, synthetic


def command(real: Path, synthetic: Path, out: Path, *more: str) -> list[str]:
    return [
        *("--paired", "--real", str(real), "--synthetic", str(synthetic), "--out", str(out)),
        *more,
    ]


def table(out: Path) -> list[dict[str, str]]:
    with (out / "pairs.csv").open() as stream:
        return list(csv.DictReader(stream))


def items(*names: tuple[str, str]) -> list[Item]:
    return [Item(subject=subject, file=file, stem=stem_of(file)) for subject, file in names]


def test_partners_by_subject_then_by_stem() -> None:
    real = items(("a", "x1.png"), ("b", "x2.png"), ("b", "x3.png"))
    synthetic = items(("b", "s/x3.png"), ("a", "other.png"), ("b", "s/x2.jpg"))
    assert partners(real, synthetic, where="r and s") == [(0, 1), (1, 2), (2, 0)]
    unknown = items(("", "x3.png"), ("", "x1.png"), ("", "x2.png"))
    assert partners(real, unknown, where="r and s") == [(0, 1), (1, 2), (2, 0)]


def test_missing_and_ambiguous_partners_are_listed() -> None:
    real = items(("", "a.png"), ("", "b.png"), ("", "c.png"))
    with pytest.raises(UserError, match=r"1 real without.*\(subject c\).*1 synthetic.*subject d"):
        partners(real, items(("", "a.png"), ("", "b.png"), ("", "d.png")), where="here")
    with pytest.raises(UserError, match=r"p/a\.png and q/a\.png"):
        partners(items(("s", "a.png")), items(("s", "p/a.png"), ("s", "q/a.png")), where="here")
    many = [(f"s{number}", f"{number}.png") for number in range(30)]
    with pytest.raises(UserError, match="and 24 more"):
        partners(items(*many), items(many[0]), where="here")


def test_bids_names_share_a_key_whatever_made_them() -> None:
    names = ("sub-1_ses-2_T2w", "sub-1_ses-2_desc-synth_T2w", "sub-1_ses-2_rec-mial_dseg")
    assert {key(Path(f"{name}.nii.gz")) for name in names} == {"sub-1_ses-2"}
    assert key(Path("sub-1_ses-3_T2w.nii.gz")) == "sub-1_ses-3"
    assert key(Path("scan7.nii")) == "scan7"


def test_regions_of_a_planted_block() -> None:
    real = np.full((20, 22), -1.0)
    real[4:9, 10:18] = 0.5
    real[6, 12] = -1.0
    inside, rule = foreground(real=real, black=-1.0)
    assert rule == "brighter than black"
    assert bounding_box(inside) == (slice(4, 9), slice(10, 18))
    found = regions(inside)
    assert [int(found[name].sum()) for name in ("full", "box", "mask")] == [440, 40, 39]
    assert foreground(real=real, black=9, labels=inside.astype(int))[0].sum() == 39
    given = np.ones(real.shape, bool)
    assert foreground(real=real, black=9, labels=inside.astype(int), mask=given)[0].all()
    with pytest.raises(ValueError, match="empty"):
        foreground(real=real, black=9)


def test_mean_over_a_region_weighs_the_map_where_it_lies() -> None:
    map_ = np.zeros((10, 12))
    map_[2, 3] = 1.0
    region = np.zeros((20, 22), bool)
    region[7, 8] = region[8, 8] = True
    region[0, 0] = True
    assert mean_over(map_=map_, region=region) == 0.5
    region[5:15] = False
    with pytest.raises(ValueError, match="within 5 pixels"):
        mean_over(map_=map_, region=region)


def test_interval_is_students_t_over_subject_means() -> None:
    values = np.array([1.0, 3.0, 5.0, 5.0, 5.0, 9.0])
    subjects = ["a", "a", "b", "b", "b", "c"]
    mean, interval = over_subjects(values, subjects)
    means = [2.0, 5.0, 9.0]
    expected = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert mean == pytest.approx(np.mean(means))
    assert interval == pytest.approx(expected)
    assert over_subjects(values[:2], ["a", "a"]) == (2.0, None)


def test_volumes_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real, synthetic = volumes(tmp_path, 4)
    assert run(command(real, synthetic, tmp_path / "out")) == 0
    scores, rows = read_scores(tmp_path / "out"), table(tmp_path / "out")
    assert [row["subject"] for row in rows] == ["00", "01", "02", "03"]
    image, labels = brain(2)
    made = nibabel.load(synthetic / "sub-02_desc-synth_T2w.nii.gz").get_fdata()
    plain = painted(real=image, labels=labels)
    high = float(image.max())
    for name, other in (("", made), ("-baseline", plain)):
        expected = structural_similarity(image.astype(float), other, data_range=high, **WANG)
        assert float(rows[2][f"SSIM-full{name}"]) == pytest.approx(expected, abs=1e-7)
        inside = labels > 0
        expected = np.corrcoef(image[inside], other[inside])[0, 1]
        assert float(rows[2][f"correlation-mask{name}"]) == pytest.approx(expected, abs=1e-6)
        expected = np.mean((image - other)[inside] ** 2) / high**2
        assert float(rows[2][f"MSE-mask{name}"]) == pytest.approx(expected, rel=1e-6)
        expected = np.abs(image - other)[labels == 3].mean() / high
        assert float(rows[2][f"error-absolute-label3{name}"]) == pytest.approx(expected, rel=1e-6)
    planes = [k for k in range(SHAPE[2]) if labels[..., k].any()]
    expected = np.mean(
        [
            structural_similarity(
                image[..., k].astype(float), made[..., k], data_range=high, **WANG
            )
            for k in planes
        ]
    )
    assert float(rows[2]["SSIM-axial"]) == pytest.approx(expected, abs=1e-7)
    by_name = [float(row["SSIM-mask"]) for row in rows]
    metric = scores.metrics["SSIM-mask"]
    assert by_name == sorted(by_name, reverse=True)
    assert metric.value == pytest.approx(np.mean(by_name))
    expected = stats.t.interval(0.95, 3, np.mean(by_name), stats.sem(by_name))
    assert expected[1] > 1, "SSIM cannot exceed 1, so the interval ends there"
    assert metric.ci95 == pytest.approx((expected[0], 1.0))
    assert metric.settings["subjects"] == 4
    assert "Painting every label with its mean" in metric.meaning
    assert set(scores.unjudged) == {"shift", "texture", "intensity", "collapse", "copying"}
    assert [alarm.name for alarm in scores.alarms] == ["too-few-images"]
    assert read_manifest(tmp_path / "out", kind="scores").configuration["paired"] is True
    for file in (*scores.pictures.values(), "report.html", "metrics.csv"):
        assert (tmp_path / "out" / file).is_file()
    assert "SSIM-full" in capsys.readouterr().out
    run(command(real, synthetic, tmp_path / "out"))
    assert "already done" in capsys.readouterr().out


def test_background_flatters_the_full_volume_and_the_baseline_shows_it(tmp_path: Path) -> None:
    """More black around the same brains dilutes the loss over the volume, the baseline's too."""
    found = {}
    for pad in (0, 15):
        folder = tmp_path / str(pad)
        for number in range(3):
            image, labels = (np.pad(x, pad) for x in brain(number))
            blurred = gaussian_filter(image, 1) * (labels > 0)
            save(folder / "r" / f"sub-{number}_T2w.nii.gz", image)
            save(folder / "r" / f"sub-{number}_dseg.nii.gz", labels)
            save(folder / "s" / f"sub-{number}_T2w.nii.gz", blurred)
        run(command(folder / "r", folder / "s", folder / "out"))
        found[pad] = read_scores(folder / "out").metrics
    near, wide = found[0], found[15]
    windows = [np.prod([n + 2 * pad - 10 for n in SHAPE]) for pad in (0, 15)]
    dilution = windows[0] / windows[1]
    for loss in (lambda m: 1 - m.value, lambda m: 1 - m.settings["baseline"]):
        ratio = loss(wide["SSIM-full"]) / loss(near["SSIM-full"])
        assert dilution * 0.9 < ratio < dilution * 1.5
    for name in ("SSIM-mask", "correlation-mask", "MSE-mask", "MI-mask"):
        assert wide[name].value == pytest.approx(near[name].value, abs=1e-6)


def test_a_painted_brain_is_not_shown_to_beat_painting(tmp_path: Path) -> None:
    for number in range(5):
        image, labels = brain(number)
        save(tmp_path / "r" / f"sub-{number}_T2w.nii.gz", image)
        save(tmp_path / "s" / f"sub-{number}_desc-synth_dseg.nii.gz", labels)
        plain = painted(real=image, labels=labels).astype(np.float32)
        save(tmp_path / "s" / f"sub-{number}_desc-synth_T2w.nii.gz", plain)
    run(command(tmp_path / "r", tmp_path / "s", tmp_path / "out"))
    metrics = read_scores(tmp_path / "out").metrics
    assert metrics["SSIM-mask"].settings["minus_baseline"] == pytest.approx(0, abs=1e-6)
    assert "not shown to be better" in metrics["correlation-mask"].meaning
    assert metrics["error-signed-label3"].value == pytest.approx(0, abs=1e-6)


def test_orientation_on_disk_does_not_matter(tmp_path: Path) -> None:
    real, synthetic = volumes(tmp_path, 3)
    run(command(real, synthetic, tmp_path / "straight"))
    turned = tmp_path / "turned"
    for path in synthetic.iterdir():
        image = nibabel.load(path)
        flip = nibabel.orientations.axcodes2ornt(("P", "I", "R"))
        (turned / path.name).parent.mkdir(exist_ok=True)
        nibabel.save(image.as_reoriented(flip), turned / path.name)
    assert nibabel.aff2axcodes(nibabel.load(turned / path.name).affine) != ("R", "A", "S")
    run(command(real, turned, tmp_path / "out"))
    straight, other = (read_scores(tmp_path / name).metrics for name in ("straight", "out"))
    assert {n: m.value for n, m in straight.items()} == {n: m.value for n, m in other.items()}


def test_scale_of_grey_values_is_said_and_min_max_removes_it(tmp_path: Path) -> None:
    real, synthetic = volumes(tmp_path, 3)
    scaled = tmp_path / "scaled"
    for path in synthetic.iterdir():
        image = nibabel.load(path)
        save(scaled / path.name, (0.001 * image.get_fdata()).astype(np.float32), image.affine)
    run(command(real, scaled, tmp_path / "stored"))
    scores = read_scores(tmp_path / "stored")
    assert "3 of 3 pairs" in scores.inputs["synthetic"]["note"]
    run(command(real, scaled, tmp_path / "unit", "--scaling", "min-max"))
    run(command(real, synthetic, tmp_path / "same", "--scaling", "min-max"))
    unit, same = (read_scores(tmp_path / name) for name in ("unit", "same"))
    assert "factor of two" not in unit.inputs["synthetic"]["note"]
    for name, metric in same.metrics.items():
        assert unit.metrics[name].value == pytest.approx(metric.value, rel=1e-4, abs=1e-5), name
    run(command(real, synthetic, tmp_path / "window", "--window", "0", "600"))
    assert read_scores(tmp_path / "window").metrics["PSNR-full"].settings["window"] == [0, 600]


def pictures(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = gaussian_filter(rng.standard_normal((count, 48, 48)), (0, 3, 3))
    images = np.clip(128 + 60 * values / values.std(), 1, 255)
    images[:, :10] = 0
    return images.astype(np.uint8)


def folder_of(folder: Path, images: np.ndarray, names: list[str]) -> Path:
    folder.mkdir()
    for image, name in zip(images, names, strict=True):
        Image.fromarray(image).save(folder / name)
    return folder


def test_png_folders_pair_by_name(tmp_path: Path) -> None:
    images = pictures(0, 12)
    noisy = np.clip(images + np.random.default_rng(1).normal(0, 9, images.shape), 0, 255)
    names = [f"{number:02d}.png" for number in range(12)]
    real = folder_of(tmp_path / "r", images, names)
    order = np.random.default_rng(2).permutation(12)
    others = [f"{number:02d}.tif" for number in order]
    synthetic = folder_of(tmp_path / "s", noisy.astype(np.uint8)[order], others)
    run(command(real, synthetic, tmp_path / "out"))
    scores, rows = read_scores(tmp_path / "out"), table(tmp_path / "out")
    assert not scores.alarms
    assert [(row["real_file"], row["synthetic_file"]) for row in rows[:1]] == [("00.png", "00.tif")]
    for row, image, other in zip(rows, images, noisy.astype(np.uint8), strict=True):
        expected = structural_similarity(image, other, data_range=255, **WANG)
        assert float(row["SSIM-full"]) == pytest.approx(expected, abs=1e-9)
        inside = image > 0
        error = ((image.astype(float) - other)[inside] ** 2).mean()
        expected = 10 * np.log10(255**2 / error)
        assert float(row["PSNR-mask"]) == pytest.approx(expected, abs=1e-9)
    assert scores.metrics["MS-SSIM-full"].settings["scales"] == 3
    assert scores.metrics["SSIM-box"].settings["foreground"] == "brighter than black"
    assert scores.metrics["MI-full"].settings["bins"] == 32


def test_artifact_pairs_by_subject_on_held_out_rows_within_its_masks(tmp_path: Path) -> None:
    images = pictures(3, 8)
    mask = np.zeros((48, 48), np.uint8)
    mask[14:40, 8:30] = 255
    manifest = draft(kind="images", configuration={"made": "here"}, synthetic=False)
    with building(tmp_path / "real", manifest) as partial:
        writer = ImagesWriter(partial)
        for number, image in enumerate(images):
            split = "test" if number >= 5 else "train"
            writer.add(image, name=f"{number}", subject=f"s{number}", split=split, mask=mask)
        writer.close()
    bright = np.clip(images[5:].astype(int) + 20, 0, 255).astype(np.uint8)
    manifest = draft(kind="images", configuration={"made": "there"}, synthetic=True)
    with building(tmp_path / "synthetic", manifest) as partial:
        writer = ImagesWriter(partial)
        for number, image in enumerate(bright, start=5):
            writer.add(image, name=f"other-{number}", subject=f"s{number}")
        writer.close()
    run(command(tmp_path / "real", tmp_path / "synthetic", tmp_path / "out"))
    rows = table(tmp_path / "out")
    assert [row["subject"] for row in rows] == ["s5", "s6", "s7"]
    inside = mask > 0
    for row, image, other in zip(rows, images[5:], bright, strict=True):
        expected = np.mean(((image.astype(float) - other) / 255)[inside] ** 2)
        assert float(row["MSE-mask"]) == pytest.approx(expected)


def test_identical_pairs_have_no_psnr_and_are_counted(tmp_path: Path) -> None:
    images = pictures(4, 3)
    names = ["a.png", "b.png", "c.png"]
    real = folder_of(tmp_path / "r", images, names)
    changed = images.copy()
    changed[2] = 255 - changed[2]
    synthetic = folder_of(tmp_path / "s", changed, names)
    run(command(real, synthetic, tmp_path / "out"))
    metrics = read_scores(tmp_path / "out").metrics
    assert metrics["PSNR-full"].settings["pairs_left_out_as_identical"] == 2
    assert metrics["PSNR-full"].n_real == 1
    assert metrics["PSNR-full"].ci95 is None
    assert metrics["SSIM-full"].n_real == 3
    assert table(tmp_path / "out")[0]["PSNR-full"] == "inf"
    run(command(real, real, tmp_path / "same"))
    same = read_scores(tmp_path / "same").metrics
    assert "PSNR-full" not in same
    assert same["SSIM-mask"].value == pytest.approx(1)
    assert same["SSIM-mask"].ci95 is not None
    assert same["SSIM-mask"].ci95[1] <= 1


def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, synthetic = volumes(tmp_path, 2)
    png = folder_of(tmp_path / "png", pictures(0, 2), ["a.png", "b.png"])
    image, labels = brain(0)
    for name, voxels, affine in (
        ("small", image[:-1], AFFINE),
        ("moved", image, AFFINE + np.eye(4, k=3) * 0.5),
        ("nan", np.where(labels > 0, np.nan, image), AFFINE),
        ("four", np.stack([image, image], -1), AFFINE),
    ):
        save(tmp_path / name / "sub-00_T2w.nii.gz", voxels, affine)
        save(tmp_path / name / "sub-01_T2w.nii.gz", voxels, affine)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for number in range(2):
        whole = (synthetic / f"sub-0{number}_desc-synth_T2w.nii.gz").read_bytes()
        (damaged / f"sub-0{number}_T2w.nii.gz").write_bytes(whole[: len(whole) // 2])
    one = tmp_path / "one"
    save(one / "sub-00_T2w.nii.gz", image)
    save(tmp_path / "black" / "sub-00_T2w.nii.gz", np.zeros(SHAPE, np.float32))
    save(tmp_path / "fraction" / "sub-00_T2w.nii.gz", image)
    save(tmp_path / "fraction" / "sub-00_dseg.nii.gz", image / 7)
    before = sorted(path.name for path in tmp_path.iterdir())
    for first, second, more, words in (
        (real, tmp_path / "small", (), "29×34×28"),
        (real, tmp_path / "moved", (), "0.5 mm"),
        (real, tmp_path / "nan", (), "not finite"),
        (real, tmp_path / "four", (), "4 axes"),
        (real, damaged, (), "sub-00_T2w.nii.gz: not a readable"),
        (real, one, (), "subject 01"),
        (real, png, (), "one kind"),
        (tmp_path / "black", one, (), f"{tmp_path}/black/sub-00_T2w.nii.gz: every voxel"),
        (tmp_path / "fraction", one, (), "whole numbers"),
        (real, tmp_path / "absent", (), "absent"),
        (real, synthetic, ("--train", str(real)), "--train"),
        (real, synthetic, ("--window", "0", "9", "--scaling", "min-max"), "exclude"),
        (png, png, ("--scaling", "min-max"), "--scaling"),
    ):
        assert main(["assess", *command(first, second, tmp_path / "out", *more)]) == 2, words
        errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(errors) == 1, errors
        assert words in errors[0], errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    unpaired = command(png, png, tmp_path / "out", "--scaling", "min-max")[1:]
    assert main(["assess", *unpaired]) == 2


def test_pairs_are_read_one_at_a_time(tmp_path: Path) -> None:
    real, synthetic = volumes(tmp_path, 2)
    pairs = open_pairs(real=real, synthetic=synthetic)
    assert (pairs.count, pairs.least_size) == (2, SHAPE)
    pair = pairs.load(1)
    assert pair.real.shape == SHAPE
    assert np.array_equal(pair.real, brain(1)[0])
    assert pair.labels is not None
    assert np.array_equal(pair.labels, brain(1)[1])
    assert read_volume(find_volumes(real, role="real").images[0]).affine[0, 0] == pytest.approx(0.8)


def test_one_grey_per_tissue_reaches_the_published_score_on_the_real_atlas(
    spina_bifida_atlas: Path,
) -> None:
    """A 21-week brain, its tissues painted flat: SSIM above 0.98 over the volume, not within it."""
    folder = spina_bifida_atlas / "fetal_SB_atlas_GA21_notoperated"
    image, labels, mask = (
        np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)
        for name in ("srr", "parcellation", "mask")
    )
    image = image * (mask > 0)
    plain = painted(real=image, labels=labels.astype(np.int64))
    options = {"first": image, "second": plain, "data_range": float(image.max())}
    whole = ssim(**options)
    assert whole == pytest.approx(
        structural_similarity(image, plain, data_range=options["data_range"], **WANG), abs=1e-7
    )
    assert whole > 0.98
    assert ssim(**options, window="uniform7") > 0.98
    assert correlation(first=image, second=plain) > 0.98
    areas = regions(labels > 0)
    map_ = ssim_maps(first=image[None], second=plain[None], data_range=float(image.max()))[0]
    box, within = (mean_over(map_=map_, region=areas[name]) for name in ("box", "mask"))
    assert 0.8 < box < 0.95
    assert within < 0.75
    assert correlation(first=image, second=plain, where=areas["mask"]) < 0.8


def test_atlas_brain_against_itself_through_another_grid(
    spina_bifida_atlas: Path, tmp_path: Path
) -> None:
    """Real headers, labels and intensities through the whole command, cut to the brain's box."""
    for age in (21, 22, 23):
        source = spina_bifida_atlas / f"fetal_SB_atlas_GA{age}_notoperated"
        image = nibabel.load(source / "srr.nii.gz").slicer[40:96, 50:120, 40:100]
        parcels = nibabel.load(source / "parcellation.nii.gz").slicer[40:96, 50:120, 40:100]
        (tmp_path / "r").mkdir(exist_ok=True)
        nibabel.save(image, tmp_path / "r" / f"sub-{age}_T2w.nii.gz")
        nibabel.save(parcels, tmp_path / "r" / f"sub-{age}_dseg.nii.gz")
        voxels = image.get_fdata()
        coarse = zoom(zoom(voxels, 0.5, order=1), 2, order=1)
        save(tmp_path / "s" / f"sub-{age}_T2w.nii.gz", coarse.astype(np.float32), image.affine)
    run(command(tmp_path / "r", tmp_path / "s", tmp_path / "out"))
    scores: Scores = read_scores(tmp_path / "out")
    within, whole = scores.metrics["SSIM-mask"], scores.metrics["SSIM-full"]
    assert within.settings["baseline"] < within.value < whole.value < 1
    assert {f"error-absolute-label{label}" for label in range(1, 9)} <= set(scores.metrics)
