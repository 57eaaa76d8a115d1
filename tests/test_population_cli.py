"""``fetalsynth anatomy population``, ``sample`` and ``interpolate`` from files to files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fetalsynth.anatomy import validity
from fetalsynth.anatomy.population import fitting, interpolation, sampling
from fetalsynth.anatomy.population.registration import Level, Settings
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.nifti import nifti_bytes
from fetalsynth.artifacts.tsv import read_tsv
from fetalsynth.artifacts.volumes import WHITE, read_participants
from fetalsynth.cli.main import main
from toy_brain import ToyBrain

AGES = (28.0, 29.0, 31.0, 32.0)
COARSE_MM = 2.5
QUICK = Settings(levels=(Level(factor=2, steps=20, sigma_mm=6.0, rate_mm=0.3),))


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four toy brains with images, the older the larger, each with a left atrium of its own."""
    folder = tmp_path_factory.mktemp("heads")
    lines = ["participant_id\tgestational_age"]
    for number, age in enumerate(AGES):
        labels, affine = ToyBrain(left_mm=9 + 2 * (number % 2)).volume(spacing_mm=(2.0, 2.0, 2.0))
        affine[:3] *= 1 + 0.03 * (age - 30)
        name = f"sub-{number}"
        (folder / f"{name}_dseg.nii.gz").write_bytes(nifti_bytes(labels, affine=affine))
        image = (labels.astype(np.int16) * 500).astype(np.int16)
        (folder / f"{name}_T2w.nii.gz").write_bytes(nifti_bytes(image, affine=affine))
        lines.append(f"{name}\t{age:g}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short registrations: what is tested here is the way from files to files."""
    real = fitting.register

    def short(*maps: Any, **named: Any) -> Any:
        return real(*maps, **{**named, "settings": QUICK})

    monkeypatch.setattr(fitting, "register", short)
    monkeypatch.setattr(fitting, "SPACING_MM", COARSE_MM)
    monkeypatch.setattr(interpolation, "register", short)


@pytest.fixture(scope="module")
def model(heads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    with pytest.MonkeyPatch.context() as patch:
        real = fitting.register
        patch.setattr(fitting, "SPACING_MM", COARSE_MM)
        patch.setattr(fitting, "register", lambda *m, **n: real(*m, **{**n, "settings": QUICK}))
        assert main(["anatomy", "population", str(heads), "--out", str(out)]) == 0
    return out


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy brains are all alike: novelty would reject every one."""
    monkeypatch.setattr(validity, "MOST_DICE", 1.0)


def _labels(folder: Path) -> list[np.ndarray]:
    return [
        np.asarray(nibabel.load(folder / str(row.labels)).dataobj)
        for row in read_participants(folder)
    ]


def test_the_model_says_what_it_was_made_from(model: Path) -> None:
    manifest = read_manifest(model, kind="model")
    assert manifest.facts["volumes"] == 4
    assert (manifest.facts["youngest_weeks"], manifest.facts["oldest_weeks"]) == (28, 32)
    assert manifest.facts["folded_voxels"] == 0
    assert manifest.facts["dice_with_others"] > 0.7
    donors = [row for row, _ in read_tsv(model / "donors.tsv", needed=("name", "subject"))]
    assert [row["subject"] for row in donors] == ["0", "1", "2", "3"]
    assert (model / "growth.png").stat().st_size > 5000
    assert "Not for clinical use" in (model / "model-card.md").read_text()
    assert not (model / "state").exists()


def test_donors_whose_names_differ_in_signs_only_keep_their_own_label_maps(
    heads: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "heads", tmp_path / "model"
    folder.mkdir()
    table = ["participant_id\tfile\tgestational_age"]
    wanted = []
    for number, name in enumerate(("x_11", "x_1_1", "X-11")):
        data = (heads / f"sub-{number}_dseg.nii.gz").read_bytes()
        (folder / f"{name}_dseg.nii.gz").write_bytes(data)
        table.append(f"{name}\t{name}_dseg.nii.gz\t{AGES[number]:g}")
        wanted.append(np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(data)).dataobj))
    (folder / "participants.tsv").write_text("\n".join(table) + "\n")
    assert main(["anatomy", "population", str(folder), "--out", str(out)]) == 0
    rows = [row for row, _ in read_tsv(out / "donors.tsv", needed=("name",))]
    assert len({row["name"].lower() for row in rows}) == 3
    for row in rows:
        kept = np.asarray(nibabel.load(out / "donors" / f"{row['name']}.nii.gz").dataobj)
        number = AGES.index(float(row["gestational_age_weeks"]))
        assert np.array_equal(kept, wanted[number])


def test_generate_says_where_label_maps_come_from(
    heads: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--n", "2"], ["--labels", str(heads)]):
        assert main(["generate", str(model), *words, "--out", str(tmp_path / "out")]) == 2
        assert "anatomy sample" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_and_gives_the_same(
    heads: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = fitting.register, []

    def stopping(*maps: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*maps, **named)

    monkeypatch.setattr(fitting, "register", stopping)
    out = tmp_path / "again"
    command = ["anatomy", "population", str(heads), "--out", str(out)]
    assert main(command) == 130
    assert not out.exists()
    assert main(command) == 0
    assert len(calls) == len(AGES) * len(fitting.ROUNDS) + 1
    for name in ("population.safetensors", "modes.tsv"):
        assert (out / name).read_bytes() == (model / name).read_bytes()
    assert main(command) == 0  # already done
    assert len(calls) == len(AGES) * len(fitting.ROUNDS) + 1


@pytest.mark.usefixtures("lenient")
@pytest.mark.slow
def test_samples_are_pure_functions_of_seed_and_number(model: Path, tmp_path: Path) -> None:
    folders = []
    for name, n, seed in (("few", 2, 7), ("more", 3, 7), ("other", 2, 8)):
        out = tmp_path / name
        command = ["anatomy", "sample", str(model), "--n", str(n), "--seed", str(seed)]
        assert main([*command, "--out", str(out)]) == 0
        folders.append(out)
    few, more, other = (_labels(folder) for folder in folders)
    assert len(more) == 3
    assert all(np.array_equal(a, b) for a, b in zip(few, more, strict=False))
    assert not any(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(few, other, strict=True)
    )
    assert not np.array_equal(more[0], more[1])
    rows = [row for row, _ in read_tsv(folders[1] / "validity.tsv", needed=("volume", "weeks"))]
    assert [row["volume"] for row in rows] == ["new0001", "new0002", "new0003"]
    for row, record in zip(rows, read_participants(folders[1]), strict=True):
        assert 28 <= float(row["weeks"]) <= 32
        assert abs(float(row["weeks"]) - float(row["donor_weeks"])) <= 3
        assert float(row["min_jacobian"]) > 0
        assert float(row["folded_voxels"]) == 0
        assert record.gestational_age_weeks == float(row["weeks"])
        side = (folders[1] / str(record.labels)).with_name(f"{record.name}_dseg.json")
        said = json.loads(side.read_text())
        assert said["Synthetic"] is True
        assert said["Drawn"]["seed"] == 7
        assert said["Donor"] == row["donor"]
        assert len(said["Coefficients"]) == 1  # four heads and a quadratic leave one mode
    assert (folders[1] / "brains.png").stat().st_size > 3000
    assert read_manifest(folders[1]).facts["rejected"] == 0


def test_brains_that_fail_the_checks_are_counted_and_given_up(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["anatomy", "sample", str(model), "--n", "2", "--attempts", "2", "--out", str(out)]
    assert main(command) == 2  # copies of the training heads, all of them
    said = capsys.readouterr().err
    assert "none of its brains passed" in said
    assert said.count("given up") == 2


def test_some_rejected_some_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validity, "MOST_DICE", 1.0)
    real, calls = sampling.apply, []

    def folding(*arguments: Any, **named: Any) -> Any:
        """Every other deformation folds."""
        calls.append(1)
        found = real(*arguments, **named)
        if len(calls) % 2:
            object.__setattr__(found, "min_jacobian", -0.25)
        return found

    monkeypatch.setattr(sampling, "apply", folding)
    out = tmp_path / "out"
    assert main(["anatomy", "sample", str(model), "--n", "2", "--out", str(out)]) == 0
    rows = [row for row, _ in read_tsv(out / "rejected.tsv", needed=("number", "reasons"))]
    assert [(row["number"], row["attempt"]) for row in rows] == [("1", "1"), ("2", "1")]
    assert all("smallest Jacobian -0.25" in row["reasons"] for row in rows)
    assert read_manifest(out).facts["rejected"] == 2
    kept = [row for row, _ in read_tsv(out / "validity.tsv", needed=("attempt",))]
    assert [row["attempt"] for row in kept] == ["2", "2"]


@pytest.mark.usefixtures("lenient")
@pytest.mark.slow
def test_interrupted_sampling_goes_on(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = sampling.apply, []

    def stopping(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(sampling, "apply", stopping)
    command = ["anatomy", "sample", str(model), "--n", "3", "--seed", "7", "--out"]
    assert main([*command, str(tmp_path / "out")]) == 130
    assert main([*command, str(tmp_path / "out")]) == 0
    assert len(calls) == 4
    assert main([*command, str(tmp_path / "whole")]) == 0
    both = [_labels(tmp_path / name) for name in ("out", "whole")]
    assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))
    tables = [(tmp_path / name / "validity.tsv").read_text() for name in ("out", "whole")]
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("lenient")
def test_images_go_with_their_labels(heads: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["anatomy", "sample", str(model), "--n", "1", "--images", str(heads)]
    assert main([*command, "--out", str(out)]) == 0
    (record,) = read_participants(out)
    image = np.asarray(nibabel.load(out / str(record.image)).dataobj)
    labels = np.asarray(nibabel.load(out / str(record.labels)).dataobj)
    assert image.shape == labels.shape
    assert image.min() >= 0
    assert image.max() <= WHITE
    # the images were painted with 500 per label: inside tissues they still are
    for label in (2, 3, 6):
        assert np.median(image[labels == label]) == pytest.approx(500 * label, abs=60)


def test_ages_and_folders_that_do_not_fit_are_refused(
    heads: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["anatomy", "sample", str(model), "--weeks", "20", "30", *out]) == 2
    assert "28 to 32 weeks" in capsys.readouterr().err
    assert main(["anatomy", "sample", str(heads), *out]) == 2
    assert main(["anatomy", "sample", str(model), "--n", "0", *out]) == 2
    assert main(["anatomy", "sample", str(model), "--out", str(model / "inside")]) == 2
    assert "lies inside" in capsys.readouterr().err
    one = str(heads / "sub-0_dseg.nii.gz")
    assert main(["anatomy", "population", one, *out]) == 2
    assert "at least 3" in capsys.readouterr().err
    assert main(["anatomy", "population", str(heads), "--without", "nobody", *out]) == 2
    assert "no such subject" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_interpolation_between_two_files(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(heads / f"sub-{k}_dseg.nii.gz") for k in (0, 2)]
    out = tmp_path / "out"
    command = ["anatomy", "interpolate", *files, "--weeks", "29", "30.5", "--out", str(out)]
    assert main(command) == 2
    assert "--ages" in capsys.readouterr().err
    assert main([*command, "--ages", "-28", "31"]) == 2
    assert "above 0" in capsys.readouterr().err
    command += ["--ages", "28", "31"]
    assert main(command) == 0
    records = read_participants(out)
    assert [row.gestational_age_weeks for row in records] == [29, 30.5]
    assert [row.extra["donor"] for row in records] == ["young", "old"]
    voxels = [
        (m > 0).sum() * abs(np.linalg.det(nibabel.load(out / str(r.labels)).affine))
        for m, r in zip(_labels(out), records, strict=True)
    ]
    # lengths grow geometrically from 0.94 to 1.03 over three weeks; on a scan's own voxels of 2 mm
    # a border that moves by less than half a voxel stays
    assert (voxels[1] / voxels[0]) ** (1 / 3) == pytest.approx((1.03 / 0.94) ** 0.5, rel=0.02)
    assert (out / "ages.png").stat().st_size > 3000
    assert main(command) == 0
    assert "already done" in capsys.readouterr().out
    command[command.index("29")] = "33"
    command[command.index("--out") + 1] = str(tmp_path / "other")
    assert main(command) == 2
    assert "not between" in capsys.readouterr().err
