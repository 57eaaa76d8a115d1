"""Population model against planted truth: deformations, growth, modes, ages between."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from fetalsynth.anatomy.deformation import exponentiate, smallest_jacobian
from fetalsynth.anatomy.population.alignment import align
from fetalsynth.anatomy.population.carrying import Target, way_from
from fetalsynth.anatomy.population.fitting import Round, fit, hardened, judge
from fetalsynth.anatomy.population.interpolation import Pair, between, blended, match
from fetalsynth.anatomy.population.model import Population
from fetalsynth.anatomy.population.registration import Level, Settings, carried, register
from fetalsynth.anatomy.population.regression import fit_age_law, fit_modes
from fetalsynth.anatomy.population.sampling import apply, sample_params
from fetalsynth.anatomy.population.space import Grid, Head, Pose, own_poses, soft_maps
from fetalsynth.anatomy.validity_novelty import mean_dice
from population_phantoms import BODIES, ellipsoid_head, head_ml, volume_ml

COARSE_MM = 2.5
AGES = (22.0, 24.0, 26.0, 30.0, 32.0)
QUICK = Settings(
    levels=(
        Level(factor=4, steps=40, sigma_mm=6.0, rate_mm=0.5),
        Level(factor=2, steps=30, sigma_mm=4.0, rate_mm=0.3),
    )
)
FULL = Settings(levels=(*QUICK.levels, Level(factor=1, steps=30, sigma_mm=3.0, rate_mm=0.2)))
GRID = Grid(shape=(33, 41, 37), spacing_mm=COARSE_MM)
STILL = Pose(centre=np.zeros(3), axes=np.eye(3), scale=1.0)


@cache
def _maps() -> torch.Tensor:
    return soft_maps(ellipsoid_head(27), STILL, GRID)


def _planted(size_mm: float) -> torch.Tensor:
    """A smooth velocity, none at the border, that bends the head differently in every direction."""
    axes = [torch.linspace(0, np.pi, n) for n in GRID.thin(2).shape]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    bump = x.sin() * y.sin() * z.sin()
    return size_mm * torch.stack([bump * y.cos(), bump * (2 * z).cos(), -bump * x.sin()])


@cache
def _population() -> Population:
    return fit(
        [ellipsoid_head(age) for age in AGES],
        spacing_mm=COARSE_MM,
        rounds=(
            Round(bandwidth_weeks=None, settings=QUICK),
            Round(bandwidth_weeks=2.5, settings=Settings(levels=FULL.levels[1:])),
        ),
        memory={},
    )


@cache
def _pair() -> Pair:
    return match(
        ellipsoid_head(25, shift_mm=(2, -3, 4)),
        ellipsoid_head(28),
        spacing_mm=COARSE_MM,
        settings=QUICK,
    )


def test_registration_finds_a_planted_deformation() -> None:
    fixed, planted = _maps(), _planted(4.5)
    moving = carried(fixed, planted, grid=GRID)
    found = register(fixed, moving, grid=GRID, settings=FULL)
    back = carried(moving, found, grid=GRID)
    before = mean_dice(hardened(fixed), hardened(moving))
    assert before < 0.8
    assert mean_dice(hardened(fixed), hardened(back)) > 0.93
    # moving ∘ exp(found) = fixed needs found = −planted; labels tell it across borders only
    spacing = GRID.thin(2).spacing
    want = exponentiate(-planted, spacing_mm=spacing)
    got = exponentiate(found, spacing_mm=spacing)
    across = torch.stack(torch.gradient(fixed[2], dim=(0, 1, 2)))[:, ::2, ::2, ::2]
    steep = across.norm(dim=0) > 0.25
    normal = across[:, steep] / across[:, steep].norm(dim=0)
    wanted = (want[:, steep] * normal).sum(dim=0).abs().mean()
    missed = ((got - want)[:, steep] * normal).sum(dim=0).abs().mean()
    assert float(wanted) > 1.2
    assert float(missed) < 0.25 * float(wanted)
    smallest, folded = smallest_jacobian(got, spacing_mm=spacing)
    assert smallest > 0.1
    assert folded == 0


def test_symmetric_registration_does_not_care_which_comes_first() -> None:
    one = _maps()
    other = carried(one, _planted(3.0), grid=GRID)
    there = register(one, other, grid=GRID, settings=QUICK, symmetric=True)
    back = register(other, one, grid=GRID, settings=QUICK, symmetric=True)
    assert float(there.abs().max()) > 1.0
    assert float((there + back).norm(dim=0).mean()) < 0.05 * float(there.norm(dim=0).mean()) + 0.02


def test_equal_heads_need_no_velocity() -> None:
    found = register(_maps(), _maps(), grid=GRID, settings=QUICK)
    assert float(found.abs().max()) < 0.1


def test_alignment_finds_shift_turn_and_size() -> None:
    from scipy.spatial.transform import Rotation

    head = ellipsoid_head(27)
    turn = Rotation.from_euler("xyz", (14, -9, 20), degrees=True).as_matrix()
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = 1.2 * turn, (7, -20, 3)
    moved = Head(labels=head.labels, affine=move @ head.affine, weeks=27)
    poses = align([head, moved], own_poses([head, moved]), grid=GRID)
    found = poses[1].matrix @ np.linalg.inv(poses[0].matrix)
    assert poses[1].scale / poses[0].scale == pytest.approx(1.2, rel=0.01)
    assert np.prod([pose.scale for pose in poses]) == pytest.approx(1, rel=1e-6)
    corners = np.array([[30, 0, 0], [0, 35, 0], [0, 0, -30], [-20, -20, 20]])
    want = corners @ move[:3, :3].T + move[:3, 3]
    got = corners @ found[:3, :3].T + found[:3, 3]
    assert float(np.abs(got - want).max()) < 1.0


def test_carrying_through_nothing_copies_and_a_target_twice_the_size_has_eight_volumes() -> None:
    head = ellipsoid_head(27)
    still = torch.zeros(3, *GRID.thin(2).shape)
    same = Target(shape=head.labels.shape, affine=head.affine, pose=STILL)
    way = way_from(head.affine, STILL, still, grid=GRID.thin(2), target=same)
    assert (way.labels(head.labels) == head.labels).all()
    i, j, k = (2 * n - 1 for n in head.labels.shape)
    affine = head.affine.copy()
    affine[:3, 3] *= 2
    pose = Pose(centre=np.zeros(3), axes=np.eye(3), scale=2.0)
    large = Target(shape=(i, j, k), affine=affine, pose=pose)
    grown = way_from(head.affine, STILL, still, grid=GRID.thin(2), target=large).labels(head.labels)
    ratio = volume_ml(grown, affine) / volume_ml(head.labels, head.affine)
    assert ratio == pytest.approx(8, rel=0.02)


def test_the_law_of_age_is_found_whatever_the_ridge_leaves() -> None:
    rng = np.random.default_rng(0)
    weeks = np.linspace(21, 34, 14)
    at, slope, bend = rng.standard_normal((3, 50))
    shapes = (at + np.outer(weeks - 27, slope) + np.outer((weeks - 27) ** 2, bend)).astype("f4")
    law = fit_age_law(shapes, weeks, ridge=0)
    want = at + 2.5 * slope + 6.25 * bend
    assert np.allclose(law.at(29.5), want, atol=1e-3)
    ridged = fit_age_law(shapes, weeks).at(29.5)
    assert np.allclose(ridged, want, atol=0.03 * np.abs(shapes).max())


def test_two_ages_give_a_line_and_one_age_a_constant() -> None:
    shapes = np.array([[0.0], [2.0], [10.0]], np.float32)
    line = fit_age_law(shapes, np.array([20.0, 20.0, 30.0]), ridge=0)
    assert line.at(25)[0] == pytest.approx(5.5, abs=1e-5)
    constant = fit_age_law(shapes, np.array([25.0, 25.0, 25.0]))
    assert constant.at(40)[0] == pytest.approx(4)


def test_planted_modes_come_back_with_their_variance() -> None:
    rng = np.random.default_rng(1)
    n, size = 400, 60
    weeks = rng.uniform(21, 34, n)
    directions = np.linalg.qr(rng.standard_normal((size, 2)))[0].T
    amounts = rng.standard_normal((n, 2)) * [3.0, 1.0]
    shapes = np.outer(weeks, rng.standard_normal(size)) + amounts @ directions
    shapes = shapes.astype(np.float32)
    modes = fit_modes(shapes, weeks, law=fit_age_law(shapes, weeks, ridge=1e-6))
    # standard error of a variance: √(2/n) of it
    assert modes.variances[:2] == pytest.approx([9, 1], rel=4 * np.sqrt(2 / n))
    assert modes.variances[2:].max(initial=0) < 1e-3
    assert np.abs((modes.directions[:2] * directions).sum(axis=1)) == pytest.approx(1, abs=5e-3)
    assert np.linalg.norm(modes.directions, axis=1) == pytest.approx(1, abs=1e-4)


def test_without_freedom_there_are_no_modes() -> None:
    weeks = np.array([21.0, 25.0, 30.0, 33.0])
    shapes = np.eye(4, dtype=np.float32)
    law = fit_age_law(shapes, weeks)
    assert len(fit_modes(shapes, weeks, law=law).variances) == 1
    assert (
        len(fit_modes(shapes[:2], weeks[:2], law=fit_age_law(shapes[:2], weeks[:2])).variances) == 0
    )


@pytest.mark.parametrize("weeks", [23.0, 28.0, 31.0])
def test_the_expected_brain_at_an_age_left_out_has_the_volume_of_the_law(weeks: float) -> None:
    population = _population()
    rng = np.random.default_rng(0)
    draw = sample_params(rng, population, weeks=weeks, variability=0)
    donor = ellipsoid_head(AGES[draw.donor])
    brain = apply(population, draw, donor)
    assert abs(AGES[draw.donor] - weeks) <= 3
    assert volume_ml(brain.labels, brain.affine) == pytest.approx(head_ml(weeks), rel=0.025)
    assert brain.folded_voxels == 0
    assert brain.min_jacobian > 0.2
    truth = ellipsoid_head(weeks)
    sides = [np.ptp(np.argwhere(m > 0), axis=0) + 1 for m in (brain.labels, truth.labels)]
    assert np.abs(sides[0] - sides[1]).max() <= 2  # voxels
    assert set(np.unique(brain.labels)) - {0} == set(BODIES)


def test_heads_of_a_population_lie_on_each_other() -> None:
    heads = [ellipsoid_head(age) for age in AGES]
    for one in judge(_population(), heads):
        assert one.dice > 0.9
        assert one.folded_voxels == 0
        assert one.min_jacobian > 0.2


def test_drawn_coefficients_have_the_modes_variance() -> None:
    population = _population()
    rng = np.random.default_rng(3)
    draws = [
        sample_params(rng, population, weeks=25, variability=0.5).coefficients for _ in range(600)
    ]
    want = 0.5 * population.modes.variances
    assert len(want) == len(AGES) - 3
    assert np.var(draws, axis=0) == pytest.approx(want, rel=5 * np.sqrt(2 / 600))


def test_ages_far_from_all_donors_are_refused() -> None:
    with pytest.raises(ValueError, match="no donor within"):
        sample_params(np.random.default_rng(0), _population(), weeks=38)


def test_between_two_ages_lies_the_volume_between() -> None:
    pair = _pair()
    for weeks in (26.0, 27.0):
        found = between(pair, weeks=weeks)
        assert volume_ml(found.labels, found.affine) == pytest.approx(head_ml(weeks), rel=0.025)
        assert found.donor == ("young" if weeks < 26.5 else "old")
        assert found.folded_voxels == 0


def test_the_ends_are_the_scans_themselves() -> None:
    pair = _pair()
    for weeks, head in ((25.0, pair.young), (28.0, pair.old)):
        found = between(pair, weeks=weeks, method="blend")
        assert found.labels.shape == head.labels.shape
        assert (found.labels == head.labels).all()
        assert np.allclose(found.affine, head.affine)


def test_blending_keeps_tissues_and_volume() -> None:
    found = between(_pair(), weeks=26.5, method="blend")
    assert found.donor == "both"
    assert set(np.unique(found.labels)) == {0, *BODIES}
    # at equal weights half of the voxels between the two borders go to the background
    assert volume_ml(found.labels, found.affine) == pytest.approx(head_ml(26.5), rel=0.04)


def test_blended_distances_put_a_border_between_two_borders() -> None:
    lines = np.arange(40)
    maps = [np.where(lines < edge, 1, 0).astype(np.uint8) for edge in (10, 20)]
    cubes = [np.broadcast_to(one[:, None, None], (40, 9, 9)).copy() for one in maps]
    for share in (0.2, 0.5, 0.8):
        found = blended(cubes, weights=(1 - share, share), affine=np.eye(4))
        assert found[:, 4, 4].sum() == pytest.approx(10 + 10 * share, abs=1)


def test_ages_outside_and_equal_ages_are_refused() -> None:
    with pytest.raises(ValueError, match="not between"):
        between(_pair(), weeks=31)
    with pytest.raises(ValueError, match="same age"):
        match(ellipsoid_head(25), ellipsoid_head(25))


def test_a_fit_takes_what_is_remembered_and_gives_the_same() -> None:
    heads = [ellipsoid_head(age, spacing_mm=3.0) for age in (24.0, 26.0, 28.0)]
    quick = (Round(bandwidth_weeks=None, settings=Settings(levels=QUICK.levels[:1])),)
    memory: dict[str, torch.Tensor] = {}
    whole = fit(heads, spacing_mm=3.0, rounds=quick, memory=memory)
    assert sorted(memory) == ["round0-0000", "round0-0001", "round0-0002"]
    del memory["round0-0002"]
    kept = dict(memory)
    again = fit(heads, spacing_mm=3.0, rounds=quick, memory=memory)
    assert np.array_equal(again.velocities, whole.velocities)
    assert all(memory[name] is kept[name] for name in kept)
