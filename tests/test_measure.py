"""Measures of label maps against closed forms, invariances and values read off by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fetalsynth.anatomy import labels as tissue
from fetalsynth.anatomy.biometry import ellipse_circumference, growth_mean_mm
from fetalsynth.anatomy.measure import Measurements, measure
from fetalsynth.anatomy.measure.centiles import head_centile, ventriculomegaly_grade
from fetalsynth.anatomy.measure.cortex import cortical_thickness
from fetalsynth.anatomy.measure.frame import find_frame, header_axes
from fetalsynth.anatomy.measure.measuring import columns
from fetalsynth.anatomy.measure.picture import PANEL, annotated_picture
from fetalsynth.datasets.phantoms.brain import open_source as phantoms
from fetalsynth.datasets.volumes.atlas import open_source
from toy_brain import ToyBrain

CUBES = {
    "0.8 mm": {"spacing_mm": (0.8, 0.8, 0.8)},
    "1.2 mm": {"spacing_mm": (1.2, 1.2, 1.2)},
    "thick slices": {"spacing_mm": (0.8, 0.8, 1.6)},
    "a little turned": {"turn_deg": (8.0, -6.0, 11.0)},
    "lying on its side": {"turn_deg": (70.0, 25.0, -50.0)},
    "thick and turned": {"spacing_mm": (1.5, 0.9, 0.9), "turn_deg": (-20.0, 15.0, 10.0)},
}


def _measured(brain: ToyBrain, **grid: tuple[float, float, float]) -> Measurements:
    return measure(*brain.volume(**grid))


@pytest.mark.parametrize("grid", CUBES.values(), ids=CUBES.keys())
def test_a_head_of_known_size(grid: dict[str, tuple[float, float, float]]) -> None:
    brain = ToyBrain()
    measured = _measured(brain, **grid)
    left, right = measured.atrial_width_mm
    voxel = max(grid.get("spacing_mm", (1.1,)))
    assert left == pytest.approx(9, abs=0.45 * voxel)
    assert right == pytest.approx(12, abs=0.45 * voxel)
    assert measured.bpd_mm == pytest.approx(80, abs=0.7 * voxel)
    assert measured.ofd_mm == pytest.approx(100, abs=0.7 * voxel)
    circumference = ellipse_circumference(semi_major=50, semi_minor=40)
    assert measured.hc_mm == pytest.approx(circumference, rel=0.008)
    assert measured.tcd_mm == pytest.approx(42, abs=0.7 * voxel)
    volumes = measured.volumes
    assert volumes.left_ml["ventricles"] == pytest.approx(brain.ventricle_ml(9), rel=0.03)
    assert volumes.right_ml["ventricles"] == pytest.approx(brain.ventricle_ml(12), rel=0.03)
    assert volumes.right_ml["deep grey matter"] == pytest.approx(brain.deep_ml, rel=0.03)


@pytest.mark.parametrize("width", [5.0, 10.0, 20.0])
def test_width_follows_the_ventricle(width: float) -> None:
    measured = _measured(ToyBrain(left_mm=width, right_mm=8))
    left, right = measured.atrial_width_mm
    assert left == pytest.approx(width, abs=0.55)  # half a voxel
    assert right == pytest.approx(8, abs=0.55)


def test_ventricles_that_are_one_end_at_the_midline() -> None:
    left, right = _measured(ToyBrain(joined=True)).atrial_width_mm
    assert left is not None
    assert right is not None
    assert 9 <= left <= 24
    assert 12 <= right <= 24


def test_order_and_direction_of_axes_change_nothing() -> None:
    labels, affine = ToyBrain().volume(turn_deg=(5, 9, -4))
    straight = columns(measure(labels, affine))
    turned = np.zeros((4, 4))
    turned[2, 0], turned[0, 1], turned[1, 2], turned[3, 3] = 1, -1, 1, 1
    turned[0, 3] = labels.shape[0] - 1
    other = np.ascontiguousarray(labels[::-1].transpose(2, 0, 1))
    for name, value in columns(measure(other, affine @ turned)).items():
        if isinstance(value, float):
            assert value == pytest.approx(straight[name], rel=0.01, abs=0.1), name
        else:
            assert value == straight[name]


def test_a_mirrored_head_swaps_its_sides() -> None:
    labels, affine = ToyBrain().volume()
    left, right = measure(labels[::-1].copy(), affine).atrial_width_mm
    assert left == pytest.approx(12, abs=0.3)
    assert right == pytest.approx(9, abs=0.3)


def test_left_is_where_x_is_small() -> None:
    labels, affine = ToyBrain().volume()
    measured = measure(labels, affine)
    assert measured.atrium_left is not None
    assert measured.atrium_left.start[0] < 3 < measured.frame.world(np.array([9.0, 0, 0]))[0]


@pytest.mark.parametrize("turn", [(6, -8, 15), (40, 30, -35)])
def test_the_midsagittal_plane_is_found(turn: tuple[float, float, float]) -> None:
    frame = find_frame(*ToyBrain().volume(turn_deg=turn))
    truth = Rotation.from_euler("xyz", turn, degrees=True).as_matrix().T
    angle = np.degrees(np.arccos(np.clip((frame.axes * truth).sum(axis=1), -1, 1)))
    assert angle.max() < 1.0
    assert abs((frame.origin - (3, -7, 11)) @ truth[0]) < 0.4
    assert np.linalg.det(frame.axes) == pytest.approx(1)


def test_a_ball_keeps_the_axes_of_its_volume() -> None:
    x, y, z = np.indices((60, 60, 60)) - 30
    ball = ((x**2 + y**2 + z**2) < 24**2).astype(np.uint8) * tissue.WHITE_MATTER
    frame = find_frame(ball, np.diag([1.0, 1, 1, 1]))
    assert frame.turn_deg < 6
    assert frame.symmetry > 0.98


def test_axes_of_a_header_in_any_order() -> None:
    turn = Rotation.from_euler("xyz", (7, 4, -9), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = (turn * [0.5, 0.7, 2.0])[:, [2, 0, 1]] * [1, -1, -1]
    np.testing.assert_allclose(header_axes(affine), turn.T, atol=1e-9)


@pytest.mark.parametrize(
    "spacing", [(0.5, 0.5, 0.5), (0.8, 0.8, 0.8), (0.5, 0.5, 1.0)], ids=["fine", "atlas", "thick"]
)
@pytest.mark.parametrize("thickness", [1.5, 2.5])
def test_thickness_of_a_shell(spacing: tuple[float, float, float], thickness: float) -> None:
    affine = np.diag([*spacing, 1.0])
    half = [int(26 / step) for step in spacing]
    grid = np.moveaxis(np.indices([2 * n + 1 for n in half]), 0, -1) - half
    radius = np.linalg.norm(grid * spacing - (0.13, 0.21, 0.34), axis=-1)
    shell = np.zeros(radius.shape, np.uint8)
    shell[radius < 24] = tissue.EXTERNAL_CSF
    shell[radius < 20 + thickness] = tissue.GREY_MATTER
    shell[radius < 20] = tissue.WHITE_MATTER
    found = cortical_thickness(shell, affine)
    assert found is not None
    assert found.median_mm == pytest.approx(thickness, abs=0.12)
    assert found.upper_quartile_mm - found.lower_quartile_mm < 0.35


def test_stray_labels_do_not_thicken_the_cortex() -> None:
    labels, affine = ToyBrain().volume()
    clean = cortical_thickness(labels, affine)
    rng = np.random.default_rng(3)
    white = np.argwhere(labels == tissue.WHITE_MATTER)
    labels[tuple(white[rng.choice(len(white), 300, replace=False)].T)] = tissue.GREY_MATTER
    stray = cortical_thickness(labels, affine)
    assert clean is not None
    assert stray is not None
    assert stray.median_mm == pytest.approx(clean.median_mm, abs=0.02)


def test_what_is_not_there_is_not_measured() -> None:
    labels, affine = ToyBrain().volume(spacing_mm=(1.5, 1.5, 1.5))
    for missing in (tissue.VENTRICLES, tissue.CEREBELLUM, tissue.GREY_MATTER):
        labels[labels == missing] = tissue.WHITE_MATTER
    measured = measure(labels, affine)
    assert measured.atrial_width_mm == (None, None)
    assert measured.tcd_mm is None
    assert measured.cortical_thickness_mm is None
    assert columns(measured)["ventriculomegaly"] is None


def test_errors_name_what_is_wrong() -> None:
    empty = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="empty"):
        measure(empty, np.eye(4))
    with pytest.raises(ValueError, match="label 9"):
        measure(np.full((4, 4, 4), 9, np.uint8), np.eye(4))


@pytest.mark.parametrize(
    ("width", "grade"),
    [
        (9.9, "normal"),
        (10, "mild"),
        (12, "mild"),
        (12.1, "moderate"),
        (14.9, "moderate"),
        (15, "severe"),
    ],
)
def test_grades_of_ventriculomegaly(width: float, grade: str) -> None:
    assert ventriculomegaly_grade(atrial_width_mm=width) == grade


def test_centiles_of_the_head() -> None:
    mean = growth_mean_mm("head_circumference", gestational_age_weeks=28)
    middle = head_centile("head_circumference", value_mm=mean, gestational_age_weeks=28)
    assert middle == pytest.approx(50)
    for age in (None, 9.0, 60.0):
        value = head_centile("head_circumference", value_mm=mean, gestational_age_weeks=age)
        assert value is None


def test_the_picture_shows_the_lines() -> None:
    labels, affine = ToyBrain().volume(spacing_mm=(1.2, 1.2, 1.2))
    measured = measure(labels, affine, gestational_age_weeks=28)
    picture = annotated_picture(labels, affine, measured, title="toy")
    yellow = (picture == (255, 235, 80)).all(axis=-1)
    panel = yellow[8 : 8 + PANEL, 8 : 8 + PANEL]
    columns_with_line = np.flatnonzero(panel.any(axis=0))
    assert columns_with_line.min() < PANEL / 2 < columns_with_line.max()
    image = np.where(labels > 0, 100.0 + 10 * labels, 0.0).astype(np.float32)
    grey = annotated_picture(labels, affine, measured, title="toy", image=image)
    spread = grey[8 : 8 + PANEL, 8 : 8 + PANEL].astype(int)
    coloured = np.ptp(spread, axis=-1) > 0
    assert coloured.mean() < 0.05


# Read off slices drawn with a millimetre grid, to about 0.5 mm, before the widths were computed
# for good: axial plane at the atria, across the ventricle behind the thalamus.
BY_EYE_MM = {
    "fetal_SB_atlas_GA22_notoperated": 11.8,
    "fetal_SB_atlas_GA25_notoperated": 16.2,
    "fetal_SB_atlas_GA28_operated": 13.6,
    "fetal_SB_atlas_GA32_operated": 17.8,
}


@pytest.mark.parametrize(("name", "width"), BY_EYE_MM.items())
def test_widths_read_off_by_eye(spina_bifida_atlas: Path, name: str, width: float) -> None:
    labels, affine = _atlas(spina_bifida_atlas, name)
    for side in measure(labels, affine).atrial_width_mm:
        assert side == pytest.approx(width, abs=0.6)


def _atlas(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    item = next(i for i in open_source(folder).items if i.name.endswith(name))
    volume = item.read()
    assert volume.labels is not None
    return volume.labels, volume.affine


def test_phantom_brains_measure_what_they_were_made_with() -> None:
    volume = phantoms(count=1, seed=3).items[0].read()
    assert volume.labels is not None
    measured = measure(volume.labels, volume.affine)
    truth = {name: float(volume.extra[name]) for name in volume.extra}
    assert measured.tcd_mm == pytest.approx(truth["cerebellar_diameter_mm"], abs=1.2)
    # From the outer border of the skull to its inner one, 2 to 5 mm in all.
    assert 1.5 < truth["biparietal_diameter_mm"] - measured.bpd_mm < 5.5
    assert 2 < truth["occipitofrontal_diameter_mm"] - measured.ofd_mm < 6
    assert measured.volumes_ml["ventricles"] == pytest.approx(truth["ventricles_ml"], rel=1e-3)
