"""Importing and checking volumes from the command line: what is written, left out and found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.volumes import WHITE, read_participants
from fetalsynth.cli.main import main
from fetalsynth.datasets.check import CheckResult
from fetalsynth.datasets.volumes.check import check_volumes
from fetalsynth.datasets.volumes.feta import open_source
from fetalsynth.datasets.volumes.importing import import_volumes
from fetalsynth.datasets.volumes.nifti import read_nifti
from fetalsynth.datasets.volumes.source import SourceVolume, VolumeItem, VolumeSource
from fetalsynth.datasets.volumes.window import apply_window, measure_window, undo_window
from fetalsynth.errors import UserError
from volume_files import a_brain, a_feta, an_affine, save, spoil

Data = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(capsys: pytest.CaptureFixture[str]) -> Data:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["data", *map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


def test_import_keeps_space_and_labels_and_splits_by_subject(tmp_path: Path, data: Data) -> None:
    source, out = a_feta(tmp_path / "feta", count=6), tmp_path / "out"
    oblique = an_affine("IAR", turned=0.3)
    for file, voxels in zip(("T2w", "dseg"), a_brain(4), strict=True):
        save(source / f"sub-004/anat/sub-004_rec-irtk_{file}.nii.gz", voxels, oblique)
    command = ("import", "feta", source, "--out", out, "--held-out", 0.34)
    code, said, _ = data(*command)
    assert code == 0
    assert "6 volumes of 6 subjects" in said
    assert "train 4 volumes (4 subjects), test 2 (2)" in said
    rows = {row.subject: row for row in read_participants(out)}
    assert sorted(row.split for row in rows.values()) == ["test"] * 2 + ["train"] * 4
    for number, (subject, row) in enumerate(sorted(rows.items()), start=1):
        image, labels = a_brain(number)
        written = read_nifti(out / str(row.image))
        original = source / str(row.image)
        assert np.allclose(written.affine, read_nifti(original).affine, atol=1e-6)
        assert np.array_equal(read_nifti(out / str(row.labels)).voxels, labels), subject
        side = json.loads((out / str(row.image).replace(".nii.gz", ".json")).read_text())
        low, high = side["Window"]
        assert low == 0
        assert high == pytest.approx(np.percentile(image[labels > 0], 99.9))
        assert side["SourceFiles"][0] == row.image
        back = undo_window(written.voxels, (low, high))
        inside = (image >= 0) & (image <= high)
        assert np.abs(back - image)[inside].max() <= 0.51 * high / WHITE
        assert written.voxels.max() == WHITE
    manifest = read_manifest(out, kind="volumes")
    assert manifest.facts["reconstructions"] == {"irtk": 3, "mial": 3}
    assert manifest.facts["left_out"] == []
    assert manifest.licences[0].source == "FeTA"
    with Image.open(out / "preview.png") as picture:
        assert picture.size[0] > 6 * 140
        assert np.asarray(picture).std() > 10
    assert data(*command)[:2] == (0, f"already done: {out}\n")
    code, said, _ = data("check", out)
    assert code == 0
    assert said.splitlines()[-1] == f"{out}: usable, nothing to object to"


def test_two_imports_are_identical(tmp_path: Path, data: Data) -> None:
    source = a_feta(tmp_path / "feta", count=3)
    for name in ("a", "b"):
        assert data("import", "feta", source, "--out", tmp_path / name)[0] == 0
    assert read_manifest(tmp_path / "a").content == read_manifest(tmp_path / "b").content


def test_broken_volumes_are_left_out_and_the_exit_code_says_so(tmp_path: Path, data: Data) -> None:
    source, out = a_feta(tmp_path / "feta", count=6), tmp_path / "out"
    spoil(source / "sub-002/anat/sub-002_rec-irtk_T2w.nii.gz", "truncated")
    spoil(source / "sub-003/anat/sub-003_rec-mial_dseg.nii.gz", "unknown")
    (source / "sub-005/anat/sub-005_rec-mial_dseg.nii.gz").unlink()
    command = ("import", "feta", source, "--out", out)
    code, said, _ = data(*command)
    assert code == 1
    assert "3 volumes of 3 subjects" in said
    assert "left out 3" in said
    left = read_manifest(out).facts["left_out"]
    assert [Path(item["volume"]).name.split("_")[0] for item in left] == [
        "sub-002",
        "sub-003",
        "sub-005",
    ]
    assert "has labels 9" in left[1]["reason"]
    assert {row.subject for row in read_participants(out)} == {"001", "004", "006"}
    assert data(*command)[0] == 1
    assert data("check", out)[0] == 0


def test_nothing_usable_ends_in_one_line(tmp_path: Path, data: Data) -> None:
    source, out = a_feta(tmp_path / "feta", count=2), tmp_path / "out"
    for path in source.rglob("*_dseg.nii.gz"):
        spoil(path, "background")
    code, _, said = data("import", "feta", source, "--out", out)
    assert code == 2
    assert "no usable volume among 2; the first:" in said
    assert not out.exists()


def test_named_test_subjects(tmp_path: Path, data: Data) -> None:
    source, out = a_feta(tmp_path / "feta", count=4), tmp_path / "out"
    named = ("--test-subjects", "sub-002", "003")
    assert data("import", "feta", source, "--out", out, *named)[0] == 0
    split = {row.subject: row.split for row in read_participants(out)}
    assert split == {"001": "train", "002": "test", "003": "test", "004": "train"}
    code, _, said = data(
        "import", "feta", source, "--out", tmp_path / "b", "--test-subjects", "002", "007"
    )
    assert code == 2
    assert "--test-subjects 007: there is no such subject" in said


def test_one_reconstruction_and_one_subject(tmp_path: Path, data: Data) -> None:
    source = a_feta(tmp_path / "feta", count=3)
    only = ("import", "feta", source, "--out", tmp_path / "out", "--reconstruction", "irtk")
    code, _, said = data(*only)
    assert code == 2
    assert "use --held-out 0" in said
    assert data(*only, "--held-out", 0)[0] == 0
    assert [row.subject for row in read_participants(tmp_path / "out")] == ["002"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("feta", "SRC", "--size", 128), "--size: feta holds volumes"),
        (("feta", "SRC", "--mask-overlays"), "--mask-overlays: feta holds volumes"),
        (("feta", "SRC", "--labels-table", "dhcp"), "--labels-table: feta brings its own"),
        (("atlas", "SRC", "--reconstruction", "x"), "--reconstruction: the atlas has one only"),
        (("folder", "SRC", "--test-subjects", "a"), "--test-subjects: folder holds images"),
        (("feta", "SRC", "--test-subjects", "1", "--held-out", 0.1), "--held-out: the test"),
        (("pairs", "SRC", "--labels-table", "gone.csv"), "gone.csv: there is no such label table"),
    ],
)
def test_options_that_mean_nothing_here(
    tmp_path: Path, data: Data, arguments: tuple[object, ...], complaint: str
) -> None:
    source = a_feta(tmp_path / "feta", count=2)
    given = [source if word == "SRC" else word for word in arguments]
    code, _, said = data("import", *given, "--out", tmp_path / "out")
    assert code == 2
    assert complaint in said


def test_the_result_never_lies_in_its_source(tmp_path: Path, data: Data) -> None:
    source = a_feta(tmp_path / "feta", count=2)
    assert data("import", "feta", source, "--out", source / "out")[0] == 2
    assert not (source / "out").exists()


def test_two_volumes_of_one_name(tmp_path: Path) -> None:
    image, labels = a_brain()
    volume = SourceVolume(subject="1", affine=an_affine(), image=image, labels=labels)
    items = tuple(VolumeItem(name=f"v{n}", subject="1", read=lambda: volume) for n in range(2))
    source = VolumeSource(name="twice", digest="x", items=items)
    facts = import_volumes(source, folder=tmp_path, held_out=0)
    assert facts["volumes"] == 1
    assert "two volumes would be called sub-1" in facts["left_out"][0]["reason"]


def test_copies_and_simulated_windows_are_recorded(tmp_path: Path) -> None:
    image, labels = a_brain()
    volume = SourceVolume(
        subject="1", affine=an_affine(), image=image, labels=labels, window=(100.0, 1100.0)
    )
    items = tuple(
        VolumeItem(name=n, subject=n, read=lambda n=n: replace(volume, subject=n)) for n in "ab"
    )
    source = VolumeSource(name="sim", digest="x", items=items, synthetic=True)
    with pytest.warns(UserWarning, match="identical volumes, all kept: sub-a = sub-b"):
        facts = import_volumes(source, folder=tmp_path, held_out=0.5)
    assert facts["duplicates"] == [["sub-a", "sub-b"]]
    written = read_nifti(tmp_path / "sub-a/anat/sub-a_T2w.nii.gz").voxels
    expected = np.rint((image - 100) * 4.095).clip(0, WHITE)
    assert np.abs(written - expected).max() <= 1
    side = json.loads((tmp_path / "sub-a/anat/sub-a_T2w.json").read_text())
    assert (side["Window"], side["Synthetic"]) == ([100.0, 1100.0], True)


def test_brain_phantoms_from_the_command_line(tmp_path: Path, data: Data) -> None:
    out = tmp_path / "out"
    command = ("phantom", "brain", "--n", 2, "--out", out, "--held-out", 0.5, "--spacing-mm", 2)
    assert data(*command)[0] == 0
    assert read_manifest(out, kind="volumes").synthetic
    rows = read_participants(out)
    assert sorted(row.split for row in rows) == ["test", "train"]
    assert np.allclose(read_nifti(out / str(rows[0].image)).spacing_mm, 2)
    assert check_volumes(out).usable
    for wrong in (("brain", "--size", 64), ("ultrasound", "--spacing-mm", 1)):
        code, _, said = data("phantom", *wrong, "--n", 1, "--out", tmp_path / "x")
        assert code == 2
        assert f"{wrong[1]}: " in said


def test_windows() -> None:
    rng = np.random.default_rng(2)
    image = rng.exponential(100, (20, 20, 20)).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    image[0] = 1e6  # bright, outside the brain
    window = measure_window(image, labels, where="x")
    assert window == (0, pytest.approx(np.percentile(image[5:15, 5:15, 5:15], 99.9)))
    levels = apply_window(image, window)
    assert levels.min() >= 0
    assert levels.max() == WHITE
    assert 0 < (levels[labels > 0] == WHITE).mean() < 0.0021
    whole = np.arange(WHITE + 1)
    assert np.array_equal(apply_window(undo_window(whole, window), window), whole)
    with pytest.raises(UserError, match="x: the image is black where its brain is"):
        measure_window(np.zeros_like(image), labels, where="x")


def names(result: CheckResult) -> set[tuple[str, str]]:
    return {(finding.severity, finding.name) for finding in result.findings}


def many(folder: Path, *, count: int = 9) -> Path:
    return a_feta(folder, count=count)


def anat(folder: Path, number: int, kind: str) -> Path:
    method = "mial" if number % 2 else "irtk"
    return folder / f"sub-{number:03d}" / "anat" / f"sub-{number:03d}_rec-{method}_{kind}.nii.gz"


def test_a_sound_folder_has_nothing_to_object_to(tmp_path: Path) -> None:
    result = check_volumes(many(tmp_path / "in"))
    assert not result.findings
    assert result.usable
    assert result.facts["volumes"] == "9"
    assert result.facts["spacings"] == "2×2×2 mm"
    ml = np.bincount(a_brain(1)[1].ravel())[4] * 8 / 1000
    assert result.facts["ventricles"].startswith(f"{ml:.1f} to ")


@pytest.mark.parametrize(
    ("kind", "how", "found"),
    [
        ("T2w", "truncated", ("error", "unusable")),
        ("T2w", "text", ("error", "unusable")),
        ("T2w", "four-axes", ("error", "unusable")),
        ("T2w", "nan-inside", ("error", "unusable")),
        ("T2w", "affine", ("error", "unusable")),
        ("T2w", "shape", ("error", "unusable")),
        ("dseg", "unknown", ("error", "unusable")),
        ("dseg", "background", ("error", "unusable")),
        ("dseg", "missing", ("error", "missing")),
        ("T2w", "missing", ("error", "missing")),
        ("T2w", "nan-outside", ("warning", "header")),
        ("T2w", "copy", ("warning", "copies")),
        ("T2w", "black", ("warning", "black")),
        ("dseg", "no-cerebellum", ("warning", "tissues")),
        ("dseg", "half-ventricles", ("warning", "odd-size")),
        ("both", "spacing", ("warning", "spacing")),
        ("both", "tiny", ("warning", "size")),
    ],
)
def test_what_is_planted_is_found(
    tmp_path: Path, kind: str, how: str, found: tuple[str, str]
) -> None:
    folder = many(tmp_path / "in")
    plant(folder, kind, how)
    result = check_volumes(folder)
    assert found in names(result)
    finding = next(f for f in result.findings if (f.severity, f.name) == found)
    assert all("sub-003" in text for text in finding.files)
    assert result.usable is (found[0] != "error")


def plant(folder: Path, kind: str, how: str) -> None:
    path = anat(folder, 3, "T2w" if kind == "both" else kind)
    image, labels = a_brain(3)
    changes = {
        "copy": lambda: path.write_bytes(anat(folder, 4, "T2w").read_bytes()),
        "black": lambda: save(path, np.roll(image, 8, axis=0)),
        "no-cerebellum": lambda: save(path, np.where(labels == 5, 3, labels).astype(np.uint8)),
        "half-ventricles": lambda: save(path, shrunk(labels)),
        "missing": path.unlink,
    }
    if how in changes:
        changes[how]()
    elif kind == "both":
        affine = an_affine(spacing={"spacing": 2.6, "tiny": 0.5}[how])
        save(path, image, affine)
        save(anat(folder, 3, "dseg"), labels, affine)
    else:
        spoil(path, how)


def shrunk(labels: np.ndarray) -> np.ndarray:
    inside = np.argwhere(labels == 4)
    few = labels.copy()
    few[tuple(inside[: len(inside) * 2 // 3].T)] = 3
    return few


def test_the_same_volume_in_two_splits_is_an_error(tmp_path: Path) -> None:
    folder = many(tmp_path / "in", count=3)
    for kind in ("T2w", "dseg"):
        anat(folder, 2, kind).write_bytes(anat(folder, 1, kind).read_bytes())
    out = tmp_path / "out"
    named = ["--test-subjects", "002"]
    assert main(["data", "import", "feta", str(folder), "--out", str(out), *named]) == 0
    result = check_volumes(out)
    assert ("error", "leak") in names(result)
    assert "sub-001_rec-mial = sub-002_rec-irtk" in result.findings[0].files


def test_changed_files_and_other_labels(tmp_path: Path, data: Data) -> None:
    folder, out = many(tmp_path / "in", count=2), tmp_path / "out"
    assert data("import", "feta", folder, "--out", out)[0] == 0
    (out / "participants.tsv").write_text((out / "participants.tsv").read_text() + "\n")
    assert ("error", "changed") in names(check_volumes(out))
    save(tmp_path / "own" / "x_T2w.nii.gz", a_brain()[0])
    save(tmp_path / "own" / "x_dseg.nii.gz", (a_brain()[1] + 10).astype(np.uint8))
    table = tmp_path / "t.tsv"
    table.write_text("label\ttissue\n" + "".join(f"{k + 10}\t{k}\n" for k in range(8)))
    assert data("check", tmp_path / "own")[0] == 1
    assert data("check", tmp_path / "own", "--labels-table", table)[0] == 0


def test_nothing_to_check(tmp_path: Path, data: Data) -> None:
    (tmp_path / "empty").mkdir()
    assert data("check", tmp_path / "empty")[0] == 2
    with pytest.raises(UserError, match="holds no NIfTI volume"):
        check_volumes(tmp_path / "empty")


def test_a_source_is_read_anew_every_time(tmp_path: Path) -> None:
    source = open_source(a_feta(tmp_path / "feta", count=2))
    first, again = (source.items[0].read() for _ in range(2))
    assert np.array_equal(first.image, again.image)  # type: ignore[arg-type]


def test_the_real_atlas_goes_in_whole(tmp_path: Path, data: Data, spina_bifida_atlas: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("GA21_notoperated", "GA25_operated", "GA25_notoperated"):
        folder = f"fetal_SB_atlas_{name}"
        (few / folder).symlink_to(spina_bifida_atlas / folder)
    out = tmp_path / "out"
    code, said, noted = data("import", "atlas", few, "--out", out, "--test-subjects", "GA25")
    assert code == 0
    assert "3 volumes of 2 subjects" in said
    assert "not independent" in noted
    rows = read_participants(out)
    assert [row.split for row in rows] == ["train", "test", "test"]
    image = nibabel.load(out / str(rows[0].image))
    original = nibabel.load(spina_bifida_atlas / "fetal_SB_atlas_GA21_notoperated" / "srr.nii.gz")
    assert np.allclose(image.affine, original.affine, atol=1e-6)
    assert check_volumes(out).usable
