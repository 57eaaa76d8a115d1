"""The brain phantom: known anatomy, sensible topology, growth, folding and T2 contrast."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label

from fetalsynth.anatomy.biometry import growth_mean_mm
from fetalsynth.anatomy.labels import (
    BRAINSTEM,
    CEREBELLUM,
    DEEP_GREY_MATTER,
    EXTERNAL_CSF,
    FETA,
    GREY_MATTER,
    SPINA_BIFIDA_ATLAS,
    VENTRICLES,
    WHITE_MATTER,
    map_labels,
)
from fetalsynth.datasets.phantoms.brain import (
    BrainParams,
    PhantomBrain,
    open_source,
    sample_params,
    simulate,
)
from fetalsynth.datasets.phantoms.brain_growth import brain_volume_ml, skull_and_scalp_mm
from fetalsynth.datasets.phantoms.brain_labels import head_space
from fetalsynth.datasets.phantoms.brain_topology import tidy
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng

AGES = (21.0, 24.0, 28.0, 31.0, 34.0)


def drawn(number: int = 0, *, age: float | None = None) -> BrainParams:
    rng = numpy_rng(seed=1, stream="test-brain", counter=number)
    return sample_params(rng, gestational_age_weeks=age)


@cache
def brain(number: int, age: float, spacing: float = 1.0) -> PhantomBrain:
    return simulate(drawn(number, age=age), spacing_mm=spacing)


def scanned(params: BrainParams, **changes: object) -> BrainParams:
    return replace(params, scan=replace(params.scan, **changes))  # type: ignore[arg-type]


def faces(labels: NDArray[np.uint8], tissue: int) -> NDArray[np.int64]:
    """How many voxel faces ``tissue`` shares with every other label."""
    found = np.zeros(len(FETA), np.int64)
    for axis in range(3):
        lines = np.moveaxis(labels, axis, 0)
        for here, there in ((lines[1:], lines[:-1]), (lines[:-1], lines[1:])):
            found += np.bincount(there[here == tissue], minlength=len(FETA))
    found[tissue] = 0
    return found


def parts(mask: NDArray[np.bool_]) -> int:
    return int(label(mask)[1])


def folding(labels: NDArray[np.uint8]) -> float:
    """Faces of the cerebrum over those of its closing by a ball of 6 mm: a gyrification index."""
    cerebrum = np.isin(labels, (GREY_MATTER, WHITE_MATTER, VENTRICLES, DEEP_GREY_MATTER))
    solid = np.pad(cerebrum, 10)
    wide = distance_transform_edt(~solid) <= 6
    closed = distance_transform_edt(wide) > 6
    sides = [
        sum(np.abs(np.diff(m.astype(np.int8), axis=k)).sum() for k in range(3))
        for m in (solid, closed | solid)
    ]
    return float(sides[0] / sides[1])


def test_volume_is_a_pure_function_of_its_parameters() -> None:
    params = drawn(3, age=23)
    first, second = (simulate(params, spacing_mm=1.5) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.labels, second.labels)
    noisier = simulate(scanned(params, noise_seed=7), spacing_mm=1.5)
    assert np.array_equal(first.labels, noisier.labels)
    assert not np.array_equal(first.image, noisier.image)


@pytest.mark.parametrize(
    ("number", "age"), [(2, 20.0), *enumerate(AGES[:2]), *enumerate(AGES[2:]), (2, 36.0)]
)
def test_every_tissue_has_the_topology_of_anatomy(number: int, age: float) -> None:
    labels = brain(number, age).labels
    assert set(np.unique(labels)) == set(range(8))
    for tissue in (EXTERNAL_CSF, WHITE_MATTER, CEREBELLUM, BRAINSTEM):
        assert parts(labels == tissue) == 1, FETA[tissue]
    assert parts(labels == GREY_MATTER) <= 2
    assert parts(labels == DEEP_GREY_MATTER) <= 2
    found, count = label(labels == VENTRICLES)
    assert count == 2
    fourth = found == 1 + np.argmin(np.bincount(found.ravel())[1:])
    rest = (labels == VENTRICLES) & ~fourth
    middle = labels.shape[0] // 2
    for half in (rest[: middle + 1], rest[middle:]):
        sizes = np.sort(np.bincount(label(half)[0].ravel())[1:])
        assert sizes[-1] > 0.95 * sizes.sum()
    edges = [labels[[0, -1]], labels[:, [0, -1]], labels[:, :, [0, -1]]]
    assert max(int(edge.max()) for edge in edges) == 0


@pytest.mark.parametrize(("age", "spacing"), [(21.0, 1.0), (28.0, 1.0), (34.0, 1.0), (24.0, 2.0)])
def test_cortex_closes_around_the_white_matter(age: float, spacing: float) -> None:
    """White matter meets fluid at the corpus callosum and the diencephalon only."""
    labels = brain(0, age, spacing).labels
    shared = faces(labels, WHITE_MATTER)
    open_share = shared[[0, EXTERNAL_CSF]].sum() / shared.sum()
    assert 0 < open_share < (0.03 if spacing == 1 else 0.06)
    assert shared[0] == 0
    assert faces(labels, GREY_MATTER)[0] == 0


def test_head_has_the_size_it_claims() -> None:
    """Cavity plus skull is as wide and as long as the biparietal and occipitofrontal diameters."""
    for number, age in enumerate(AGES):
        made = brain(number % 2, age)
        where = np.argwhere(made.labels > 0)
        wide, long, _ = np.ptp(where, axis=0) + 1
        bone = 2 * skull_and_scalp_mm(age)
        assert wide + bone == pytest.approx(made.biometry.biparietal_diameter_mm, abs=1.5)
        assert long + bone == pytest.approx(made.biometry.occipitofrontal_diameter_mm, abs=1.5)


def test_heads_follow_the_growth_standard() -> None:
    for age in (21.0, 33.0):
        made = [drawn(number, age=age).biometry for number in range(200)]
        mean = np.mean([head.biparietal_diameter_mm for head in made])
        truth = growth_mean_mm("biparietal_diameter", gestational_age_weeks=age)
        assert mean == pytest.approx(truth, rel=0.01)


def test_cerebellum_and_atrium_measure_what_is_recorded() -> None:
    for number, age in enumerate(AGES):
        made = brain(number % 2, age)
        across = np.nonzero((made.labels == CEREBELLUM).any(axis=(1, 2)))[0]
        assert np.ptp(across) + 1 == pytest.approx(made.cerebellar_diameter_mm, abs=2.5)
        rear = made.labels.shape[1] // 2
        depth = distance_transform_edt(made.labels == VENTRICLES)[:, :rear]
        assert 2 * depth.max() - 1 == pytest.approx(made.atrial_width_mm, abs=1.5)


def test_tissues_grow_with_age() -> None:
    """Means over heads: every tissue at every step, the cerebellum fastest."""
    means = np.array(
        [
            np.mean([list(brain(n, age, 1.5).tissue_volumes_ml.values()) for n in range(2)], axis=0)
            for age in AGES
        ]
    )
    assert (np.diff(means, axis=0) > 0).all()
    growth = dict(zip(FETA[1:], means[-1] / means[0], strict=True))
    assert growth["cerebellum"] > 5
    assert growth["ventricles"] < 4
    assert growth["ventricles"] < growth["white matter"] < growth["cerebellum"]


@pytest.mark.parametrize("age", AGES)
def test_volumes_are_those_of_normal_fetuses(age: float) -> None:
    """Parenchyma against Chang et al. 2003; ventricles against Ma et al. 2019 (about 9 ml)."""
    made = [brain(number, age, 1.5).tissue_volumes_ml for number in range(2)]
    mean = {name: np.mean([volumes[name] for volumes in made]) for name in FETA[1:]}
    tissue = sum(mean.values()) - mean["external CSF"] - mean["ventricles"]
    assert 0.65 < tissue / brain_volume_ml(age) < 1.1
    assert 4 < mean["ventricles"] < 14
    assert 0.15 < mean["external CSF"] / sum(mean.values()) < 0.36
    assert 0.02 < mean["cerebellum"] / tissue < 0.09
    assert 0.03 < mean["deep grey matter"] / tissue < 0.09


def test_brains_are_smooth_at_21_weeks_and_folded_at_34() -> None:
    young, middle, old = (folding(brain(0, age).labels) for age in (21.0, 28.0, 34.0))
    assert young < middle < old
    assert young < 1.25
    assert old > 1.5


def tissue_levels(image: NDArray[np.floating], labels: NDArray[np.uint8]) -> list[float]:
    """Medians of fluid, ventricles, white, deep grey and cortical grey matter."""
    order = (EXTERNAL_CSF, VENTRICLES, WHITE_MATTER, DEEP_GREY_MATTER, GREY_MATTER)
    return [float(np.median(image[labels == tissue])) for tissue in order]


@pytest.mark.parametrize("age", [21.0, 34.0])
def test_contrast_is_that_of_t2_weighted_images(age: float) -> None:
    made = brain(1, age)
    fluid, ventricles, white, deep, grey = tissue_levels(made.image, made.labels)
    assert min(fluid, ventricles) > 1.15 * white
    assert white > 1.08 * max(deep, grey)
    assert white == pytest.approx(1, abs=0.2)


def test_contrast_ranks_as_in_the_atlas(spina_bifida_atlas: Path) -> None:
    import nibabel as nib

    folder = spina_bifida_atlas / "fetal_SB_atlas_GA28_operated"
    image = np.asarray(nib.load(folder / "srr.nii.gz").dataobj, np.float32)
    codes = np.asarray(nib.load(folder / "parcellation.nii.gz").dataobj).astype(np.int16)
    real = np.array(tissue_levels(image, map_labels(codes, table=SPINA_BIFIDA_ATLAS)))
    made = brain(0, 28.0)
    ours = np.array(tissue_levels(made.image, made.labels))
    sides = np.sign(np.delete(real, 2) - real[2])
    assert np.array_equal(sides, np.sign(np.delete(ours, 2) - ours[2]))


def test_background_is_black_and_noise_has_the_size_asked_for() -> None:
    params = scanned(drawn(2, age=26.0), noise=0.0, margin_mm=0.0)
    clean = simulate(params)
    noisy = simulate(scanned(params, noise=0.05))
    assert (noisy.image[noisy.labels == 0] == 0).all()
    inside = clean.image > 0.7
    assert np.std((noisy.image - clean.image)[inside]) == pytest.approx(0.05, rel=0.05)
    power = np.mean(noisy.image[inside] ** 2 - clean.image[inside] ** 2)
    assert power == pytest.approx(2 * 0.05**2, rel=0.3)  # Rician: both channels add power


def test_bias_field_scales_the_image_and_nothing_else() -> None:
    params = scanned(drawn(2, age=22.0), noise=0.0, blur_mm=(0.01, 0.01, 0.01), slice_mm=0.5)
    flat = simulate(scanned(params, bias=np.zeros((3, 3, 3)))).image
    slope = np.zeros((3, 3, 3))
    slope[1, 0, 0] = 0.2
    tilted = simulate(scanned(params, bias=slope)).image
    seen = flat > 0.3
    places = (np.arange(flat.shape[0]) + 0.5) / flat.shape[0]
    expected = np.exp(0.2 * np.cos(np.pi * places))[:, None, None] * np.ones_like(flat)
    assert np.allclose(tilted[seen] / flat[seen], expected[seen], rtol=1e-4)


def test_grid_is_ras_with_the_origin_at_the_head_centre() -> None:
    params = drawn(0, age=25.0)
    made = simulate(params, spacing_mm=1.5)
    assert np.array_equal(np.diag(made.affine), [1.5, 1.5, 1.5, 1])
    space = head_space(params.anatomy.skull, spacing_mm=1.5)
    corner = made.affine @ [3, 5, 7, 1]
    assert np.allclose(corner[:3], [axis[3, 5, 7] for axis in (space.x, space.y, space.z)])
    where = np.argwhere(made.labels == CEREBELLUM) @ made.affine[:3, :3] + made.affine[:3, 3]
    assert abs(where[:, 0].mean()) < 2
    assert where[:, 1].mean() < -5  # behind
    assert where[:, 2].mean() < -5  # below


def test_crumbs_go_to_their_neighbours() -> None:
    wanted = np.full((16, 12, 12), GREY_MATTER, np.uint8)
    wanted[9:, 2:9, 2:9] = WHITE_MATTER
    wanted[0, 0, 0] = CEREBELLUM  # small, but all there is
    crumbly = wanted.copy()
    crumbly[3:5, 5, 5] = WHITE_MATTER
    crumbly[12, 5, 5] = EXTERNAL_CSF
    crumbly[:, 11] = wanted[:, 11] = EXTERNAL_CSF
    assert np.array_equal(tidy(crumbly), wanted)


def test_source_yields_each_volume_by_its_number() -> None:
    few = open_source(count=2, seed=5, spacing_mm=2.0, weeks=(22, 24))
    many = open_source(count=4, seed=5, spacing_mm=2.0, weeks=(22, 24))
    assert many.count == 4
    assert few.digest != many.digest
    assert few.synthetic
    assert few.licences
    first, again = many.items[1].read(), few.items[1].read()
    assert first.subject == few.items[1].subject == "phantom0001"
    assert first.image is not None
    assert first.labels is not None
    assert again.image is not None
    assert np.array_equal(first.image, again.image)
    assert first.image.dtype == np.float32
    assert first.labels.dtype == np.uint8
    assert 22 <= (first.gestational_age_weeks or 0) <= 24
    counted = np.count_nonzero(first.labels == WHITE_MATTER) * 8 / 1000
    assert float(first.extra["white_matter_ml"]) == pytest.approx(counted, abs=1e-3)
    head, width = (float(first.extra[f"{k}_mm"]) for k in ("head_circumference", "atrial_width"))
    assert 150 < head < 250
    assert 5 < width < 10
    assert first.sidecar["Synthetic"] is True


@pytest.mark.parametrize(
    ("count", "spacing", "weeks", "message"),
    [
        (0, 1.0, (21, 35), "at least one"),
        (1, 0.1, (21, 35), "0.5 to 2"),
        (1, 1.0, (15, 30), "20 to 36"),
        (1, 1.0, (30, 25), "from low to high"),
    ],
)
def test_what_cannot_be_made_is_refused(
    count: int, spacing: float, weeks: tuple[float, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        open_source(count=count, seed=0, spacing_mm=spacing, weeks=weeks)
