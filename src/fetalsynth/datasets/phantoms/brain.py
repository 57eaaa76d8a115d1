"""The brain phantom as a volume source: fetal brains with known anatomy, from a seed.

Every volume is a T2-weighted image with its FeTA labels, 20 to 36 weeks of gestation, on a grid of
``spacing_mm`` in RAS+. Volume ``k`` depends on (seed, k, spacing, weeks) alone. It is made of
implicit shapes, not of patients: heads follow INTERGROWTH-21st, sulci appear in their order, and
the truth (head size, atrial width, cerebellar diameter, tissue volumes) comes with each volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.biometry import HeadBiometry
from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.digest import digest_json
from fetalsynth.artifacts.manifest import Licence
from fetalsynth.artifacts.nifti import Affine
from fetalsynth.datasets.phantoms.brain_growth import check_weeks
from fetalsynth.datasets.phantoms.brain_image import picture
from fetalsynth.datasets.phantoms.brain_labels import build, head_space
from fetalsynth.datasets.phantoms.brain_sampling import BrainParams, sample_params
from fetalsynth.datasets.volumes.source import SourceVolume, VolumeItem, VolumeSource
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng

__all__ = ["BrainParams", "PhantomBrain", "open_source", "sample_params", "simulate"]

NAME = "phantom-brain"
SIMULATOR_VERSION = 1
SPACINGS_MM = (0.5, 2.0)
WHITE_LEVEL = 2.0
LICENCE = Licence(
    source="fetalsynth brain phantom",
    licence="Apache-2.0",
    citation="Head size after Papageorghiou et al. 2014, International standards for fetal growth "
    "based on serial ultrasound measurements: the Fetal Growth Longitudinal Study of the "
    "INTERGROWTH-21st Project, Lancet 384:869-879",
)


@dataclass(frozen=True, kw_only=True)
class PhantomBrain:
    """One simulated brain: ``image`` float32 (white matter near 1, background 0), FeTA ``labels``.

    ``affine`` (4, 4), mm, RAS+, with the origin at the head's centre.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    affine: Affine
    spacing_mm: float
    biometry: HeadBiometry
    atrial_width_mm: float
    cerebellar_diameter_mm: float

    @property
    def tissue_volumes_ml(self) -> dict[str, float]:
        """Volume of every tissue, ml, by FeTA name."""
        counts = np.bincount(self.labels.ravel(), minlength=len(FETA))
        each = self.spacing_mm**3 / 1000
        return {name: float(counts[k] * each) for k, name in enumerate(FETA) if k}


def simulate(params: BrainParams, *, spacing_mm: float = 1.0) -> PhantomBrain:
    """The brain that ``params`` describe, on a grid of ``spacing_mm``; no randomness."""
    space = head_space(params.anatomy.skull, spacing_mm=spacing_mm)
    tissues = build(space, params.anatomy)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [float(axis[0, 0, 0]) for axis in (space.x, space.y, space.z)]
    core = params.anatomy.core
    return PhantomBrain(
        image=picture(tissues, params.scan),
        labels=tissues.labels,
        affine=affine,
        spacing_mm=spacing_mm,
        biometry=params.biometry,
        atrial_width_mm=(core.atrium_left_mm + core.atrium_right_mm) / 2,
        cerebellar_diameter_mm=core.cerebellum_mm,
    )


def open_source(
    *,
    count: int,
    seed: int,
    spacing_mm: float = 1.0,
    weeks: tuple[float, float] = (21, 35),
) -> VolumeSource:
    """``count`` brains, gestational ages uniform over ``weeks``; each is made when it is read.

    Raises UserError for a count below 1, a spacing outside 0.5 to 2 mm or ages outside 20 to 36
    weeks.
    """
    if count < 1:
        raise UserError(f"--n {count}: ask for at least one phantom")
    if not SPACINGS_MM[0] <= spacing_mm <= SPACINGS_MM[1]:
        low, high = SPACINGS_MM
        raise UserError(f"spacing {spacing_mm:g} mm: give {low:g} to {high:g} mm")
    check_weeks(weeks)
    settings = {
        "source": NAME,
        "simulator_version": SIMULATOR_VERSION,
        "count": count,
        "seed": seed,
        "spacing_mm": spacing_mm,
        "weeks": list(weeks),
    }
    read = partial(_volume, seed=seed, spacing_mm=spacing_mm, weeks=weeks)
    items = tuple(
        VolumeItem(name=_subject(k), subject=_subject(k), read=partial(read, k))
        for k in range(count)
    )
    return VolumeSource(
        name=NAME,
        digest=digest_json(settings),
        items=items,
        licences=(LICENCE,),
        synthetic=True,
    )


def _subject(number: int) -> str:
    return f"phantom{number:04d}"


def _volume(
    number: int, *, seed: int, spacing_mm: float, weeks: tuple[float, float]
) -> SourceVolume:
    rng = numpy_rng(seed=seed, stream=NAME, counter=number)
    brain = simulate(sample_params(rng, weeks=weeks), spacing_mm=spacing_mm)
    return SourceVolume(
        subject=_subject(number),
        affine=brain.affine,
        image=brain.image,
        labels=brain.labels,
        window=(0.0, WHITE_LEVEL),
        gestational_age_weeks=brain.biometry.gestational_age_weeks,
        extra=_truth(brain),
        sidecar={"Synthetic": True, "Simulator": f"{NAME} {SIMULATOR_VERSION}", "Seed": seed},
    )


def _truth(brain: PhantomBrain) -> dict[str, str]:
    """What is known of the brain, as text by column name."""
    known = {
        "head_circumference_mm": brain.biometry.head_circumference_mm,
        "biparietal_diameter_mm": brain.biometry.biparietal_diameter_mm,
        "occipitofrontal_diameter_mm": brain.biometry.occipitofrontal_diameter_mm,
        "atrial_width_mm": brain.atrial_width_mm,
        "cerebellar_diameter_mm": brain.cerebellar_diameter_mm,
    }
    for name, volume in brain.tissue_volumes_ml.items():
        known[f"{name.replace(' ', '_').lower()}_ml"] = volume
    return {name: f"{value:.3f}" for name, value in known.items()}
