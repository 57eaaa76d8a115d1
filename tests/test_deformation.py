"""Velocity fields against closed forms: flows of constant and linear fields, folds, warps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fetalsynth.anatomy.deformation import (
    compose,
    exponentiate,
    jacobian,
    refine,
    smallest_jacobian,
    smooth,
    warp_image,
    warp_labels,
)

SPACING = (0.8, 1.0, 1.25)


def _arms(shape: tuple[int, int, int]) -> torch.Tensor:
    """(3, I, J, K) mm from the middle of the volume along its axes."""
    axes = [(torch.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, SPACING, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).float()


def _gust(shape: tuple[int, int, int], *, size_mm: float) -> torch.Tensor:
    """A velocity of one direction, strongest in the middle, none at the border."""
    waves = [torch.sin(math.pi * torch.arange(n) / (n - 1)) for n in shape]
    strength = torch.einsum("i,j,k->ijk", *waves)
    return size_mm * torch.tensor([0.6, -0.64, 0.48]).view(3, 1, 1, 1) * strength


def test_a_constant_velocity_moves_everything_by_itself() -> None:
    velocity = torch.tensor([1.3, -0.7, 2.0]).view(3, 1, 1, 1).expand(3, 9, 8, 7).contiguous()
    assert torch.allclose(exponentiate(velocity, spacing_mm=SPACING), velocity, atol=1e-5)


@pytest.mark.parametrize("rate", [-0.7, -0.2])
def test_a_linear_velocity_scales_by_its_exponential(rate: float) -> None:
    arms = _arms((24, 22, 20))
    found = exponentiate(rate * arms, spacing_mm=SPACING)
    want = (math.exp(rate) - 1) * arms
    assert float((found - want).abs().max()) < 0.01 * float(arms.abs().max())
    determinants = jacobian(found, spacing_mm=SPACING)
    assert float((determinants / math.exp(3 * rate) - 1).abs().max()) < 0.02
    smallest, folded = smallest_jacobian(found, spacing_mm=SPACING)
    assert smallest == pytest.approx(math.exp(3 * rate), rel=0.02)
    assert folded == 0


def test_a_rotating_velocity_turns_by_its_angle() -> None:
    arms = _arms((28, 26, 9))
    angle = 0.6
    velocity = angle * torch.stack([-arms[1], arms[0], torch.zeros_like(arms[2])])
    found = exponentiate(velocity, spacing_mm=SPACING)
    x, y = arms[0], arms[1]
    want_x = math.cos(angle) * x - math.sin(angle) * y - x
    inside = (x**2 + y**2) < 7**2
    assert float((found[0] - want_x)[inside].abs().max()) < 0.05
    assert float((jacobian(found, spacing_mm=SPACING)[inside] - 1).abs().max()) < 0.03


def test_the_way_back_undoes_the_way_there() -> None:
    velocity = _gust((28, 28, 28), size_mm=5)
    there = exponentiate(velocity, spacing_mm=SPACING)
    back = exponentiate(-velocity, spacing_mm=SPACING)
    assert float(there.abs().max()) > 2.5
    assert float(compose(there, back, spacing_mm=SPACING).norm(dim=0).max()) < 0.12


def test_twice_half_the_velocity_is_the_whole_of_it() -> None:
    velocity = _gust((24, 24, 24), size_mm=4)
    half = exponentiate(velocity / 2, spacing_mm=SPACING)
    whole = exponentiate(velocity, spacing_mm=SPACING)
    assert float((compose(half, half, spacing_mm=SPACING) - whole).abs().max()) < 0.05


def test_fast_fields_get_more_squarings_and_stay_without_folds() -> None:
    velocity = _gust((32, 32, 32), size_mm=14)
    smallest, folded = smallest_jacobian(
        exponentiate(velocity, spacing_mm=SPACING), spacing_mm=SPACING
    )
    assert smallest > 0
    assert folded == 0
    # the same field as one big step does fold: the exponential is what prevents it
    assert smallest_jacobian(velocity, spacing_mm=SPACING)[1] > 0


def test_the_jacobian_of_an_affine_map_is_its_determinant() -> None:
    arms = _arms((8, 9, 7))
    matrix = torch.tensor([[1.2, 0.1, 0.0], [-0.2, 0.9, 0.3], [0.05, 0.0, 1.1]])
    moved = torch.einsum("ab,bijk->aijk", matrix, arms) - arms
    want = float(torch.linalg.det(matrix))
    assert torch.allclose(jacobian(moved, spacing_mm=SPACING), torch.tensor(want), atol=1e-4)
    assert smallest_jacobian(moved, spacing_mm=SPACING)[0] == pytest.approx(want, abs=1e-4)


def test_a_fold_that_central_differences_skip_is_found() -> None:
    moved = torch.zeros(3, 9, 9, 9)
    moved[0, 4, 4, 4] = 1.5  # this one voxel passes its neighbour, which is 1 mm away
    spacing = (1.0, 1.0, 1.0)
    assert float(jacobian(moved, spacing_mm=spacing)[4, 4, 4]) > 0
    smallest, folded = smallest_jacobian(moved, spacing_mm=spacing)
    assert smallest < 0
    assert folded > 0


def test_velocities_that_cannot_be_followed_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        exponentiate(torch.full((3, 4, 4, 4), math.nan), spacing_mm=SPACING)
    with pytest.raises(ValueError, match="too fast"):
        exponentiate(torch.full((3, 4, 4, 4), 1e6), spacing_mm=SPACING)


def test_gradients_flow_through_the_exponential() -> None:
    velocity = (0.1 * _gust((8, 8, 8), size_mm=1)).requires_grad_()
    exponentiate(velocity, spacing_mm=SPACING, squarings=4).square().sum().backward()
    assert velocity.grad is not None
    assert float(velocity.grad.abs().max()) > 0


def test_smoothing_keeps_constants_and_spreads_a_point_as_a_gaussian() -> None:
    field = torch.zeros(1, 41, 33, 27)
    field[0, 20, 16, 13] = 1
    found = smooth(field, sigma_mm=2.0, spacing_mm=SPACING)[0]
    arms = _arms((41, 33, 27))
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)
    for axis in range(3):
        variance = float((found * arms[axis] ** 2).sum())
        assert math.sqrt(variance) == pytest.approx(2.0, rel=0.04)
    constant = torch.full((3, 6, 6, 6), 2.5)
    assert torch.allclose(smooth(constant, sigma_mm=3, spacing_mm=SPACING), constant, atol=1e-5)


def test_refining_a_linear_field_gives_the_same_field() -> None:
    coarse = _arms((5, 6, 7))
    fine = refine(coarse, shape=(9, 11, 13))
    assert torch.allclose(fine[:, ::2, ::2, ::2], coarse, atol=1e-5)
    assert torch.allclose(fine[0, 1], (coarse[0, 0, 0, 0] + coarse[0, 1, 0, 0]) / 2)


def test_no_displacement_copies_labels_and_whole_steps_shift_them() -> None:
    labels = np.random.default_rng(0).integers(0, 8, (7, 8, 9)).astype(np.uint8)
    still = torch.zeros(3, 7, 8, 9)
    assert (warp_labels(labels, still, spacing_mm=SPACING) == labels).all()
    shift = torch.tensor([2 * SPACING[0], -SPACING[1], 0.0]).view(3, 1, 1, 1).expand(3, 7, 8, 9)
    moved = warp_labels(labels, shift, spacing_mm=SPACING)
    assert (moved[:5, 1:] == labels[2:, :-1]).all()
    assert (moved[5:] == 0).all()


def test_no_tissue_appears_between_two_others() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:10] = 1
    labels[10:] = 7
    moved = warp_labels(labels, _gust((20, 20, 20), size_mm=3), spacing_mm=SPACING)
    assert set(np.unique(moved)) <= {0, 1, 7}


def test_a_ball_enlarged_threefold_is_a_ball() -> None:
    shape = (46, 46, 46)
    spacing = (1.0, 1.0, 1.0)
    centre = torch.stack(torch.meshgrid(*[torch.arange(46) - 22.5] * 3, indexing="ij")).float()
    ball = (centre.square().sum(dim=0) <= 5.2**2).numpy().astype(np.uint8)
    moved = warp_labels(ball, -2 / 3 * centre, spacing_mm=spacing)
    want = centre.square().sum(dim=0).sqrt().numpy()
    assert moved.shape == shape
    assert (moved[want < 14] == 1).all()
    assert (moved[want > 17.2] == 0).all()
    assert moved.sum() == pytest.approx(27 * ball.sum(), rel=0.06)


def test_images_are_interpolated_linearly() -> None:
    image = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    half = torch.zeros(3, 6, 7, 8)
    half[2] = SPACING[2] / 2
    moved = warp_image(image, half, spacing_mm=SPACING)
    assert np.allclose(moved[..., :-1], image[..., :-1] + 0.5, atol=1e-3)
