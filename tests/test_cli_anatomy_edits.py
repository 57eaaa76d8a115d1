"""Edits of anatomy through the command line: small phantom brains in, volumes and a figure out."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.anatomy.labels import (
    BACKGROUND,
    CEREBELLUM,
    EXTERNAL_CSF,
    FETA,
    VENTRICLES,
    WHITE_MATTER,
)
from fetalsynth.anatomy.measure import measure
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.nifti import nifti_bytes
from fetalsynth.artifacts.volumes import read_participants
from fetalsynth.cli.main import main
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.family import SPADE
from test_generate_volumes import write_model

untyped: Any = nibabel
SPACING = "2"


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "brains"
    command = ["data", "phantom", "brain", "--n", "2", "--spacing-mm", SPACING, "--seed", "3"]
    assert main([*command, "--out", str(out)]) == 0
    return out


def edit(name: str, *words: str | Path) -> int:
    return main(["anatomy", name, *map(str, words)])


def voxels(path: Path) -> NDArray[Any]:
    return np.asanyarray(untyped.load(path).dataobj)


def affine(path: Path) -> NDArray[np.float64]:
    return np.asarray(untyped.load(path).affine)


def labels_of(folder: Path, desc: str = "", subject: str = "phantom0000") -> Path:
    middle = f"_desc-{desc}" if desc else ""
    return folder / f"sub-{subject}" / "anat" / f"sub-{subject}{middle}_dseg.nii.gz"


def image_of(folder: Path, desc: str = "", subject: str = "phantom0000") -> Path:
    path = labels_of(folder, desc, subject)
    return path.with_name(path.name.replace("_dseg", "_T2w"))


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "edits.tsv").open(newline="") as stream:
        return {row["volume"]: row for row in csv.DictReader(stream, delimiter="\t")}


@pytest.fixture(scope="module")
def wide(brains: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One brain's left ventricle widened, its image moved, the dilation beside it."""
    out = tmp_path_factory.mktemp("wide") / "out"
    words = ["--atrial-width", "13", "--side", "left", "--with-dilation", "--images", brains]
    code = edit("ventriculomegaly", brains, *words, "--subjects", "phantom0000", "--out", out)
    assert code == 0
    return out


def test_the_left_ventricle_is_as_wide_as_asked_in_the_written_file(
    brains: Path, wide: Path
) -> None:
    path = labels_of(wide, "vm13mmleft")
    left, right = measure(voxels(path), affine(path)).atrial_width_mm
    before = measure(voxels(labels_of(brains)), affine(labels_of(brains))).atrial_width_mm
    assert left == pytest.approx(13, abs=0.5)
    assert right == pytest.approx(before[1], abs=0.6)
    assert {row.subject for row in read_participants(wide)} == {"phantom0000"}


def test_the_other_side_is_left_alone_in_labels_and_image(brains: Path, wide: Path) -> None:
    before, after = voxels(labels_of(brains)), voxels(labels_of(wide, "vm13mmleft"))
    x = affine(labels_of(brains))[0, 3] + 2 * np.arange(len(before))
    left, right = x < -3, x > 3
    assert ((before != after)[left] & (before > 0)[left]).sum() > 300
    # the head's own midline is not exactly the grid's: a few voxels beside it may differ
    assert ((before != after)[right]).sum() < 0.01 * (before > 0)[right].sum()
    image, moved = voxels(image_of(brains)), voxels(image_of(wide, "vm13mmleft"))
    still = np.abs(moved[right].astype(float) - image[right])[before[right] > 0]
    gone = np.abs(moved[left].astype(float) - image[left])[before[left] > 0]
    assert np.quantile(still, 0.95) < 0.05 * np.quantile(gone, 0.95)


def test_the_real_image_follows_its_labels(brains: Path, wide: Path) -> None:
    labels, moved = voxels(labels_of(wide, "vm13mmleft")), voxels(image_of(wide, "vm13mmleft"))
    before, image = voxels(labels_of(brains)), voxels(image_of(brains))
    for tissue in (WHITE_MATTER, VENTRICLES, EXTERNAL_CSF):
        want = np.median(image[before == tissue])
        assert np.median(moved[labels == tissue]) == pytest.approx(want, rel=0.05)
    # where ventricle is new, the image was tissue and is fluid now
    new = (labels == VENTRICLES) & (before == WHITE_MATTER)
    fluid, white = (np.median(image[before == t]) for t in (VENTRICLES, WHITE_MATTER))
    assert abs(np.median(moved[new]) - fluid) < abs(np.median(moved[new]) - white)


def test_dilation_stands_beside_with_what_it_destroys(brains: Path, wide: Path) -> None:
    before, after = voxels(labels_of(brains)), voxels(labels_of(wide, "dilation"))
    row = rows_of(wide)["sub-phantom0000_desc-dilation"]
    taken = (after == VENTRICLES) & (before != VENTRICLES)
    assert (after[~taken] == before[~taken]).all()
    assert float(row["destroyed_ml:white_matter"]) == pytest.approx(
        (taken & (before == WHITE_MATTER)).sum() * 0.008
    )
    pushed = (voxels(labels_of(wide, "vm13mmleft")) == VENTRICLES).sum()
    grown, steps = (after == VENTRICLES).sum(), int(row["steps"])
    assert steps >= 1
    assert abs(int(grown) - int(pushed)) < 0.5 * (grown - (before == VENTRICLES).sum())
    assert not image_of(wide, "dilation").exists()


def test_the_figure_has_a_column_per_grade_and_marks_what_was_destroyed(wide: Path) -> None:
    figure = np.asarray(Image.open(wide / "pictures" / "sub-phantom0000.png").convert("RGB"))
    assert figure.shape[1] > 3 * 200
    red = np.abs(figure.astype(int) - (225, 30, 45)).sum(axis=2) < 10
    body = red[: figure.shape[0] - 60]  # without the legend
    third = figure.shape[1] // 3
    assert body[:, 2 * third + 30 :].any()
    assert not body[:, : 2 * third].any()


@pytest.mark.parametrize(
    ("command", "target", "desc"),
    [
        ("microcephaly", None, None),
        ("cerebellar-hypoplasia", "0.6", "cerebellum60percent"),
        ("external-csf", "1.2", "csf1p2times"),
    ],
)
def test_other_edits_reach_their_target_in_the_written_file(
    brains: Path, tmp_path: Path, command: str, target: str | None, desc: str | None
) -> None:
    source, out = labels_of(brains), tmp_path / "out"
    option = {"microcephaly": "--hc", "external-csf": "--times"}.get(command, "--share")
    before = voxels(source)
    circumference = measure(before, affine(source)).hc_mm
    aim = round(0.9 * circumference) if target is None else float(target)
    words = [option, f"{aim:g}", "--images", brains, "--subjects", "phantom0000"]
    assert edit(command, brains, *words, "--out", out) == 0
    path = labels_of(out, desc or f"hc{aim:g}mm")
    after = voxels(path)
    if command == "microcephaly":
        assert measure(after, affine(path)).hc_mm == pytest.approx(aim, rel=0.015)
    else:
        tissue = CEREBELLUM if option == "--share" else EXTERNAL_CSF
        ratio = (after == tissue).sum() / (before == tissue).sum()
        assert ratio == pytest.approx(aim, rel=0.03)
    said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert said["Edit"]["folded_voxels"] == 0
    assert said["Edit"]["tissues_lost"] == []
    assert "Not for clinical use" in said["Notice"]
    assert image_of(out, desc or f"hc{aim:g}mm").is_file()
    assert (out / "pictures" / "sub-phantom0000.png").is_file()


def test_original_edits_and_dilation_are_synthesised_as_generate_would(
    brains: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    settings = SPADESettings(family="spade", size=64, width=2, hidden=4)
    family = SPADE(settings).generator
    model = write_model(tmp_path / "model", shared=True, family=family, spacing_mm=4.0)
    out, again = tmp_path / "out", tmp_path / "again"
    words = ["--method", "dilation", "--steps", "1", "--subjects", "phantom0000"]
    synthesis = ["--model", model, "--fusion", "median", "--device", "cpu"]
    assert edit("ventriculomegaly", brains, *words, *synthesis, "--out", out) == 0
    names = [row.description for row in read_participants(out)]
    assert names == ["dilation1", "synth", "dilation1synth"]
    assert (voxels(labels_of(out, "synth")) == voxels(labels_of(brains))).all()
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a_dseg.nii.gz").write_bytes(labels_of(out, "dilation1").read_bytes())
    command = ["generate", str(model), "--labels", str(plain), "--fusion", "median"]
    assert main([*command, "--device", "cpu", "--out", str(again)]) == 0
    (row,) = read_participants(again)
    made = voxels(image_of(out, "dilation1synth"))
    assert (made == voxels(again / str(row.image))).all()
    assert made[voxels(labels_of(out, "dilation1")) > 0].std() > 0
    sidecar = image_of(out, "dilation1synth").with_name(
        "sub-phantom0000_desc-dilation1synth_T2w.json"
    )
    said = json.loads(sidecar.read_text())
    assert said["Synthetic"] is True
    assert said["Networks"]["axial"]["ModelDigest"] == read_manifest(model).content


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(
    brains: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from fetalsynth.anatomy.edits import dilation as module

    real, seen = module.dilation, []

    def stopped(*given: Any, steps: int, **named: Any) -> Any:
        seen.append(steps)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*given, steps=steps, **named)

    monkeypatch.setattr(module, "dilation", stopped)
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [brains, "--method", "dilation", "--steps", "1", "2"]
    assert edit("ventriculomegaly", *command, "--out", out) == 130
    assert not out.exists()
    assert edit("ventriculomegaly", *command, "--out", out) == 0
    assert seen == [1, 2, 1, 1, 2]
    assert edit("ventriculomegaly", *command, "--out", whole) == 0
    assert read_manifest(out).content == read_manifest(whole).content
    capsys.readouterr()
    assert edit("ventriculomegaly", *command, "--out", out) == 0
    assert "already done" in capsys.readouterr().out


def test_a_target_that_is_out_of_reach_is_said(
    brains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--share", "0.1", "0.7", "--subjects", "phantom0001"]
    import fetalsynth.anatomy.edits.volumes as module

    with pytest.MonkeyPatch.context() as patch:
        real = module.flow_to

        def lame(*given: Any, **named: Any) -> Any:
            return real(*given, **named, most_steps=3)

        patch.setattr(module, "flow_to", lame)  # three steps of 15 % do not halve a length
        assert edit("cerebellar-hypoplasia", brains, *words, "--out", out) == 1
    said = capsys.readouterr()
    assert "not reached: sub-phantom0001_desc-cerebellum10percent" in said.err
    assert "cerebellum70percent" not in said.err
    rows = rows_of(out)
    assert [row["reached"] for row in rows.values()] == ["false", "true"]
    assert edit("cerebellar-hypoplasia", brains, *words, "--out", out) == 1


def _truncated(good: bytes) -> bytes:
    return good[: len(good) // 2]


def _as_nifti(values: NDArray[Any]) -> bytes:
    return nifti_bytes(values, affine=np.diag([2.0, 2, 2, 1]))


BROKEN = {
    "all background": (lambda good: _as_nifti(np.zeros((9, 9, 9), np.uint8)), "background"),
    "truncated": (_truncated, "damaged"),
    "no NIfTI": (lambda good: b"hello", "damaged"),
    "not finite": (
        lambda good: untyped.Nifti1Image(np.full((9, 9, 9), np.nan, np.float32), np.eye(4)),
        "finite",
    ),
    "unknown labels": (lambda good: _as_nifti(np.full((9, 9, 9), 77, np.uint8)), "77"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_label_maps_are_named_and_alone_are_an_error(
    brains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    folder, out = tmp_path / "labels", tmp_path / "out"
    folder.mkdir()
    good = labels_of(brains).read_bytes()
    make, word = BROKEN[kind]
    content, file = make(good), folder / "sub-bad_dseg.nii.gz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        untyped.save(content, file)
    command = [folder, "--method", "dilation", "--steps", "1", "--out", out]
    assert edit("ventriculomegaly", *command) == 2
    said = capsys.readouterr().err
    assert "sub-bad_dseg.nii.gz" in said
    assert word in said or kind in ("truncated", "no NIfTI")
    assert "Traceback" not in said
    assert not out.exists()
    (folder / "sub-good_dseg.nii.gz").write_bytes(good)
    assert edit("ventriculomegaly", *command) == 1
    assert [row.subject for row in read_participants(out)] == ["good"]
    assert [item["volume"] for item in read_manifest(out).facts["left_out"]] == [file.name]


def test_a_brain_without_ventricles_is_left_out_and_the_rest_go_on(
    brains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "labels", tmp_path / "out"
    folder.mkdir()
    labels, space = voxels(labels_of(brains)), affine(labels_of(brains))
    solid = np.where(labels == CEREBELLUM, np.uint8(BACKGROUND), labels)
    (folder / "a_dseg.nii.gz").write_bytes(nifti_bytes(solid, affine=space))
    (folder / "b_dseg.nii.gz").write_bytes(labels_of(brains).read_bytes())
    assert edit("cerebellar-hypoplasia", folder, "--share", "0.8", "--out", out) == 1
    assert "a_dseg.nii.gz" in capsys.readouterr().err
    assert set(rows_of(out)) == {"sub-b_desc-cerebellum80percent"}


def test_a_full_disk_is_an_error_and_nothing_is_called_done(
    brains: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "out"
    command = [brains, "--method", "dilation", "--steps", "1", "--out", out]
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(1)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert edit("ventriculomegaly", *command) == 2
    said = capsys.readouterr().err
    assert "disk is full" in said
    assert "left out" not in said
    assert not out.exists()
    assert edit("ventriculomegaly", *command) == 0
    assert len(read_participants(out)) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--atrial-width", "12", "--subjects", "nobody"], "nobody"),
        (["--atrial-width", "12", "--volume", "3"], "give --atrial-width"),
        (["--atrial-width", "0"], "from 1 to 60"),
        (["--atrial-width", "nan"], "from 1 to 60"),
        (["--atrial-width", "1e-5"], "from 1 to 60"),
        (["--volume", "1e-5"], "from 0.1 to 1000"),
        (["--atrial-width", "12", "--steps", "2"], "--steps"),
        (["--method", "dilation", "--steps", "0"], "count from 1"),
        (["--method", "dilation", "--steps", "1", "--with-dilation"], "--with-dilation"),
        (["--atrial-width", "12", "--fusion", "median"], "--model"),
        (["--atrial-width", "12", "--model", "nowhere"], "nowhere"),
        (["--atrial-width", "12", "--images", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    brains: Path, tmp_path: Path, capsys: Any, words: Sequence[str], said: str
) -> None:
    out = tmp_path / "out"
    assert edit("ventriculomegaly", brains, *words, "--out", out) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_one_file_and_its_image(brains: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    labels, image = labels_of(brains), image_of(brains)
    words = ["--hc", "180", "--images", image, "--out", out]
    assert edit("microcephaly", labels, *words) == 0
    (row,) = read_participants(out)
    assert row.image is not None
    assert set(np.unique(voxels(out / str(row.labels)))) <= set(range(len(FETA)))


@pytest.mark.gpu
def test_a_gpu_gives_the_same_labels_but_for_rounding(brains: Path, tmp_path: Path) -> None:
    command = [brains, "--atrial-width", "12", "--subjects", "phantom0000"]
    for device in ("cpu", "cuda"):
        assert edit(
            "ventriculomegaly", *command, "--device", device, "--out", tmp_path / device
        ) in (0, 1)
    one, other = (voxels(labels_of(tmp_path / d, "vm12mm")) for d in ("cpu", "cuda"))
    assert (one != other).sum() < 0.01 * (one > 0).sum()
