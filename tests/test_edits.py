"""Edits of anatomy on a head of ellipsoids and tubes whose measures are known in closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fetalsynth.anatomy.deformation import jacobian
from fetalsynth.anatomy.edits.components import component_counts, keep_components
from fetalsynth.anatomy.edits.dilation import dilation
from fetalsynth.anatomy.edits.flow import box_around
from fetalsynth.anatomy.edits.incompressible import keep_volume
from fetalsynth.anatomy.edits.microcephaly import microcephaly
from fetalsynth.anatomy.edits.result import EditResult
from fetalsynth.anatomy.edits.ventriculomegaly import ventriculomegaly, widths
from fetalsynth.anatomy.edits.volumes import cerebellar_hypoplasia, external_csf
from fetalsynth.anatomy.labels import (
    BRAINSTEM,
    CEREBELLUM,
    DEEP_GREY_MATTER,
    EXTERNAL_CSF,
    GREY_MATTER,
    VENTRICLES,
    WHITE_MATTER,
)
from fetalsynth.anatomy.measure import measure
from toy_brain import ToyBrain

SPACING = (2.0, 2.0, 2.0)
VOXEL_ML = float(np.prod(SPACING)) / 1000


@cache
def _head() -> tuple[np.ndarray, np.ndarray]:
    return ToyBrain(left_mm=9, right_mm=9).volume(spacing_mm=SPACING)


@cache
def _wide() -> EditResult:
    labels, affine = _head()
    return ventriculomegaly(labels, affine, atrial_width_mm=14)


def test_both_atria_reach_the_target_as_measured_anew() -> None:
    labels, affine = _head()
    result = _wide()
    measured = measure(result.labels, affine).atrial_width_mm
    assert measured == pytest.approx((14, 14), abs=0.5)
    assert widths(labels, affine) == pytest.approx((9, 9), abs=0.8)
    assert result.report["reached"] is True


def test_nothing_folds_and_every_part_of_every_tissue_stays() -> None:
    labels, _ = _head()
    result = _wide()
    assert result.report["folded_voxels"] == 0
    assert result.report["min_jacobian"] > 0
    assert component_counts(result.labels) == component_counts(labels)
    assert result.report["parts_unchanged"] is True
    assert result.report["tissues_lost"] == []


def test_ventricles_grow_at_the_expense_of_fluid_outside_and_the_posterior_fossa_stays() -> None:
    labels, _ = _head()
    after = _wide().labels
    # a tube that gets wider by 14/9 at one place holds more, and tissue makes room for it
    assert (after == VENTRICLES).sum() > 1.6 * (labels == VENTRICLES).sum()
    gained = (after == VENTRICLES).sum() - (labels == VENTRICLES).sum()
    assert (after > 0).sum() - (labels > 0).sum() < gained
    assert (after == EXTERNAL_CSF).sum() < (labels == EXTERNAL_CSF).sum()
    for label in (CEREBELLUM, BRAINSTEM, DEEP_GREY_MATTER):
        same = (after == label) & (labels == label)
        assert 2 * same.sum() / ((after == label).sum() + (labels == label).sum()) > 0.9


def test_the_cortex_moves_outward_instead_of_being_overwritten() -> None:
    labels, _ = _head()
    after = _wide().labels
    inside_before = np.isin(labels, (GREY_MATTER, WHITE_MATTER, VENTRICLES, DEEP_GREY_MATTER))
    inside_after = np.isin(after, (GREY_MATTER, WHITE_MATTER, VENTRICLES, DEEP_GREY_MATTER))
    assert inside_after.sum() > inside_before.sum()
    assert (after == GREY_MATTER).sum() > 0.8 * (labels == GREY_MATTER).sum()


def test_the_image_moves_with_its_labels() -> None:
    labels, _ = _head()
    result = _wide()
    assert result.warp is not None
    levels = np.array([0, 3000, 900, 1500, 4000, 1100, 1000, 1200], np.float32)
    moved = result.warp.image(levels[labels])
    want = levels[result.labels]
    core = result.labels == VENTRICLES
    assert np.median(np.abs(moved - want)) < 1
    assert np.corrcoef(moved.ravel(), want.ravel())[0, 1] > 0.97
    assert np.median(moved[core]) == pytest.approx(4000, rel=0.01)


def test_one_side_only() -> None:
    labels, affine = _head()
    result = ventriculomegaly(labels, affine, atrial_width_mm=12, side="left")
    left, right = measure(result.labels, affine).atrial_width_mm
    assert left == pytest.approx(12, abs=0.5)
    assert right == pytest.approx(widths(labels, affine)[1], abs=0.4)


@pytest.mark.slow
def test_narrower_is_possible_too() -> None:
    labels, affine = ToyBrain(left_mm=14, right_mm=12).volume(spacing_mm=SPACING)
    result = ventriculomegaly(labels, affine, atrial_width_mm=10)
    assert measure(result.labels, affine).atrial_width_mm == pytest.approx((10, 10), abs=0.5)
    assert result.report["folded_voxels"] == 0


def test_a_target_volume() -> None:
    labels, affine = _head()
    before = (labels == VENTRICLES).sum() * VOXEL_ML
    result = ventriculomegaly(labels, affine, volume_ml=1.5 * before)
    assert (result.labels == VENTRICLES).sum() * VOXEL_ML == pytest.approx(1.5 * before, rel=0.02)


def test_targets_that_make_no_sense_are_refused() -> None:
    labels, affine = _head()
    with pytest.raises(ValueError, match="give an atrial width or a volume"):
        ventriculomegaly(labels, affine)
    with pytest.raises(ValueError, match="not positive"):
        ventriculomegaly(labels, affine, atrial_width_mm=-3)
    without = np.where(labels == VENTRICLES, np.uint8(WHITE_MATTER), labels)
    with pytest.raises(ValueError, match="no atrium"):
        ventriculomegaly(without, affine, atrial_width_mm=12)


def test_dilation_grows_by_one_voxel_a_step_and_says_what_it_destroys() -> None:
    labels = np.full((21, 21, 21), WHITE_MATTER, np.uint8)
    labels[10, 10, 10] = VENTRICLES
    labels[12:, :, :] = GREY_MATTER
    result = dilation(labels, np.eye(4), steps=3)
    steps = np.abs(np.indices(labels.shape) - 10).sum(axis=0)
    assert ((result.labels == VENTRICLES) == (steps <= 3)).all()
    taken = {"grey matter": (steps <= 3) & (labels == GREY_MATTER)}
    assert result.report["destroyed_ml"]["grey matter"] == pytest.approx(
        float(taken["grey matter"].sum()) / 1000
    )
    spared = dilation(labels, np.eye(4), steps=3, only_white_matter=True)
    assert (spared.labels[labels == GREY_MATTER] == GREY_MATTER).all()


def test_a_smaller_head_is_a_similarity() -> None:
    labels, affine = _head()
    before = measure(labels, affine).hc_mm
    result = microcephaly(labels, affine, hc_mm=0.85 * before)
    assert measure(result.labels, affine).hc_mm == pytest.approx(0.85 * before, rel=0.01)
    volumes = [
        (result.labels == label).sum() / (labels == label).sum()
        for label in (WHITE_MATTER, EXTERNAL_CSF)
    ]
    assert volumes == pytest.approx([0.85**3] * 2, rel=0.05)
    assert result.warp is not None
    inside = jacobian(result.warp.displacement, spacing_mm=SPACING)
    assert float((inside * 0.85**3 - 1).abs().max()) < 0.01


def test_a_smaller_cerebellum_leaves_the_cerebrum_alone() -> None:
    labels, affine = _head()
    result = cerebellar_hypoplasia(labels, affine, share=0.6)
    ratio = (result.labels == CEREBELLUM).sum() / (labels == CEREBELLUM).sum()
    assert ratio == pytest.approx(0.6, abs=0.02)
    assert (result.labels == EXTERNAL_CSF).sum() > (labels == EXTERNAL_CSF).sum()
    upper = np.isin(labels, (DEEP_GREY_MATTER, VENTRICLES))
    assert (result.labels[upper] == labels[upper]).mean() > 0.98
    assert result.report["folded_voxels"] == 0
    assert result.report["parts_unchanged"] is True


def test_more_external_csf_in_the_same_head() -> None:
    labels, affine = _head()
    result = external_csf(labels, affine, times=1.3)
    ratio = (result.labels == EXTERNAL_CSF).sum() / (labels == EXTERNAL_CSF).sum()
    assert ratio == pytest.approx(1.3, rel=0.015)
    differing = ((result.labels > 0) != (labels > 0)).sum()
    assert differing < 0.01 * (labels > 0).sum()
    assert (result.labels == WHITE_MATTER).sum() < (labels == WHITE_MATTER).sum()
    assert result.report["folded_voxels"] == 0


def test_a_cut_sheet_is_joined_and_a_lost_part_comes_back() -> None:
    before = np.full((20, 20, 20), WHITE_MATTER, np.uint8)
    before[10, 2:18, 2:18] = GREY_MATTER
    before[3, 3, 3] = CEREBELLUM
    after = before.copy()
    after[10, :, 9:11] = WHITE_MATTER  # a gap of two voxels right through the sheet
    after[3, 3, 3] = WHITE_MATTER
    source = np.indices(before.shape).astype(np.float32)
    mended, changed = keep_components(before, after, source)
    assert component_counts(mended) == component_counts(before)
    assert 0 < changed < 10


def test_the_box_gives_back_what_lies_beyond_it() -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[0:4, 12:16, 25:30] = 3
    box = box_around(labels, spacing_mm=(0.5, 1.0, 2.0))
    assert (box.paste(box.cut(labels), np.zeros_like(labels)) == labels).all()
    assert box.factor == (2, 1, 1)
    with pytest.raises(ValueError, match="background"):
        box_around(np.zeros((4, 4, 4), np.uint8), spacing_mm=(1, 1, 1))


def test_of_a_velocity_only_the_part_that_changes_no_volume_is_kept() -> None:
    shape, spacing = (48, 44, 46), (1.2, 1.3, 1.1)
    x, y, z = (
        (along - (n - 1) / 2) * step
        for along, n, step in zip(np.indices(shape), shape, spacing, strict=True)
    )
    bell = np.exp(-(x**2 + y**2 + z**2) / (2 * 6.0**2))
    everywhere, nothing = np.ones(shape, bool), np.zeros(shape, bool)
    swelling = np.stack([x * bell, y * bell, z * bell]).astype(np.float32)  # a gradient
    kept = keep_volume(swelling, everywhere, nothing, spacing_mm=spacing)
    assert np.abs(kept).max() < 0.03 * np.abs(swelling).max()
    turning = np.stack([-y * bell, x * bell, 0 * bell]).astype(np.float32)  # free of divergence
    kept = keep_volume(turning, everywhere, nothing, spacing_mm=spacing)
    assert np.corrcoef(kept.ravel(), turning.ravel())[0, 1] > 0.99
    still = keep_volume(turning, everywhere, x > 0, spacing_mm=spacing)
    assert np.abs(still[:, x > 5]).max() < 1e-3


def test_white_matter_neither_swells_nor_shrinks_much() -> None:
    labels, _ = _head()
    ratio = (_wide().labels == WHITE_MATTER).sum() / (labels == WHITE_MATTER).sum()
    assert 0.93 < ratio < 1.05
