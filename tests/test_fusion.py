"""Fusion equals Listing 1 and brute force, and finds a known volume under planted jitter."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.errors import UserError
from fetalsynth.synthesis import fusion
from fetalsynth.synthesis.fusion import (
    FUSIONS,
    Rule,
    average_2,
    in_plane,
    mean,
    median,
    outliers,
    parse_rule,
    through_plane,
)

SHAPE = (17, 19, 23)
ISOTROPIC = (0.8, 0.8, 0.8)
Array = NDArray[np.float32]


def listing_1(data: Array, m: float) -> Array:
    """The 2022 study's Listing 1 to the letter; the three volumes lie along axis 3."""
    assert m > 0, "Pick a positive number for the comb_mode parameter."
    epsilon = 0.0001
    median = np.median(data, axis=3)
    median3 = np.stack([median, median, median], axis=3)
    d = np.abs(data - median3)
    mdev = np.median(d, axis=3) + epsilon
    mdev3 = np.stack([mdev, mdev, mdev], axis=3)
    s = d / mdev3
    new_data = np.where(s < m, data, median3)
    return np.asarray(np.mean(new_data, axis=3))


def closest_two(values: Array) -> float:
    """The mean of the closest pair, or of the means of all pairs that are equally close."""
    pairs = list(combinations(values.tolist(), 2))
    least = min(abs(a - b) for a, b in pairs)
    return float(np.mean([(a + b) / 2 for a, b in pairs if abs(a - b) == least]))


def planted(kind: str) -> Array:
    rng = np.random.default_rng(0)
    if kind == "random":
        return rng.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)
    if kind == "close":  # gaps about as large as the epsilon of Listing 1
        return (rng.normal(size=SHAPE) + rng.normal(0, 2e-4, (3, *SHAPE))).astype(np.float32)
    if kind == "integers":  # few values, hence ties of every sort
        return rng.integers(0, 4, (3, *SHAPE)).astype(np.float32)
    two = rng.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)
    two[rng.integers(0, 3)] = two[0]
    return rng.permuted(two, axis=0)


@pytest.mark.parametrize("kind", ["random", "close", "integers", "tied"])
@pytest.mark.parametrize("m", [0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 50.0])
def test_outlier_rejection_is_listing_1(kind: str, m: float) -> None:
    volumes = planted(kind)
    expected = listing_1(np.moveaxis(volumes, 0, 3), m)
    found = outliers(volumes, threshold=m)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-7)


def test_outlier_rejection_has_an_effect() -> None:
    volumes = planted("random")
    strict, lenient = outliers(volumes, threshold=0.5), outliers(volumes, threshold=2)
    assert np.isclose(strict, median(volumes)).mean() > 0.99
    assert 0.2 < np.isclose(lenient, mean(volumes)).mean() < 0.5


@pytest.mark.parametrize("kind", ["random", "integers", "tied"])
def test_average_of_two_is_that_of_the_closest_pair(kind: str) -> None:
    volumes = planted(kind)
    expected = np.apply_along_axis(closest_two, 0, volumes.astype(np.float64))
    found = average_2(volumes)
    gaps = np.diff(np.sort(volumes.astype(np.float64), axis=0), axis=0)
    rounded_tie = (np.diff(gaps, axis=0)[0] != 0) & (np.abs(np.diff(gaps, axis=0)[0]) < 1e-6)
    assert rounded_tie.sum() < 3
    np.testing.assert_allclose(found[~rounded_tie], expected[~rounded_tie], rtol=0, atol=1e-6)


def test_mean_and_median_are_numpys() -> None:
    volumes = planted("random")
    np.testing.assert_allclose(mean(volumes), np.mean(volumes.astype(float), axis=0), atol=1e-6)
    assert np.array_equal(median(volumes), np.median(volumes, axis=0))


@pytest.mark.parametrize("name", FUSIONS)
def test_rules_leave_equal_volumes_alone_and_their_input_too(name: str) -> None:
    volumes = np.repeat(planted("random")[:1], 3, axis=0)
    before = volumes.copy()
    found = FUSIONS[name](volumes, spacing_mm=(0.5, 0.8, 3.0))
    np.testing.assert_allclose(found, volumes[0], rtol=0, atol=1e-5)
    assert np.array_equal(volumes, before)


@pytest.mark.parametrize("name", ["mean", "median", "average-2", "outliers"])
def test_rules_of_the_voxel_do_not_ask_which_network_said_what(name: str) -> None:
    volumes = planted("integers")
    one, other = (FUSIONS[name](v, spacing_mm=ISOTROPIC) for v in (volumes, volumes[[2, 0, 1]]))
    np.testing.assert_allclose(one, other, atol=1e-6)
    mirrored = FUSIONS[name](-volumes, spacing_mm=ISOTROPIC)
    np.testing.assert_allclose(mirrored, -one, atol=1e-6)


def ball(size: int = 64) -> tuple[Array, NDArray[np.bool_]]:
    """A smooth-edged ball with fine structure inside, on black, and where it is."""
    i, j, k = (np.indices((size,) * 3) - (size - 1) / 2) / size
    radius = np.sqrt(i**2 + j**2 + k**2)
    fine = 0.3 * np.cos(40 * (i + 0.3 * j)) * np.cos(35 * (k - 0.2 * i))
    inside = radius < 0.35
    return np.where(inside, 0.1 + fine, -1).astype(np.float32), inside


def jittered(volume: Array, inside: NDArray[np.bool_], *, amount: float = 0.1) -> Array:
    """Three copies, each with another gain and offset for every slice across its own axis."""
    rng = np.random.default_rng(1)
    copies = []
    for axis in range(3):
        along = [-1 if a == axis else 1 for a in range(3)]
        gain, offset = rng.normal(0, amount, (2, volume.shape[axis]))
        changed = (volume + 1) * (1 + gain.reshape(along)) - 1 + offset.reshape(along)
        copies.append(np.where(inside, changed, volume))
    return np.stack(copies).astype(np.float32)


def error(found: Array, truth: Array, where: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean((found - truth)[where] ** 2)))


def test_in_plane_fusion_takes_slice_jitter_out_without_blur() -> None:
    truth, inside = ball()
    volumes = jittered(truth, inside)
    ours = error(in_plane(volumes, spacing_mm=ISOTROPIC), truth, inside)
    everywhere = error(in_plane(volumes, spacing_mm=ISOTROPIC), truth, np.full_like(inside, True))
    for rule in (mean, median, average_2, outliers):
        assert 3 * ours < error(rule(volumes), truth, inside)
        assert 2.5 * everywhere < error(rule(volumes), truth, np.full_like(inside, True))


def test_in_plane_fusion_leaves_black_black() -> None:
    truth, inside = ball()
    fused = in_plane(jittered(truth, inside), spacing_mm=ISOTROPIC)
    assert np.array_equal(fused[~inside], truth[~inside])


def test_in_plane_fusion_drops_what_varies_along_one_normal_only() -> None:
    """A wave along one normal is that network's alone to invent, and the others' to report."""
    wave = np.cos(2 * np.pi * np.arange(64) / 8).astype(np.float32)
    window = np.hanning(64).astype(np.float32)
    flat = np.einsum("i,j,k->ijk", wave * window, window, window)
    invented = in_plane(np.stack([flat, 0 * flat, 0 * flat]), spacing_mm=ISOTROPIC)
    reported = in_plane(np.stack([0 * flat, flat, flat]), spacing_mm=ISOTROPIC)
    assert np.abs(invented).max() < 0.05
    np.testing.assert_allclose(reported, flat, atol=0.05)
    assert np.abs(mean(np.stack([flat, 0 * flat, 0 * flat]))).max() > 0.3


def test_in_plane_fusion_measures_frequencies_in_millimetres() -> None:
    """A wave whose normal lies halfway between two axes in mm belongs half to each network."""
    spacing = (1.0, 1.0, 3.0)
    x, _, z = np.meshgrid(*[np.arange(n) - n / 2 for n in (96, 8, 32)], indexing="ij")
    window = np.exp(-((x / 20) ** 2) - (z * 3 / 20) ** 2)
    wave = (np.cos(2 * np.pi * (x + 3 * z) / 12) * window).astype(np.float32)
    wide = np.repeat(wave[:, :1], 96, axis=1)
    for axis, weight in ((0, 0.25), (1, 0.5), (2, 0.25)):
        volumes = np.zeros((3, *wide.shape), np.float32)
        volumes[axis] = wide
        found = in_plane(volumes, spacing_mm=spacing)[:, 40:56]
        share = float((found * wide[:, 40:56]).sum() / (wide[:, 40:56] ** 2).sum())
        assert share == pytest.approx(weight, abs=0.03)


@pytest.mark.parametrize(("axis", "share"), [(0, 1 / 2), (1, 1 / 4), (2, 1 / 4)])
def test_through_plane_fusion_trusts_a_network_twice_as_much_along_its_normal(
    axis: int, share: float
) -> None:
    """A wave packet that only the sagittal network reports, along each of the three axes."""
    steps = np.arange(64) - 32
    bell = np.exp(-((steps / 10.0) ** 2))
    along = [bell, bell, bell]
    along[axis] = bell * np.cos(2 * np.pi * steps / 5)
    packet = np.einsum("i,j,k->ijk", *along).astype(np.float32)
    fused = through_plane(np.stack([packet, 0 * packet, 0 * packet]), spacing_mm=ISOTROPIC)
    found = float((fused * packet).sum() / (packet * packet).sum())
    assert found == pytest.approx(share, abs=0.01)


def test_in_plane_fusion_does_not_wrap_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the volume fills the cube, more padding changes next to nothing."""
    everywhere = np.full((40, 40, 40), True)
    volumes = jittered(np.linspace(-1, 1, 40**3, dtype=np.float32).reshape(40, 40, 40), everywhere)
    found = {}
    for padding in (0.0, fusion._PADDING, 3.0):
        monkeypatch.setattr(fusion, "_PADDING", padding)
        monkeypatch.setattr(fusion, "_LEAST_PADDING", 0 if padding == 0 else 16)
        found[padding] = in_plane(volumes, spacing_mm=ISOTROPIC)
    none, ours = (error(found[p], found[3.0], everywhere) for p in (0.0, 0.25))
    assert ours < 2e-3
    assert 3 * ours < none


def test_real_anatomy_survives_in_plane_fusion(spina_bifida_atlas: Path) -> None:
    from fetalsynth.datasets.volumes.nifti import read_nifti

    folder = spina_bifida_atlas / "fetal_SB_atlas_GA30_operated"
    image = read_nifti(folder / "srr.nii.gz").voxels.astype(np.float32)
    inside = read_nifti(folder / "parcellation.nii.gz").voxels > 0
    truth = np.where(inside, image / np.percentile(image[inside], 99.9) * 2 - 1, -1)
    volumes = jittered(truth.astype(np.float32), inside)
    ours = error(in_plane(volumes, spacing_mm=ISOTROPIC), truth, inside)
    assert 3.5 * ours < error(mean(volumes), truth, inside)


def test_rules_are_parsed() -> None:
    assert parse_rule("outliers:0.5") == Rule(fusion="outliers", threshold=0.5)
    assert parse_rule("outliers").name == "outliers-2"
    assert parse_rule("in-plane").planes == PLANES
    assert parse_rule("coronal").planes == ("coronal",)
    volumes = dict(zip(PLANES, planted("random"), strict=True))
    stack = np.stack(list(volumes.values()))
    for text, expected in (
        ("coronal", stack[1]),
        ("outliers:0.5", outliers(stack, threshold=0.5)),
        ("mean", mean(stack)),
    ):
        assert np.array_equal(parse_rule(text).fuse(volumes, spacing_mm=ISOTROPIC), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meen", "did you mean mean"),
        ("mean:2", "has no parameter"),
        ("outliers:", "positive number"),
        ("outliers:-1", "positive number"),
        ("outliers:nan", "positive number"),
    ],
)
def test_rules_that_are_none_are_explained(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_rule(text)
