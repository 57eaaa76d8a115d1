"""Is a label map a plausible fetal brain? Each check has a value, a limit and a verdict.

The limits come from the 15 volumes of the spina bifida atlas (21 to 34 weeks, Fidon et al., Open
Research Europe 2021;1:123): as a rule twice the worst of them, so that what fails is unlike all of
them. Being averages over fetuses, they are more symmetric and less noisy than single brains, which
the limits of these two checks allow for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy import labels as tissue
from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.measure.fields import Affine, crop
from fetalsynth.anatomy.measure.frame import Frame, find_frame
from fetalsynth.anatomy.validity_novelty import nearest_dice, stand_upright
from fetalsynth.anatomy.validity_signs import contact_table, parts_of, smoothness_of

Verdict = Literal["pass", "fail", "unjudged"]

# Most parts of at least 20 mm³. In the atlas: 1, ventricles up to 3, cortex up to 11.
MOST_PARTS = {
    tissue.GREY_MATTER: 22,
    tissue.WHITE_MATTER: 2,
    tissue.VENTRICLES: 6,
    tissue.CEREBELLUM: 2,
    tissue.DEEP_GREY_MATTER: 2,
    tissue.BRAINSTEM: 1,
}
# Share outside the two largest parts. In the atlas: external CSF 0.235, cortex 0.101, others 0.002.
MOST_LOOSE = {
    tissue.EXTERNAL_CSF: 0.47,
    tissue.GREY_MATTER: 0.2,
    tissue.WHITE_MATTER: 0.004,
    tissue.VENTRICLES: 0.04,  # the third and the fourth may be apart from both lateral ones
    tissue.CEREBELLUM: 0.004,
    tissue.DEEP_GREY_MATTER: 0.004,
    tissue.BRAINSTEM: 0.004,
}
# Share of the first tissue's surface on the second: the atlas has up to half of it.
MOST_CONTACT = {
    (tissue.VENTRICLES, tissue.BACKGROUND): 0.002,
    (tissue.VENTRICLES, tissue.EXTERNAL_CSF): 0.05,
    (tissue.VENTRICLES, tissue.GREY_MATTER): 0.024,
    (tissue.DEEP_GREY_MATTER, tissue.BACKGROUND): 0.002,
    (tissue.DEEP_GREY_MATTER, tissue.EXTERNAL_CSF): 0.21,
    (tissue.WHITE_MATTER, tissue.BACKGROUND): 0.14,
    (tissue.WHITE_MATTER, tissue.EXTERNAL_CSF): 0.13,
}
# ml at 28 weeks and power of age fitted to the atlas; it lies within 0.59 to 1.40 of the fits.
GROWTH = {
    "cerebrum": ((tissue.GREY_MATTER, tissue.WHITE_MATTER, tissue.DEEP_GREY_MATTER), 107.1, 3.55),
    "deep grey matter": ((tissue.DEEP_GREY_MATTER,), 8.35, 2.72),
    "cerebellum": ((tissue.CEREBELLUM,), 3.29, 4.20),
    "brainstem": ((tissue.BRAINSTEM,), 3.10, 2.82),
}
# The cerebellum is small in spina bifida: a healthy one may have three times its volume.
GROWTH_LIMITS = {"cerebellum": (0.4, 3.5)}
USUAL_GROWTH_LIMITS = (0.5, 2.0)
LEAST_SYMMETRY = 0.65  # share of voxels alike on both sides; the averages have 0.97
LEAST_GROWTH, MOST_JUMP = 1.4, 1.0  # the atlas has 1.71 at least and 0.77 at most
COARSEST_MM = 1.3  # with thicker slices the cortex is gone from one to the next
# Copies that were turned or resampled score 0.87 to 0.94, neighbouring ages of the atlas 0.64-0.80.
MOST_DICE = 0.85


@dataclass(frozen=True, kw_only=True)
class Check:
    """One criterion. ``low`` and ``high`` are the limits, None where a side has none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    meaning: str

    @property
    def verdict(self) -> Verdict:
        """Whether the value is within the limits; a value of None is not judged."""
        if self.value is None:
            return "unjudged"
        above = self.low is None or self.value >= self.low
        below = self.high is None or self.value <= self.high
        return "pass" if above and below else "fail"


@dataclass(frozen=True, kw_only=True)
class Validity:
    """All checks of one label map."""

    checks: tuple[Check, ...]

    @property
    def valid(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "fail")


def check(
    labels: NDArray[np.uint8],
    affine: Affine,
    *,
    gestational_age_weeks: float | None = None,
    training: Sequence[NDArray[np.uint8]] = (),
    min_jacobian: float | None = None,
    frame: Frame | None = None,
) -> Validity:
    """Check (I, J, K) FeTA ``labels`` with a (4, 4) ``affine`` in mm.

    ``training`` are the maps that it must not copy, each from
    :func:`fetalsynth.anatomy.validity_novelty.stand_upright`. ``min_jacobian`` is the smallest
    Jacobian determinant of the deformation that made the map. ``frame``, the head's axes, is found
    where not given. What is not given is not judged.

    Raises ValueError where all is background or a label is not FeTA's.
    """
    if labels.max() >= len(FETA):
        raise ValueError(f"label {labels.max()} is not FeTA's (0 to {len(FETA) - 1})")
    labels, affine = crop(labels, affine)
    frame = frame or find_frame(labels, affine)
    return Validity(
        checks=(
            *_tissues(labels, affine),
            *_contacts(labels, affine),
            *_growth(labels, affine, gestational_age_weeks),
            Check(
                name="symmetry",
                value=frame.symmetry,
                low=LEAST_SYMMETRY,
                high=None,
                meaning="share of voxels whose mirror image has the same label",
            ),
            *_slices(labels, affine),
            Check(
                name="smallest Jacobian",
                value=min_jacobian,
                low=1e-6,
                high=None,
                meaning="0 or less where the deformation folds space",
            ),
            Check(
                name="nearest training map",
                value=_novelty(labels, affine, frame, training),
                low=None,
                high=MOST_DICE,
                meaning="mean Dice with the nearest of the training maps, turned alike",
            ),
        )
    )


def _novelty(
    labels: NDArray[np.uint8],
    affine: Affine,
    frame: Frame,
    training: Sequence[NDArray[np.uint8]],
) -> float | None:
    if not training:
        return None
    return nearest_dice(stand_upright(labels, affine, frame=frame), training)


def _tissues(labels: NDArray[np.uint8], affine: Affine) -> Iterator[Check]:
    there = np.bincount(labels.ravel(), minlength=len(FETA)) > 0
    yield Check(
        name="tissues",
        value=float(there[1:].sum()),
        low=len(FETA) - 1,
        high=None,
        meaning="how many of the seven tissues are there",
    )
    for label, most in MOST_LOOSE.items():
        parts = parts_of(labels == label, affine)
        yield Check(
            name=f"{FETA[label]}, loose",
            value=parts.loose,
            low=None,
            high=most,
            meaning="share of the tissue outside its two largest parts",
        )
        if label in MOST_PARTS:
            yield Check(
                name=f"{FETA[label]}, parts",
                value=parts.count,
                low=1,
                high=MOST_PARTS[label],
                meaning="components of at least 20 mm³",
            )


def _contacts(labels: NDArray[np.uint8], affine: Affine) -> Iterator[Check]:
    table = contact_table(labels, affine, kinds=len(FETA))
    for (one, other), most in MOST_CONTACT.items():
        yield Check(
            name=f"{FETA[one]} on {FETA[other]}",
            value=float(table[one, other]),
            low=None,
            high=most,
            meaning="share of the first tissue's surface that touches the second",
        )


def _growth(labels: NDArray[np.uint8], affine: Affine, weeks: float | None) -> Iterator[Check]:
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    count = np.bincount(labels.ravel(), minlength=len(FETA))
    for name, (tissues, at_28_ml, power) in GROWTH.items():
        low, high = GROWTH_LIMITS.get(name, USUAL_GROWTH_LIMITS)
        value = None
        if weeks is not None and 0 < weeks < math.inf:
            expected = at_28_ml * (weeks / 28) ** power
            value = float(count[list(tissues)].sum()) * voxel_ml / expected
        yield Check(
            name=f"{name}, volume",
            value=value,
            low=low,
            high=high,
            meaning="times the volume that the atlas has at this age",
        )


def _slices(labels: NDArray[np.uint8], affine: Affine) -> Iterator[Check]:
    fine = float(np.linalg.norm(affine[:3, :3], axis=0).max()) <= COARSEST_MM
    smoothness = smoothness_of(labels) if fine else None
    yield Check(
        name="slice to slice",
        value=smoothness.growth if smoothness else None,
        low=LEAST_GROWTH,
        high=None,
        meaning="2 where borders run on through the slices, 1 where slices jump",
    )
    yield Check(
        name="worst slice",
        value=smoothness.jump if smoothness else None,
        low=None,
        high=MOST_JUMP,
        meaning="0 for a slice between its neighbours, 2 for an empty one",
    )
