"""The volumes artifact: every volume in its own space, BIDS names, tables that are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fetalsynth.anatomy.labels import FETA, SPINA_BIFIDA_ATLAS, UnknownLabels, map_labels
from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import Licence, draft
from fetalsynth.artifacts.nifti import nifti_bytes
from fetalsynth.artifacts.volumes import (
    VolumesWriter,
    read_label_names,
    read_participants,
)
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.datasets.volumes.loading import load_volumes
from fetalsynth.datasets.volumes.nifti import (
    check_same_grid,
    read_nifti,
    to_ras,
    volume_space,
    whole_numbers,
)
from fetalsynth.errors import DataWarning, UserError
from volume_files import SHAPE, a_brain, an_affine, spoil

LICENCE = Licence(source="Here", licence="CC0", citation="Us 2024", url="https://example.org")


def levels(seed: int = 0) -> np.ndarray:
    return np.rint(a_brain(seed)[0].clip(0, 1200) * 3).astype(np.int16)


def artifact(folder: Path, *, count: int = 3) -> Path:
    with building(folder, draft(kind="volumes", configuration={}, synthetic=False)) as partial:
        writer = VolumesWriter(partial, label_names=FETA, licences=(LICENCE,))
        for number in range(count):
            writer.add(
                subject=f"{number:02d}",
                image=levels(number),
                labels=a_brain(number)[1],
                affine=an_affine("ILP", turned=0.1 * number),
                split="train" if number else "test",
                reconstruction="mial" if number % 2 else "irtk",
                gestational_age_weeks=24.5 + number,
                pathology="none known" if number else "",
                extra={"atrial_width_mm": f"{6 + number}"} if number else {},
                sidecar={"Window": [0, 1200]},
            )
        writer.close()
    return folder


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "out")
    records = read_participants(folder)
    assert [record.subject for record in records] == ["00", "01", "02"]
    assert records[0].image == "sub-00/anat/sub-00_rec-irtk_T2w.nii.gz"
    assert records[0].labels == "sub-00/anat/sub-00_rec-irtk_dseg.nii.gz"
    assert records[0].pathology == ""
    assert records[0].extra == {}
    assert records[2].gestational_age_weeks == 26.5
    assert records[2].extra == {"atrial_width_mm": "8"}
    assert [record.split for record in records] == ["test", "train", "train"]
    assert read_label_names(folder) == FETA
    for number, record in enumerate(records):
        image: Any = nibabel.load(folder / str(record.image))
        assert np.array_equal(np.asarray(image.dataobj), levels(number))
        assert np.allclose(image.affine, an_affine("ILP", turned=0.1 * number), atol=1e-5)
        assert np.array_equal(
            np.asarray(nibabel.load(folder / str(record.labels)).dataobj), a_brain(number)[1]
        )
        assert image.get_data_dtype() == np.int16
    said = json.loads((folder / "sub-00/anat/sub-00_rec-irtk_T2w.json").read_text())
    assert said["Window"] == [0, 1200]
    assert said["Synthetic"] is False
    description = json.loads((folder / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "fetalsynth"
    assert description["SourceDatasets"] == [{"URL": "https://example.org"}]
    assert "Us 2024" in description["ReferencesAndLinks"]


def test_a_subject_with_several_volumes_has_one_row_of_its_own(tmp_path: Path) -> None:
    writer = VolumesWriter(tmp_path, synthetic=True)
    image, labels = levels(), a_brain()[1]
    known = {"subject": "7", "session": "1", "affine": an_affine(), "split": "test"}
    writer.add(**known, image=image, labels=labels, desc="synth")  # type: ignore[arg-type]
    writer.add(**known, image=image, labels=None, desc="axial")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="two volumes would be called sub-7_ses-1_desc-axial"):
        writer.add(**known, image=image, labels=None, desc="axial")  # type: ignore[arg-type]
    writer.close()
    assert (tmp_path / "participants.tsv").read_text().count("sub-7") == 1
    records = read_participants(tmp_path)
    assert [record.description for record in records] == ["synth", "axial"]
    assert records[1].labels is None
    assert records[1].image == "sub-7/ses-1/anat/sub-7_ses-1_desc-axial_T2w.nii.gz"
    said = json.loads((tmp_path / str(records[1].image).replace(".nii.gz", ".json")).read_text())
    assert said["Synthetic"] is True
    assert said["Notice"] == "Not for clinical use."


def test_names_and_values_that_do_not_belong(tmp_path: Path) -> None:
    writer = VolumesWriter(tmp_path)
    image, labels = levels(), a_brain()[1]
    for subject in ("a_b", "../up", ""):
        with pytest.raises(UserError, match="letters and digits"):
            writer.add(subject=subject, image=image, labels=labels, affine=np.eye(4))
    for wrong in (image.astype(np.float32), image - 5, image + 4095):
        with pytest.raises(ValueError, match="needs"):
            writer.add(subject=f"{id(wrong)}", image=wrong, labels=labels, affine=np.eye(4))
    with pytest.raises(ValueError, match="image or labels"):
        writer.add(subject="x", image=None, labels=None, affine=np.eye(4))


def test_an_interrupted_run_is_taken_over(tmp_path: Path) -> None:
    first = VolumesWriter(tmp_path)
    image, labels = levels(), a_brain()[1]
    first.add(subject="1", image=image, labels=labels, affine=an_affine(), desc="synth")
    again = VolumesWriter(tmp_path)
    assert again.adopt(subject="1", desc="synth", split="test")
    assert not again.adopt(subject="2", desc="synth")
    assert not again.adopt(subject="1")
    again.add(subject="2", image=image, labels=labels, affine=an_affine(), desc="synth")
    again.close()
    assert [(r.subject, r.split) for r in read_participants(tmp_path)] == [("1", "test"), ("2", "")]


@pytest.mark.parametrize(
    ("table", "old", "new", "complaint"),
    [
        ("participants.tsv", "26.5", "-3", "not a positive number"),
        ("participants.tsv", "sub-02", "sub-01", "a second row for sub-01"),
        ("participants.tsv", "sub-02", "sub-03", "volumes.tsv.*sub-02 is not in participants.tsv"),
        ("volumes.tsv", "sub-00/anat", "../anat", "not a file of this folder"),
        ("volumes.tsv", "\tirtk", "", "not as many cells"),
        ("volumes.tsv", "labels", "tissue", "lacks the column labels"),
        ("dseg.tsv", "3\t", "4\t", "numbered from 0"),
    ],
)
def test_tables_edited_by_hand(
    tmp_path: Path, table: str, old: str, new: str, complaint: str
) -> None:
    folder = artifact(tmp_path / "out")
    text = (folder / table).read_text()
    assert old in text
    (folder / table).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=complaint):
        assert read_participants(folder)
        read_label_names(folder)


@pytest.mark.parametrize("codes", [(1, 0), (0, 2), (1, 1), (2, 4), (0, 0)])
def test_header_codes_and_space_survive(tmp_path: Path, codes: tuple[int, int]) -> None:
    voxels = levels()
    affine, other = an_affine("PSR", turned=0.3), an_affine("PSR", turned=0.35)
    image = nibabel.Nifti1Image(voxels, None if codes == (0, 0) else affine)
    image.header.set_zooms((2, 2, 2))
    if codes != (0, 0):
        image.set_qform(other if codes[1] else affine, codes[0])
        image.set_sform(affine, codes[1])
    nibabel.save(image, tmp_path / "in.nii.gz")
    found = read_nifti(tmp_path / "in.nii.gz")
    assert (found.header.qform_code, found.header.sform_code) == codes
    data = nifti_bytes(found.voxels, affine=found.affine, header=found.header)
    (tmp_path / "out.nii.gz").write_bytes(data)
    before: Any = nibabel.load(tmp_path / "in.nii.gz")
    after: Any = nibabel.load(tmp_path / "out.nii.gz")
    assert np.allclose(before.affine, after.affine, atol=1e-5)
    assert (int(after.header["qform_code"]), int(after.header["sform_code"])) == codes
    if codes[0]:
        assert np.allclose(before.get_qform(), after.get_qform(), atol=1e-5)
    assert np.allclose(found.spacing_mm, 2)
    assert nifti_bytes(found.voxels, affine=found.affine, header=found.header) == data


def test_a_new_volume_has_both_codes(tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").write_bytes(nifti_bytes(levels(), affine=an_affine(turned=0.2)))
    found = read_nifti(tmp_path / "x.nii.gz")
    assert (found.header.qform_code, found.header.sform_code) == (1, 1)
    assert np.allclose(found.header.qform, an_affine(turned=0.2), atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("text", "not a readable NIfTI"),
        ("empty", "not a readable NIfTI"),
        ("truncated", "not a readable NIfTI"),
        ("cut-voxels", "not a readable NIfTI"),
        ("four-axes", "has 4 axes"),
        ("nan-inside", "not finite"),
        ("flat", "affine is broken"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, how: str, complaint: str) -> None:
    path = tmp_path / "x.nii.gz"
    nibabel.save(nibabel.Nifti1Image(a_brain()[0], an_affine()), path)
    spoil(path, how)
    with pytest.raises(UserError, match=complaint) as error:
        read_nifti(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_file_and_one_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it does not exist"):
        read_nifti(tmp_path / "none.nii.gz")
    nibabel.save(nibabel.AnalyzeImage(levels(), np.eye(4)), tmp_path / "x.img")
    with pytest.raises(UserError, match="is no NIfTI file"):
        read_nifti(tmp_path / "x.img")
    coloured = np.zeros((4, 4, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nibabel.save(nibabel.Nifti1Image(coloured, np.eye(4)), tmp_path / "rgb.nii")
    with pytest.raises(UserError, match="plain numbers"):
        read_nifti(tmp_path / "rgb.nii")


def test_scaled_and_big_endian_values(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(levels(), an_affine())
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    stored: Any = nibabel.load(tmp_path / "scaled.nii.gz")
    assert np.allclose(read_nifti(tmp_path / "scaled.nii.gz").voxels, stored.get_fdata(), atol=1e-3)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.save(nibabel.Nifti1Image(levels(), an_affine(), header), tmp_path / "big.nii")
    found = read_nifti(tmp_path / "big.nii").voxels
    assert found.dtype == np.dtype(np.int16)
    assert np.array_equal(found, levels())


def test_spaces_and_whole_numbers(tmp_path: Path) -> None:
    affine = an_affine("IAR", turned=0.25)
    nibabel.save(nibabel.Nifti1Image(a_brain()[0], affine), tmp_path / "a.nii.gz")
    file = read_nifti(tmp_path / "a.nii.gz")
    shape, there = volume_space(tmp_path / "a.nii.gz")
    assert shape == SHAPE
    assert np.allclose(there, affine, atol=1e-5)
    voxels, turned = to_ras(file)
    oracle = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii.gz"))
    assert np.array_equal(voxels, oracle.get_fdata(dtype=np.float32))
    assert np.allclose(turned, oracle.affine)
    with pytest.raises(UserError, match="not whole numbers"):
        whole_numbers(file)
    moved = nibabel.Nifti1Image(a_brain()[0], affine + np.diag([0, 0, 0.01, 0]))
    nibabel.save(moved, tmp_path / "b.nii.gz")
    with pytest.raises(UserError, match=r"affine differs .* by up to 0\.01 mm"):
        check_same_grid(read_nifti(tmp_path / "b.nii.gz"), file)
    nearly = nibabel.Nifti1Image(a_brain()[1] + np.float32(2e-4), affine)
    nibabel.save(nearly, tmp_path / "c.nii.gz")
    assert np.array_equal(whole_numbers(read_nifti(tmp_path / "c.nii.gz")), a_brain()[1])


def test_volumes_are_loaded_as_cubes(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "out", count=4)
    found = load_volumes(folder, role="training", grid=Grid(size=32), splits=("train",))
    assert [record.subject for record in found.records] == ["01", "02", "03"]
    assert found.label_names == FETA
    assert found.source.role == "training"
    for number, (image, labels) in enumerate(zip(found.images, found.labels, strict=True), start=1):
        assert image.dtype == np.int16
        assert image.shape == labels.shape == (32, 32, 32)
        assert (
            np.bincount(labels.ravel())[1:].tolist()
            == np.bincount(a_brain(number)[1].ravel())[1:].tolist()
        )
        assert image[labels > 0].sum() == levels(number)[a_brain(number)[1] > 0].sum()
    some = load_volumes(folder, role="x", grid=Grid(size=32), reconstructions=("irtk",))
    assert [record.subject for record in some.records] == ["00", "02"]
    with pytest.raises(UserError, match=r"reconstruction mialx .*irtk, mial"):
        load_volumes(folder, role="x", grid=Grid(size=32), reconstructions=("mialx",))
    with pytest.raises(UserError, match=r"sub-00.*does not fit a cube of 16"):
        load_volumes(folder, role="x", grid=Grid(size=16))
    (folder / "sub-03/anat/sub-03_rec-mial_T2w.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="changed after it was written"):
        load_volumes(folder, role="x", grid=Grid(size=32))


def test_volumes_without_labels_are_left_out_aloud(tmp_path: Path) -> None:
    with building(tmp_path / "o", draft(kind="volumes", configuration={}, synthetic=False)) as part:
        writer = VolumesWriter(part)
        writer.add(subject="1", image=levels(), labels=a_brain()[1], affine=an_affine())
        writer.add(subject="2", image=levels(), labels=None, affine=an_affine())
        writer.close()
    with pytest.warns(DataWarning, match="left out 1 volumes"):
        found = load_volumes(tmp_path / "o", role="x", grid=Grid(size=32))
    assert [record.subject for record in found.records] == ["1"]


def test_labels_are_mapped_by_table_or_refused() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 9, (6, 7, 8))
    slow = np.vectorize(SPINA_BIFIDA_ATLAS.get)(labels)
    assert np.array_equal(map_labels(labels, table=SPINA_BIFIDA_ATLAS), slow)
    far = np.where(labels == 3, 10**7, -4)
    assert np.array_equal(map_labels(far, table={10**7: 5, -4: 1}), np.where(labels == 3, 5, 1))
    for wrong in (labels + 1, labels - 1, far):
        with pytest.raises(UnknownLabels):
            map_labels(wrong, table=SPINA_BIFIDA_ATLAS)
    assert map_labels(np.zeros((0, 2), int), table={}).shape == (0, 2)
