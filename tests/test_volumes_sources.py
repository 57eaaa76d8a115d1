"""FeTA, the atlas and folders of pairs as sources: partners, labels, ages, what is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from fetalsynth.datasets.volumes import atlas, feta, pairs
from fetalsynth.datasets.volumes.finding import find_partners
from fetalsynth.datasets.volumes.label_table import open_label_table
from fetalsynth.datasets.volumes.nifti import read_nifti
from fetalsynth.datasets.volumes.participants import read_subject_table
from fetalsynth.errors import UserError
from volume_files import a_brain, a_feta, an_affine, save, spoil


def test_feta_with_two_reconstructions_and_labels_as_floats(tmp_path: Path) -> None:
    source = feta.open_source(a_feta(tmp_path / "feta_2.1"))
    assert [item.subject for item in source.items] == ["001", "002", "003", "004", "005"]
    volume = source.items[1].read()
    image, labels = a_brain(2)
    assert np.array_equal(volume.labels, labels)  # type: ignore[arg-type]
    assert np.array_equal(volume.image, image)  # type: ignore[arg-type]
    assert volume.reconstruction == "irtk"
    assert volume.gestational_age_weeks == 22.5
    assert volume.pathology == "Neurotypical"
    assert source.licences[0].source == "FeTA"
    some = feta.open_source(tmp_path, reconstruction="mial")
    assert [item.subject for item in some.items] == ["001", "003", "005"]
    with pytest.raises(UserError, match=r"no volume of reconstruction svr.*irtk, mial"):
        feta.open_source(tmp_path / "feta_2.1", reconstruction="svr")


def test_feta_trusts_the_header_over_the_nominal_spacing(tmp_path: Path) -> None:
    folder = a_feta(tmp_path / "feta")
    path = folder / "sub-001/anat/sub-001_rec-mial_T2w.nii.gz"
    for file, voxels in zip(
        (path, Path(str(path).replace("T2w", "dseg"))), a_brain(1), strict=True
    ):
        save(file, voxels, an_affine("LIA", spacing=0.43))
    volume = feta.open_source(folder).items[0].read()
    assert np.allclose(volume.affine, an_affine("LIA", spacing=0.43), atol=1e-5)


@pytest.mark.parametrize(
    ("how", "file", "complaint"),
    [
        ("text", "T2w", "not a readable NIfTI"),
        ("truncated", "T2w", "not a readable NIfTI"),
        ("four-axes", "T2w", "has 4 axes"),
        ("nan-inside", "T2w", "1 values inside the labelled brain are not finite"),
        ("many-nan", "T2w", "% of its values are not finite"),
        ("shape", "T2w", "resample one to the other"),
        ("affine", "T2w", "affine differs .* up to 1 mm"),
        ("truncated", "dseg", "not a readable NIfTI"),
        ("four-axes", "dseg", "has 4 axes"),
        ("nan-inside", "dseg", "not finite"),
        ("unknown", "dseg", "has labels 9, the scheme knows 0, 1, 2, 3, 4, 5, 6, 7"),
        ("fraction", "dseg", "not whole numbers"),
        ("background", "dseg", "every voxel is background"),
        ("missing", "dseg", "has no label map beside it"),
        ("missing", "T2w", "has no image beside it"),
    ],
)
def test_one_broken_volume_is_named_and_the_others_are_read(
    tmp_path: Path, how: str, file: str, complaint: str
) -> None:
    folder = a_feta(tmp_path / "feta", count=2)
    path = folder / f"sub-001/anat/sub-001_rec-mial_{file}.nii.gz"
    if how == "missing":
        path.unlink()
    else:
        spoil(path, how)
    source = feta.open_source(folder)
    with pytest.raises(UserError, match=complaint) as error:
        source.items[0].read()
    assert str(folder / "sub-001") in str(error.value)
    assert source.items[1].read().labels is not None


def test_few_values_that_are_not_finite_outside_the_brain_become_black(tmp_path: Path) -> None:
    folder = a_feta(tmp_path / "feta", count=1)
    spoil(folder / "sub-001/anat/sub-001_rec-mial_T2w.nii.gz", "nan-outside")
    volume = feta.open_source(folder).items[0].read()
    assert np.array_equal(volume.image, a_brain(1)[0])  # type: ignore[arg-type]
    assert "1 values outside the brain were not finite, now 0" in volume.notes[0]


def test_what_is_not_feta(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        feta.open_source(tmp_path / "none")
    save(tmp_path / "x" / "a_T2w.nii.gz", a_brain()[0])
    with pytest.raises(UserError, match=r"has no participants\.tsv"):
        feta.open_source(tmp_path / "x")
    (tmp_path / "x" / "participants.tsv").write_text("participant_id\nsub-1\n")
    with pytest.raises(UserError, match="holds no sub-x/anat"):
        feta.open_source(tmp_path / "x")


def test_an_atlas_folder_names_age_and_operation(tmp_path: Path) -> None:
    image, _ = a_brain()
    own = np.random.default_rng(1).integers(0, 9, image.shape).astype(np.uint16)
    for name in ("fetal_SB_atlas_GA25_operated", "fetal_SB_atlas_GA25_notoperated"):
        save(tmp_path / name / "srr.nii.gz", image)
        save(tmp_path / name / "parcellation.nii.gz", own)
        save(tmp_path / name / "mask.nii.gz", own)
    (tmp_path / "fetal_SB_atlas_GA31_operated").mkdir()
    source = atlas.open_source(tmp_path)
    assert [item.subject for item in source.items] == ["GA25", "GA25", "GA31"]
    volume = source.items[1].read()
    assert (volume.session, volume.gestational_age_weeks) == ("operated", 25)
    counts = np.bincount(np.asarray(volume.labels).ravel(), minlength=8)
    theirs = np.bincount(own.ravel(), minlength=9)
    assert counts[3] == theirs[1] + theirs[8]  # white matter and corpus callosum
    assert counts[1:3].tolist() == [theirs[4], theirs[5]]
    assert counts[4:].tolist() == [theirs[2], theirs[3], theirs[6], theirs[7]]
    with pytest.raises(UserError, match=r"GA31_operated/srr\.nii\.gz: is missing"):
        source.items[2].read()
    with pytest.raises(UserError, match="holds no folder such as"):
        atlas.open_source(tmp_path / "fetal_SB_atlas_GA25_operated")


def test_the_real_atlas(spina_bifida_atlas: Path) -> None:
    source = atlas.open_source(spina_bifida_atlas)
    assert source.count == 15
    volume = source.items[-1].read()
    assert volume.gestational_age_weeks == 34
    raw = read_nifti(spina_bifida_atlas / "fetal_SB_atlas_GA34_operated" / "parcellation.nii.gz")
    counts = np.bincount(np.asarray(volume.labels).ravel())
    assert counts[4] == (raw.voxels == 2).sum()
    assert counts[3] == np.isin(raw.voxels, (1, 8)).sum()


@pytest.mark.parametrize(
    ("image", "labels", "subject"),
    [
        ("a/x_T2w.nii.gz", "a/x_dseg.nii.gz", "ax"),
        ("x-3_image.nii", "x-3_label.nii.gz", "x3"),
        ("images/x.nii.gz", "labels/x.nii.gz", "x"),
        ("imagesTr/case1_0000.nii.gz", "labelsTr/case1.nii.gz", "case1"),
        ("p7/srr.nii.gz", "p7/parcellation.nii.gz", "p7"),
        ("x.nii.gz", "x_seg.nii.gz", "x"),
        (
            "sub-9/ses-2/anat/sub-9_ses-2_rec-svr_T2w.nii.gz",
            "sub-9/ses-2/anat/sub-9_ses-2_rec-svr_dseg.nii.gz",
            "9",
        ),
    ],
)
def test_layouts_of_pairs(tmp_path: Path, image: str, labels: str, subject: str) -> None:
    for name in (image, labels, "sub-0/anat/sub-0_mask.nii.gz"):
        save(tmp_path / name, a_brain()[1])
    (found,) = find_partners(tmp_path)
    assert (found.image, found.labels) == (tmp_path / image, tmp_path / labels)
    assert found.subject == subject
    if subject == "9":
        assert (found.session, found.reconstruction) == ("2", "svr")


def test_pairs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it does not exist"):
        pairs.open_source(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no NIfTI volume"):
        pairs.open_source(tmp_path / "empty")
    for name in ("x_dseg.nii.gz", "x_label.nii.gz", "x_T2w.nii.gz"):
        save(tmp_path / "two" / name, a_brain()[1])
    with pytest.raises(UserError, match=r"x_dseg\.nii\.gz would be the same volume"):
        pairs.open_source(tmp_path / "two")


def test_a_table_of_labels_and_one_of_subjects(tmp_path: Path) -> None:
    image, labels = a_brain()
    own = np.array([0, 24, 3, 2, 4, 8, 10, 16])[labels]
    for name in ("one", "two"):
        save(tmp_path / "in" / f"{name}_image.nii.gz", image)
        save(tmp_path / "in" / f"{name}_label.nii.gz", own.astype(np.int16))
    table = tmp_path / "labels.csv"
    table.write_text(
        "Label,Tissue,remark\n24,External CSF,\n3,gray matter,\n2,white_matter,\n4,4,\n"
        "8,cerebellum,x\n10,deep grey matter,\n16,Brainstem,\n99,background,\n"
    )
    people = tmp_path / "people.csv"
    people.write_text(
        "file,subject,gestational_age_weeks,Pathology,scanner\n"
        "one_image.nii.gz,P-1,28.25,ventriculomegaly,A\ntwo_image.nii.gz,P-1,n/a,,\n"
    )
    source = pairs.open_source(tmp_path / "in", labels_table=str(table), subjects=people)
    assert [item.subject for item in source.items] == ["P1", "P1"]
    volume = source.items[0].read()
    assert np.array_equal(volume.labels, labels)  # type: ignore[arg-type]
    assert volume.gestational_age_weeks == 28.25
    assert (volume.pathology, dict(volume.extra)) == ("ventriculomegaly", {"scanner": "A"})
    assert any("1 of 2 volumes without gestational age" in note for note in source.notes)
    other = pairs.open_source(tmp_path / "in")
    assert other.digest != source.digest
    with pytest.raises(UserError, match=r"has labels 8, 10, 16, 24.*--labels-table"):
        other.items[0].read()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("label,name\n1,x\n", "needs the columns label and tissue"),
        ("label,tissue\n1,whit matter\n", r"line 2: .*did you mean 'white matter'"),
        ("label,tissue\n1,8\n", "there is no tissue '8'"),
        ("label,tissue\none,2\n", "must be a whole number"),
        ("label\ttissue\n1\t2\n1\t3\n", "line 3: label 1 stands there twice"),
    ],
)
def test_wrong_label_tables(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=complaint):
        open_label_table(str(tmp_path / "t.csv"))


def test_label_tables_by_name() -> None:
    assert open_label_table("dhcp").table[9] == 2
    assert open_label_table(None).table[7] == 7
    with pytest.raises(UserError, match=r"there is no such label table.*dhcp"):
        open_label_table("nothing.csv")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name\nx\n", "needs a column participant_id or subject"),
        ("subject\n \n", "line 2: names no subject"),
        ("subject,gestational_age_weeks\nx,old\n", "must be a positive number"),
        ("subject\nx\nx\n", "a second row for x"),
        ("subject,file\nx\n", "not as many cells"),
    ],
)
def test_wrong_subject_tables(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_subject_table(tmp_path / "t.csv")


def test_an_unknown_orientation_is_said(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(a_brain()[0], None)
    for name, voxels in (("x_T2w", a_brain()[0]), ("x_dseg", a_brain()[1])):
        (tmp_path / "in").mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(voxels, None, image.header), tmp_path / f"in/{name}.nii")
    volume = pairs.open_source(tmp_path / "in").items[0].read()
    assert "does not say which way is left" in volume.notes[0]
