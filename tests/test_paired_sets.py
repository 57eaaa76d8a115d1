"""Several synthetic sets beside the same real volumes: planted faults, choices, and the report."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter, shift

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.artifacts.volumes import VolumesWriter
from fetalsynth.assessment.metrics.trivial_baseline import painted
from fetalsynth.assessment.paired.nifti import find_volumes
from fetalsynth.assessment.paired.opening import open_sets
from fetalsynth.assessment.paired.selecting import by_description
from fetalsynth.cli.assess import run
from fetalsynth.cli.main import main

SHAPE = (26, 28, 24)
AFFINE = np.diag([0.8, 0.8, 0.8, 1.0])
SUBJECTS = 5
Array = np.ndarray


def brain(seed: int) -> tuple[Array, Array]:
    """A ball of three tissues with texture in a black volume (0 … 4095), and its labels."""
    rng = np.random.default_rng(seed)
    steps = [np.linspace(-1, 1, n) for n in SHAPE]
    radius = np.sqrt(sum(g**2 for g in np.meshgrid(*steps, indexing="ij")))
    labels = np.select([radius < 0.3, radius < 0.5, radius < 0.65], [4, 3, 2], 0)
    texture = gaussian_filter(rng.standard_normal(SHAPE), 1)
    means = np.array([0.0, 0, 1500, 2200, 3300])
    image = np.where(labels > 0, means[labels] + 250 * texture / texture.std(), 0)
    return np.clip(np.rint(image), 0, 4095).astype(np.int16), labels.astype(np.uint8)


def save(path: Path, voxels: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), path)


FAULTS: dict[str, Callable[[Array, Array], Array]] = {
    "copy": lambda x, y: x,
    "blurred": lambda x, y: gaussian_filter(x.astype(float), 1.5) * (y > 0),
    "shifted": lambda x, y: shift(x.astype(float), (2, 0, 0), order=1),
    "noisy": lambda x, y: x + 700 * np.random.default_rng(7).standard_normal(SHAPE) * (y > 0),
    "painted": lambda x, y: painted(real=x, labels=y),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    for number in range(SUBJECTS):
        image, labels = brain(number)
        save(folder / "real" / f"sub-{number}_T2w.nii.gz", image)
        save(folder / "real" / f"sub-{number}_dseg.nii.gz", labels)
        for name, fault in FAULTS.items():
            made = np.clip(fault(image, labels), 0, 4095).astype(np.float32)
            save(folder / name / f"sub-{number}_desc-synth_T2w.nii.gz", made)
    return folder


@pytest.fixture(scope="module")
def compared(folders: Path) -> Path:
    sets = [str(folders / name) for name in FAULTS if name != "painted"]
    command = ["--paired", "--real", str(folders / "real"), "--synthetic", *sets]
    out = folders / "out"
    assert run([*command, f"paint={folders / 'painted'}", "--out", str(out)]) == 0
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_faults_cost_and_painting_is_the_baseline(compared: Path) -> None:
    means = {(row["set"], row["score"]): row for row in rows(compared / "sets.csv")}
    for score, better in (("MSE", -1), ("SSIM", 1), ("correlation", 1), ("combined", 1)):
        for region in ("full", "mask"):
            name = f"{score}-{region}"
            value = {of: better * float(means[of, name]["mean"]) for of, n in means if n == name}
            worse = max(value[of] for of in ("blurred", "shifted", "noisy", "paint"))
            assert value["copy"] > worse, name
            assert value["paint"] == pytest.approx(value["tissue mean"], abs=1e-6), name
    assert float(means["copy", "SSIM-mask"]["mean"]) == pytest.approx(1)
    assert float(means["copy", "MSE-mask"]["most"]) == 0
    full, mask = (float(means["noisy", f"SSIM-{region}"]["mean"]) for region in ("full", "mask"))
    assert mask < full, "the background flatters the whole volume"


def test_differences_are_those_of_a_paired_t_test(compared: Path) -> None:
    found = {
        (row["first"], row["second"], row["score"]): row
        for row in rows(compared / "differences.csv")
    }
    tables = {n: rows(compared / "sets" / n / "pairs.csv") for n in ("blurred", "noisy")}
    for score in ("SSIM-mask", "MSE-full", "MI-box"):
        a, b = (np.array([float(row[score]) for row in tables[n]]) for n in ("blurred", "noisy"))
        row = found["blurred", "noisy", score]
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert int(row["subjects"]) == SUBJECTS
        assert float(row["mean"]) == pytest.approx(np.mean(a - b))
        ends = float(row["ci95_low"]), float(row["ci95_high"])
        assert ends == pytest.approx((interval.low, interval.high))
        plain = np.array([float(r[f"{score}-baseline"]) for r in tables["noisy"]])
        against = float(found["noisy", "tissue mean", score]["mean"])
        assert against == pytest.approx(np.mean(b - plain))


def test_every_set_has_its_own_assessment_and_the_report_shows_all(
    compared: Path, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = read_scores(compared)
    names = ("copy", "blurred", "shifted", "noisy", "paint")
    page = (compared / "report.html").read_text()
    for name in names:
        own = read_scores(compared / "sets" / name)
        assert scores.metrics[f"{name}/SSIM-mask"] == own.metrics["SSIM-mask"]
        assert f'href="sets/{name}/report.html"' in page
        assert (compared / "sets" / name / "report.html").is_file()
        assert "Slice by slice" in (compared / "sets" / name / "report.html").read_text()
    assert page.count('class="chart boxes"') == 8
    assert page.count('class="apart"') == 8
    assert "tissue mean" in page
    assert "Minus copy" in page
    manifest = read_manifest(compared, kind="scores")
    assert [item.role for item in manifest.inputs] == ["real", *(f"synthetic: {n}" for n in names)]
    assert set(scores.pictures) == {f"planes_{k}" for k in range(1, 5)}
    sets = [str(folders / name) for name in FAULTS if name != "painted"]
    command = ["--paired", "--real", str(folders / "real"), "--synthetic", *sets]
    run([*command, f"paint={folders / 'painted'}", "--out", str(compared)])
    assert "already done" in capsys.readouterr().out


def artifact(
    folder: Path, volumes: list[tuple[str, str, str]], *, desc: tuple[str, ...] = ("",)
) -> Path:
    """Volumes (subject, split, reconstruction), each once per description."""
    manifest = draft(kind="volumes", configuration={"of": str(volumes)}, synthetic=bool(desc[0]))
    with building(folder, manifest) as partial:
        writer = VolumesWriter(partial)
        for number, (subject, split, reconstruction) in enumerate(volumes):
            image, labels = brain(number)
            for place, name in enumerate(desc):
                writer.add(
                    subject=subject,
                    image=image,
                    labels=labels if place == 0 else None,
                    affine=AFFINE,
                    split=split,
                    reconstruction=reconstruction,
                    desc=name,
                )
        writer.close()
    return folder


VOLUMES = [
    ("a", "train", "mial"),
    ("b", "test", "mial"),
    ("c", "test", "irtk"),
    ("d", "train", "irtk"),
    ("e", "test", "irtk"),
]


def subjects(real: Path, synthetic: Path, **more: str) -> tuple[list[str], str]:
    pairs = open_sets(real=real, synthetic={"x": synthetic}, **more)["x"]  # type: ignore[arg-type]
    return [pairs.load(k).subject for k in range(pairs.count)], "; ".join(pairs.notes)


def test_held_out_rows_and_partners_are_chosen_and_said(tmp_path: Path) -> None:
    real = artifact(tmp_path / "real", VOLUMES)
    everything = artifact(tmp_path / "all", VOLUMES, desc=("synth",))
    found, said = subjects(real, everything)
    assert found == ["b", "c", "e"]
    assert "held-out volumes (split test)" in said
    assert "2 synthetic volumes of other splits are left out" in said
    part = artifact(tmp_path / "part", VOLUMES[1:3], desc=("synth",))
    found, said = subjects(real, part)
    assert found == ["b", "c"]
    assert "1 have no synthetic partner" in said
    trained = artifact(tmp_path / "trained", [VOLUMES[0], VOLUMES[3]], desc=("synth",))
    found, said = subjects(real, trained)
    assert found == ["a", "d"]
    assert "flatters" in said


def test_one_reconstruction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = artifact(tmp_path / "real", VOLUMES)
    everything = artifact(tmp_path / "all", VOLUMES, desc=("synth",))
    found, said = subjects(real, everything, reconstruction="irtk")
    assert found == ["c", "e"]
    assert "reconstructed by irtk" in said
    command = ["--paired", "--real", str(real), "--synthetic", str(everything)]
    out = str(tmp_path / "out")
    assert main(["assess", *command, "--out", out, "--reconstruction", "nifty"]) == 2
    assert "there are: irtk, mial" in capsys.readouterr().err


def test_declared_range_and_tissue_names_of_artifacts(tmp_path: Path) -> None:
    real = artifact(tmp_path / "real", VOLUMES[1:3])
    made = artifact(tmp_path / "made", VOLUMES[1:3], desc=("synth",))
    pairs = open_sets(real=real, synthetic={"x": made})["x"]
    pair = pairs.load(0)
    assert (pair.black, pair.data_range, pair.real_bins) == (0, 4095, (0, 4095))
    assert pair.real.max() < 4095
    assert pairs.label_names[3] == "white matter"
    assert pair.input_labels is not None


def test_single_planes_beside_the_fused_volumes_are_sets_of_their_own(tmp_path: Path) -> None:
    real = artifact(tmp_path / "real", VOLUMES)
    made = artifact(tmp_path / "made", VOLUMES, desc=("synth", "sagittal", "axial"))
    assert set(by_description(find_volumes(made, role="x"))) == {"", "sagittal", "axial"}
    sets = open_sets(real=real, synthetic={"made": made})
    assert {name: pairs.count for name, pairs in sets.items()} == {
        "made": 3,
        "made-sagittal": 3,
        "made-axial": 3,
    }


def test_a_folder_of_artifacts_is_one_set_each(tmp_path: Path) -> None:
    real = artifact(tmp_path / "real", VOLUMES[1:3])
    for name in ("mean", "outliers-0.5"):
        artifact(tmp_path / "fused" / name, VOLUMES[1:3], desc=("synth",))
    made, out = str(tmp_path / "fused"), str(tmp_path / "out")
    command = ["--paired", "--real", str(real), "--synthetic", made, f"x={made}"]
    assert run([*command, "--profile", "paper-mri", "--out", out]) == 0
    configuration = read_manifest(tmp_path / "out").configuration
    assert configuration["sets"] == ["mean", "outliers-0.5", "x-mean", "x-outliers-0.5"]
    assert "outliers-0.5/SSIM-full" in read_scores(tmp_path / "out").metrics


def test_mistakes_are_one_line(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, copy = str(folders / "real"), str(folders / "copy")
    for sets, more, words in (
        ([copy, f"copy={folders / 'noisy'}"], (), "copy is the name of several"),
        ([f"a/b={copy}"], (), "make a name"),
        ([f"tissue mean={copy}"], (), "make a name"),
        ([f"x={folders / 'nowhere'}"], (), "is no folder"),
        ([], (), "--synthetic"),
        ([copy], ("--segmenter", str(folders / "real")), "fetalsynth.json"),
    ):
        arguments = ["assess", "--paired", "--real", real, "--synthetic", *sets, *more]
        assert main([*arguments, "--out", str(tmp_path / "out")]) == 2, words
        assert words in capsys.readouterr().err
    for more in (("--reconstruction", "irtk"), ("--segmenter", copy), ("--scaling", "min-max")):
        arguments = ["assess", "--real", real, "--synthetic", copy, "--out", str(tmp_path / "o")]
        assert main([*arguments, *more]) == 2
        assert "--paired" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
