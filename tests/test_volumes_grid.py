"""Volumes into the model's cube and back: exact where the spacing is kept."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fetalsynth.anatomy.labels import SPINA_BIFIDA_ATLAS, map_labels
from fetalsynth.datasets.volumes.grid import (
    Grid,
    Placement,
    conform_image,
    conform_labels,
    place,
    restore_image,
    restore_labels,
)
from fetalsynth.datasets.volumes.nifti import read_nifti, whole_numbers
from fetalsynth.errors import UserError
from volume_files import a_brain, an_affine

ORDERS = [
    "".join(codes)
    for axes in permutations(range(3))
    for codes in product(*(("RL", "AP", "SI")[axis] for axis in axes))
]
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def placed(
    labels: np.ndarray, affine: np.ndarray, *, size: int, spacing_mm: float | None = None
) -> Placement:
    grid = Grid(size=size, spacing_mm=spacing_mm)
    return place(shape=labels.shape, affine=affine, labels=labels, grid=grid, where="this brain")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("order", ORDERS)
def test_kept_spacing_is_exact_both_ways_in_every_orientation(order: str) -> None:
    image, labels = a_brain()
    affine = an_affine(order, turned=0.2)
    where = placed(labels, affine, size=32)
    cube, tissue = conform_image(image, where, size=32), conform_labels(labels, where, size=32)
    assert cube.shape == tissue.shape == (32, 32, 32)
    assert np.array_equal(restore_image(cube, where), image)
    assert np.array_equal(restore_labels(tissue, where), labels)
    # the cube is what nibabel's own reordering gives, shifted by whole voxels
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(image, affine))
    shift = np.linalg.solve(where.affine, canonical.affine)[:3, 3]
    start = np.rint(shift).astype(int)
    assert np.allclose(shift, start, atol=1e-9)
    region = tuple(slice(s, s + n) for s, n in zip(start, canonical.shape, strict=True))
    assert np.array_equal(cube[region], canonical.get_fdata(dtype=np.float32))
    assert nibabel.aff2axcodes(where.affine) == ("R", "A", "S")


def test_a_cube_smaller_than_the_volume_keeps_the_labelled_brain() -> None:
    image, labels = a_brain(shape=(40, 26, 20))
    labels[:12] = labels[28:] = 0
    where = placed(labels, an_affine("PIL"), size=24)
    back = restore_image(conform_image(image, where, size=24), where)
    assert np.array_equal(back[labels > 0], image[labels > 0])
    assert not back[0].any()
    found = conform_labels(labels, where, size=24)
    rest = [np.flatnonzero(found.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    for span in rest:  # centred, to half a voxel
        assert abs((span[0] + span[-1]) / 2 - 11.5) <= 0.5


@pytest.mark.parametrize("spacing_mm", [1.3, 2.0, 3.1])
@pytest.mark.parametrize("order", ["RAS", "IPR", "LAI"])
def test_a_linear_ramp_in_mm_stays_that_ramp(order: str, spacing_mm: float) -> None:
    _, labels = a_brain()
    affine = an_affine(order, turned=0.3)
    slope = np.array([0.7, -1.1, 0.4])
    own = np.einsum("d,dijk->ijk", slope, world(affine, labels.shape)) + 100
    size = 40
    where = placed(labels, affine, size=size, spacing_mm=spacing_mm)
    cube = conform_image(own.astype(np.float32), where, size=size)
    expected = np.einsum("d,dijk->ijk", slope, world(where.affine, cube.shape)) + 100
    inside = conform_image(np.ones(labels.shape, np.float32), where, size=size) > 1 - 1e-6
    assert inside.sum() > 500
    # the widened triangle is symmetric only on average: a few hundredths of a step of the ramp
    limit = 1e-3 if spacing_mm <= 2 else 0.1 * spacing_mm
    assert np.abs(cube - expected)[inside].max() < limit
    assert not cube[conform_image(np.ones(labels.shape), where, size=size) == 0].any()


def world(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return (
        np.einsum("de,eijk->dijk", affine[:3, :3], np.indices(shape))
        + affine[:3, 3, None, None, None]
    )


def test_stripes_finer_than_the_cube_become_their_mean() -> None:
    stripes = np.zeros((48, 48, 48), np.float32)
    stripes[::2] = 1000
    where = placed(np.ones(stripes.shape, np.uint8), an_affine(spacing=1), size=16, spacing_mm=3)
    middle = conform_image(stripes, where, size=16)[4:12, 4:12, 4:12]
    assert middle.min() > 400
    assert middle.max() < 600


def test_the_label_with_the_largest_share_wins() -> None:
    """A slow sum over all voxels, with the same triangle, decides every voxel alike."""
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 2, 5], (9, 8, 7), p=[0.3, 0.4, 0.3]).astype(np.uint8)
    where = placed(labels, an_affine(spacing=1), size=6, spacing_mm=1.5)
    found = conform_labels(labels, where, size=6)
    centres = np.einsum("de,eijk->dijk", where.to_own[:3, :3], np.indices((6, 6, 6)))
    centres += where.to_own[:3, 3, None, None, None]
    for target in np.ndindex(6, 6, 6):
        weights = []
        for axis in range(3):
            every = np.arange(-4, labels.shape[axis] + 4)
            triangle = np.maximum(0, 1 - np.abs(every - centres[axis][target]) / 1.5)
            weights.append((triangle / triangle.sum())[4:-4])
        share = np.einsum("i,j,k->ijk", *weights)
        two, five = share[labels == 2].sum(), share[labels == 5].sum()
        rest = 1 - two - five
        best = max((rest, 0), (two, 2), (five, 5))
        if best[0] - sorted((rest, two, five))[1] > 1e-6:
            assert found[target] == best[1]


def test_another_spacing_and_back_keeps_thick_tissue() -> None:
    _, labels = a_brain(shape=(60, 70, 56))
    where = placed(labels, an_affine("AIL", spacing=1, turned=0.1), size=72, spacing_mm=1.3)
    back = restore_labels(conform_labels(labels, where, size=72), where)
    for label in range(1, 8):
        assert dice(back == label, labels == label) > 0.93


def test_real_tissue_at_half_as_much_again(spina_bifida_atlas: Path) -> None:
    """0.8 mm → 1.2 mm → 0.8 mm: the folded cortex suffers most."""
    folder = spina_bifida_atlas / "fetal_SB_atlas_GA34_operated"
    file = read_nifti(folder / "parcellation.nii.gz")
    labels = map_labels(whole_numbers(file), table=SPINA_BIFIDA_ATLAS)
    where = placed(labels, file.affine, size=128, spacing_mm=1.2)
    back = restore_labels(conform_labels(labels, where, size=128), where)
    scores = [dice(back == label, labels == label) for label in range(1, 8)]
    assert min(scores) > 0.9
    assert np.mean(scores) > 0.94


@pytest.mark.parametrize("name", ["sub-01_run-1", "sub-01_run-3", "sub-01_run-5"])
def test_real_oblique_scans_come_back_exactly(name: str) -> None:
    path = REAL_DATA / "mialsrtk_sub01" / "sub-01" / "anat" / f"{name}_T2w.nii.gz"
    if not path.is_file():
        pytest.skip("the MIALSRTK sample subject is not beside this checkout")
    scan = read_nifti(path)
    mask = np.zeros(scan.voxels.shape, np.uint8)
    mask[100:220, 90:230, 2:20] = scan.voxels[100:220, 90:230, 2:20] > 50
    where = placed(mask, scan.affine, size=144)
    image = restore_image(conform_image(scan.voxels, where, size=144), where)
    assert np.array_equal(image[mask > 0], scan.voxels[mask > 0].astype(np.float32))
    assert np.array_equal(restore_labels(conform_labels(mask, where, size=144), where), mask)
    assert nibabel.aff2axcodes(where.affine) == ("R", "A", "S")


def test_what_does_not_fit_names_what_would() -> None:
    _, labels = a_brain(shape=(40, 50, 44))
    affine = an_affine(spacing=1)
    with pytest.raises(UserError, match=r"this brain: .* a size of 64 or a spacing of 1\.\d+ mm"):
        placed(labels, affine, size=32)
    placed(labels, affine, size=64)
    with pytest.raises(UserError) as error:
        placed(labels, affine, size=32)
    spacing = float(str(error.value).split("spacing of ")[1].split(" mm")[0])
    placed(labels, affine, size=32, spacing_mm=spacing)
    with pytest.raises(UserError, match="does not fit"):
        placed(labels, affine, size=32, spacing_mm=spacing - 0.03)


def test_background_only_cannot_be_placed() -> None:
    with pytest.raises(UserError, match="every voxel is background"):
        placed(np.zeros((5, 5, 5), np.uint8), np.eye(4), size=8)


def test_spacings_that_differ_by_rounding_are_one() -> None:
    image, labels = a_brain()
    affine = an_affine(spacing=0.799999)
    where = placed(labels, affine, size=32, spacing_mm=0.8)
    assert np.array_equal(restore_image(conform_image(image, where, size=32), where), image)
