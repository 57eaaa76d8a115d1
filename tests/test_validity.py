"""Checks of label maps: planted faults are found, the atlas passes, copies are recognised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fetalsynth.anatomy import labels as tissue
from fetalsynth.anatomy.validity import Validity, check
from fetalsynth.anatomy.validity_novelty import mean_dice, nearest_dice, stand_upright
from fetalsynth.anatomy.validity_signs import contact_table, parts_of, smoothness_of
from fetalsynth.datasets.volumes.atlas import open_source
from toy_brain import ToyBrain

Labels = NDArray[np.uint8]
Volume = tuple[Labels, NDArray[np.float64]]


@pytest.fixture(scope="module")
def toy() -> Volume:
    return ToyBrain().volume()


def _failed(validity: Validity) -> set[str]:
    return {one.name for one in validity.failed}


def test_a_whole_head_passes(toy: Volume) -> None:
    validity = check(*toy)
    assert validity.valid
    unjudged = {one.name for one in validity.checks if one.verdict == "unjudged"}
    assert {"smallest Jacobian", "nearest training map", "cerebrum, volume"} <= unjudged


def test_a_missing_tissue_fails(toy: Volume) -> None:
    labels, affine = toy[0].copy(), toy[1]
    labels[labels == tissue.BRAINSTEM] = tissue.EXTERNAL_CSF
    assert {"tissues", "brainstem, parts"} <= _failed(check(labels, affine))


def test_loose_parts_fail(toy: Volume) -> None:
    labels, affine = toy[0].copy(), toy[1]
    white = np.argwhere(labels == tissue.WHITE_MATTER)
    for place in white[np.random.default_rng(1).choice(len(white), 40, replace=False)]:
        i, j, k = place
        labels[i : i + 2, j : j + 2, k : k + 2] = tissue.DEEP_GREY_MATTER
    assert {"deep grey matter, loose", "deep grey matter, parts"} & _failed(check(labels, affine))


def test_ventricles_that_break_through_fail(toy: Volume) -> None:
    labels, affine = toy[0].copy(), toy[1]
    middle = labels.shape[2] // 2
    hole = labels[:, : labels.shape[1] // 2, middle - 6 : middle + 6]
    hole[np.isin(hole, (tissue.WHITE_MATTER, tissue.GREY_MATTER))] = tissue.VENTRICLES
    assert "ventricles on external CSF" in _failed(check(labels, affine))


def test_a_displaced_slice_fails(toy: Volume) -> None:
    labels, affine = toy[0].copy(), toy[1]
    middle = labels.shape[2] // 2
    labels[:, :, middle] = 0
    assert _failed(check(labels, affine)) >= {"worst slice"}


def test_slices_that_jump_fail(toy: Volume) -> None:
    labels, affine = toy
    rng = np.random.default_rng(5)
    shifts = rng.integers(-3, 4, labels.shape[2])
    shaken = np.stack([np.roll(labels[:, :, k], s, axis=0) for k, s in enumerate(shifts)], axis=2)
    assert "slice to slice" in _failed(check(shaken, affine))
    assert smoothness_of(labels).growth > 1.7
    assert smoothness_of(shaken).growth < 1.4


def test_half_a_head_is_not_symmetric(toy: Volume) -> None:
    labels, affine = toy[0].copy(), toy[1]
    half = labels[: labels.shape[0] // 2]
    half[half > 0] = np.random.default_rng(2).integers(1, 8, np.count_nonzero(half))
    assert "symmetry" in _failed(check(labels, affine))


def test_size_is_judged_by_age(toy: Volume) -> None:
    small = _failed(check(*toy, gestational_age_weeks=40))
    assert "cerebrum, volume" in small
    assert "cerebrum, volume" not in _failed(check(*toy, gestational_age_weeks=31))


@pytest.mark.parametrize(("jacobian", "fails"), [(0.2, False), (0.0, True), (-0.1, True)])
def test_folds_fail(toy: Volume, jacobian: float, fails: bool) -> None:
    assert ("smallest Jacobian" in _failed(check(*toy, min_jacobian=jacobian))) == fails


def test_copies_are_recognised_however_they_lie(toy: Volume) -> None:
    training = [stand_upright(*toy)]
    turned = ToyBrain().volume(turn_deg=(9, -14, 20), spacing_mm=(1.0, 1.0, 1.2))
    assert "nearest training map" in _failed(check(*turned, training=training))
    other = ToyBrain(left_mm=20, right_mm=18, head=(36, 45, 42), cerebellum_mm=36).volume()
    assert "nearest training map" not in _failed(check(*other, training=training))


def test_dice_of_label_maps() -> None:
    one = np.array([[1, 1, 2, 2]], np.uint8)
    other = np.array([[1, 0, 2, 2]], np.uint8)
    assert mean_dice(one, one) == 1
    assert mean_dice(one, other) == pytest.approx((2 / 3 + 1) / 2)
    assert nearest_dice(one, [other, one]) == 1
    with pytest.raises(ValueError, match="at least one"):
        nearest_dice(one, [])


def test_contacts_of_a_cube_in_a_box() -> None:
    labels = np.full((9, 9, 9), tissue.WHITE_MATTER, np.uint8)
    labels[3:6, 3:6, 3:6] = tissue.VENTRICLES
    table = contact_table(labels, np.diag([1.0, 1, 2, 1]), kinds=8)
    inner, outer = 2 * (9 + 18 + 18), 2 * (81 + 162 + 162)
    assert table[tissue.VENTRICLES, tissue.WHITE_MATTER] == 1
    share = table[tissue.WHITE_MATTER, tissue.VENTRICLES]
    assert share == pytest.approx(inner / (inner + outer))
    np.testing.assert_allclose(table.sum(axis=1)[[0, 3, 4]], 1)
    assert not table[tissue.CEREBELLUM].any()


def test_parts_are_counted_by_size() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[:10, :10, :10] = True
    mask[12:15, 12:15, 12:15] = True
    mask[18, 18, 18] = True
    parts = parts_of(mask, np.diag([1.0, 1, 1, 1]))
    assert parts.count == 2
    assert parts.loose == pytest.approx(1 / 1028)


def test_thick_slices_are_not_judged_for_smoothness() -> None:
    validity = check(*ToyBrain().volume(spacing_mm=(1.2, 1.2, 3.0)))
    verdicts = {one.name: one.verdict for one in validity.checks}
    assert verdicts["slice to slice"] == verdicts["worst slice"] == "unjudged"


@pytest.mark.parametrize("name", ["GA21_notoperated", "GA34_operated"])
def test_the_atlas_passes_and_is_new_to_its_neighbour(spina_bifida_atlas: Path, name: str) -> None:
    near = "GA22_notoperated" if name.startswith("GA21") else "GA33_operated"
    volume, other = (
        next(
            item for item in open_source(spina_bifida_atlas).items if item.name.endswith(one)
        ).read()
        for one in (name, near)
    )
    assert volume.labels is not None
    assert other.labels is not None
    validity = check(
        volume.labels,
        volume.affine,
        gestational_age_weeks=volume.gestational_age_weeks,
        training=[stand_upright(other.labels, other.affine)],
    )
    assert validity.valid, validity.failed
