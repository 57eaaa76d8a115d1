"""Ellipses against an independent fit, exact integrals and invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipe
from skimage.draw import ellipse as draw_ellipse
from skimage.measure import EllipseModel

from fetalsynth.anatomy.ellipse import (
    Ellipse,
    ellipse_area,
    ellipse_circumference,
    ellipse_columns,
    ellipse_from_columns,
    ellipse_mask,
    fit_ellipse,
    map_ellipse,
    scale_ellipse,
)

HEAD = Ellipse(
    center_x_px=400.5, center_y_px=260.25, semi_major_px=180, semi_minor_px=140, angle_deg=-25
)


def boundary(ellipse: Ellipse, *, start: float = 0, stop: float = 2 * math.pi) -> np.ndarray:
    t = np.linspace(start, stop, 200, endpoint=False)
    angle = math.radians(ellipse.angle_deg)
    along, across = ellipse.semi_major_px * np.cos(t), ellipse.semi_minor_px * np.sin(t)
    x = ellipse.center_x_px + along * math.cos(angle) - across * math.sin(angle)
    y = ellipse.center_y_px + along * math.sin(angle) + across * math.cos(angle)
    return np.column_stack([x, y])


ellipses = st.builds(
    Ellipse,
    center_x_px=st.floats(-500, 500),
    center_y_px=st.floats(-500, 500),
    semi_major_px=st.floats(60, 300),
    semi_minor_px=st.floats(20, 55),
    angle_deg=st.floats(-89, 89),
)


@settings(deadline=None, max_examples=60)
@given(ellipses)
def test_exact_points_give_the_ellipse_back(ellipse: Ellipse) -> None:
    found = fit_ellipse(boundary(ellipse))
    for name, value in vars(ellipse).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_noisy_arc_agrees_with_scikit_image() -> None:
    rng = np.random.default_rng(0)
    points = boundary(HEAD, stop=1.4 * math.pi) + rng.normal(0, 0.7, (200, 2))
    found = fit_ellipse(points)
    model = EllipseModel()
    model.estimate(points)
    x, y, a, b, _ = model.params
    assert found.center_x_px == pytest.approx(x, abs=1e-3)
    assert found.center_y_px == pytest.approx(y, abs=1e-3)
    assert found.semi_major_px == pytest.approx(max(a, b), abs=1e-3)
    assert found.semi_minor_px == pytest.approx(min(a, b), abs=1e-3)
    assert found.semi_major_px == pytest.approx(180, abs=1.5)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((4, 2)),
        np.zeros((9, 2)),
        np.column_stack([np.arange(9.0), 2 * np.arange(9.0)]),
        np.full((9, 2), np.nan),
    ],
)
def test_points_on_no_ellipse_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="ellipse"):
        fit_ellipse(points)


@pytest.mark.parametrize("ratio", [0.5, 0.78, 1.0])
def test_circumference_against_the_elliptic_integral(ratio: float) -> None:
    ellipse = Ellipse(
        center_x_px=0, center_y_px=0, semi_major_px=90, semi_minor_px=90 * ratio, angle_deg=0
    )
    exact = 4 * 90 * ellipe(1 - ratio**2)
    assert ellipse_circumference(ellipse) == pytest.approx(exact, rel=1e-8)


def test_mask_against_scikit_image_and_the_area() -> None:
    mask = ellipse_mask(HEAD, height=540, width=800)
    reference = np.zeros((540, 800), np.uint8)
    rotation = -math.radians(HEAD.angle_deg)
    reference[draw_ellipse(260.25, 400.5, 140, 180, rotation=rotation, shape=(540, 800))] = 255
    assert np.mean(mask != reference) < 1e-4
    assert np.count_nonzero(mask) == pytest.approx(ellipse_area(HEAD), rel=1e-3)


def test_mask_of_an_ellipse_that_leaves_the_grid() -> None:
    whole = ellipse_mask(HEAD, height=540, width=800)
    for left, top in ((300, 200), (450, 0), (0, 300), (790, 530)):
        moved = map_ellipse(HEAD, matrix=np.eye(2), shift=(-left, -top))
        assert np.array_equal(
            ellipse_mask(moved, height=540 - top, width=800 - left), whole[top:, left:]
        )
    away = map_ellipse(HEAD, matrix=np.eye(2), shift=(-2000, 3000))
    assert not ellipse_mask(away, height=540, width=800).any()


@settings(deadline=None, max_examples=40)
@given(ellipses, st.floats(0.05, 3), st.floats(0.05, 3), st.floats(-9, 9))
def test_mapped_ellipse_passes_through_the_mapped_points(
    ellipse: Ellipse, x: float, y: float, shear: float
) -> None:
    matrix = np.array([[x, shear * 0.1], [0, y]])
    mapped = map_ellipse(ellipse, matrix=matrix, shift=(3, -4))
    points = boundary(ellipse) @ matrix.T + [3, -4]
    angle = math.radians(mapped.angle_deg)
    dx, dy = points[:, 0] - mapped.center_x_px, points[:, 1] - mapped.center_y_px
    along = (dx * math.cos(angle) + dy * math.sin(angle)) / mapped.semi_major_px
    across = (dy * math.cos(angle) - dx * math.sin(angle)) / mapped.semi_minor_px
    assert np.allclose(along**2 + across**2, 1, atol=1e-6)
    assert -90 < mapped.angle_deg <= 90
    assert mapped.semi_major_px >= mapped.semi_minor_px
    assert ellipse_area(mapped) == pytest.approx(ellipse_area(ellipse) * x * y, rel=1e-6)


def test_scaling_to_mm_scales_the_circumference() -> None:
    in_mm = scale_ellipse(HEAD, x=0.1, y=0.1)
    assert ellipse_circumference(in_mm) == pytest.approx(0.1 * ellipse_circumference(HEAD))


def test_columns_round_trip() -> None:
    columns = ellipse_columns(HEAD)
    assert columns["ellipse_semi_major_px"] == "180"
    assert ellipse_from_columns({**columns, "other": "x"}) == HEAD
    assert ellipse_from_columns({"other": "x"}) is None
    with pytest.raises(ValueError, match="float"):
        ellipse_from_columns({**columns, "ellipse_angle_deg": ""})
