"""Random brains: size by age, shape, folding and how they were imaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetalsynth.anatomy.biometry import HeadBiometry, sample_biometry
from fetalsynth.datasets.phantoms import brain_growth as growth
from fetalsynth.datasets.phantoms.brain_core import Core
from fetalsynth.datasets.phantoms.brain_folding import Folding
from fetalsynth.datasets.phantoms.brain_head import Skull
from fetalsynth.datasets.phantoms.brain_image import Scan
from fetalsynth.datasets.phantoms.brain_labels import Anatomy


@dataclass(frozen=True, kw_only=True)
class BrainParams:
    """Everything a phantom brain is made from."""

    biometry: HeadBiometry
    anatomy: Anatomy
    scan: Scan


def sample_params(
    rng: np.random.Generator,
    *,
    gestational_age_weeks: float | None = None,
    weeks: tuple[float, float] = (21.0, 35.0),
) -> BrainParams:
    """Draw one brain; the age is uniform over ``weeks`` unless it is given.

    Raises UserError outside 20 to 36 weeks.
    """
    drawn = float(rng.uniform(*weeks))
    age = drawn if gestational_age_weeks is None else gestational_age_weeks
    growth.check_weeks((age, age))
    biometry = sample_biometry(rng, gestational_age_weeks=age)
    return BrainParams(biometry=biometry, anatomy=_anatomy(rng, biometry), scan=_scan(rng, age))


def _normal(rng: np.random.Generator, mean: float, sd: float, *, limit: float = 2.2) -> float:
    return float(mean + sd * np.clip(rng.standard_normal(), -limit, limit))


def _anatomy(rng: np.random.Generator, biometry: HeadBiometry) -> Anatomy:
    age = biometry.gestational_age_weeks
    skull = _skull(rng, biometry)
    rough = np.add.outer(np.add.outer(np.arange(4), np.arange(4)), np.arange(4))
    fall = np.where((rough > 0) & (rough <= 4), 1 / (1.0 + rough) ** 1.2, 0.0)
    return Anatomy(
        skull=skull,
        core=_core(rng, age),
        folding=_folding(rng, age),
        gap_mm=growth.fluid_gap_mm(age) * _normal(rng, 1, 0.10),
        fissure_mm=_normal(rng, 0.75, 0.12),
        cortex_mm=growth.cortex_mm(age) * _normal(rng, 1, 0.04),
        warp=0.032 * skull.a * fall * rng.standard_normal((3, 4, 4, 4)),
        gap_waves=0.15 * fall * rng.standard_normal((4, 4, 4)),
    )


def _skull(rng: np.random.Generator, biometry: HeadBiometry) -> Skull:
    bone = growth.skull_and_scalp_mm(biometry.gestational_age_weeks)
    a = biometry.biparietal_diameter_mm / 2 - bone
    b = biometry.occipitofrontal_diameter_mm / 2 - bone
    return Skull(
        a=a,
        b=b,
        c=0.5 * (a + 0.80 * b) * _normal(rng, 1.04, 0.025),
        taper=_normal(rng, 0.11, 0.025),
        squareness=_normal(rng, 0.06, 0.03),
        base=_normal(rng, 0.45, 0.02),
    )


def _core(rng: np.random.Generator, age: float) -> Core:
    atrium = _normal(rng, growth.ATRIAL_WIDTH_MM, 0.6)
    return Core(
        atrium_left_mm=atrium * _normal(rng, 1.02, 0.04),
        atrium_right_mm=atrium * _normal(rng, 0.98, 0.04),
        tallness=_normal(rng, 1.75, 0.08),
        horn=_normal(rng, 1.0, 0.06),
        septum_mm=_normal(rng, float(np.interp(age, (20, 28, 36), (3.6, 5.2, 4.8))), 0.5),
        third_mm=_normal(rng, 1.7, 0.25),
        deep=_normal(rng, float(np.interp(age, (20, 24, 36), (1.26, 1.14, 0.95))), 0.02),
        stem=_normal(rng, 1.0, 0.03),
        cerebellum_mm=growth.cerebellar_diameter_mm(age) * _normal(rng, 1, 0.03),
        vermis=_normal(rng, 1.0, 0.04),
    )


def _folding(rng: np.random.Generator, age: float) -> Folding:
    onset = (20.5, 21.0, 23.5, 24.0, 26.0)
    final = (11.0, 9.0, 7.0, 10.0, 8.0)
    years = _normal(rng, 0, 0.5)
    primary = tuple(
        float(np.clip((age + years - start) / 9, 0, 1)) * depth
        for start, depth in zip(onset, final, strict=True)
    )
    closed = growth.opercular_closure(age)
    return Folding(
        seed=int(rng.integers(2**62)),
        period_mm=growth.gyral_period_mm(age) * _normal(rng, 1, 0.05),
        depth_mm=growth.secondary_depth_mm(min(max(age + years, 20), 36)),
        width_mm=_normal(rng, 0.42, 0.04),
        flare_mm=_normal(rng, 0.9, 0.1),
        primary=(primary[0], primary[1], primary[2], primary[3], primary[4]),
        insula=float(0.16 + 0.17 * closed),
        opening_mm=float(6.0 - 5.0 * closed**0.6),
    )


def _scan(rng: np.random.Generator, age: float) -> Scan:
    through = float(rng.uniform(0.5, 0.8))
    axis = int(rng.integers(3))
    blur = [float(rng.uniform(0.35, 0.5)) for _ in range(3)]
    blur[axis] = through
    order = np.add.outer(np.add.outer(np.arange(3), np.arange(3)), np.arange(3))
    fall = np.where((order > 0) & (order <= 2), 1.0, 0.0)
    return Scan(
        fluid=_normal(rng, 1.58, 0.08),
        cortex=_normal(rng, 0.66, 0.03),
        deep=_normal(rng, 0.78, 0.025),
        stem=_normal(rng, 0.76, 0.03),
        cerebellum=_normal(rng, 0.84, 0.04),
        layers=growth.lamination(age) * _normal(rng, 1, 0.15),
        subplate_mm=_normal(rng, float(np.interp(age, (20, 28, 36), (2.2, 2.8, 2.2))), 0.2),
        matrix_mm=growth.germinal_matrix_mm(age) * _normal(rng, 1, 0.1),
        texture=_normal(rng, 0.05, 0.01),
        texture_seed=int(rng.integers(2**62)),
        bias=0.05 * fall * rng.standard_normal((3, 3, 3)),
        blur_mm=(blur[0], blur[1], blur[2]),
        slice_axis=axis,
        slice_mm=float(rng.uniform(1.0, 1.8)),
        noise=float(rng.uniform(0.02, 0.045)),
        noise_seed=int(rng.integers(2**62)),
        margin_mm=float(rng.uniform(0.0, 1.5)),
        folds=float(np.interp(age, (20, 28, 36), (7, 11, 17))),
    )
