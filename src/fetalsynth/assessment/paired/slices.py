"""Scores slice by slice, as the fetal MRI study's Table 1 has them.

Every slice that holds foreground, in every plane that is large enough for the window of SSIM, is
compared whole, its background included. The background flatters slices as it flatters volumes;
slices at the edge of the brain, which are nearly empty, score best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.assessment.metrics.combined import combined_score
from fetalsynth.assessment.metrics.correlation import correlation
from fetalsynth.assessment.metrics.mse import normalised_mse
from fetalsynth.assessment.metrics.mutual_information import BINS, mutual_information
from fetalsynth.assessment.metrics.ssim import ssim_batch
from fetalsynth.assessment.metrics.windows import radius
from fetalsynth.assessment.regions import Mask

LEAST_SIDE = 2 * radius("gaussian") + 1
SCORES = ("MSE", "SSIM", "correlation", "combined", "MI")
Codes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SliceScores:
    """Scores of one slice; ``index`` counts from the left, posterior or inferior end (RAS+)."""

    plane: Plane
    index: int
    values: dict[str, float]


def score_slices(
    *,
    real: NDArray[Any],
    image: NDArray[Any],
    codes: tuple[Codes, Codes],
    data_range: float,
    inside: Mask,
) -> tuple[SliceScores, ...]:
    """Scores of every slice of two volumes (I, J, K) in RAS+ order that holds foreground.

    ``codes`` are the bins (0 … 31) of both volumes, for mutual information; ``inside`` is the
    foreground. Planes below 11 pixels a side are left out.
    """
    found: list[SliceScores] = []
    for axis, plane in enumerate(PLANES):
        held = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        first, second, a, b = (
            np.ascontiguousarray(np.moveaxis(volume, axis, 0)[held])
            for volume in (real, image, *codes)
        )
        if min(first.shape[1:]) < LEAST_SIDE:
            continue
        similarity = ssim_batch(first=first, second=second, data_range=data_range)
        for k, index in enumerate(held):
            r = correlation(first=first[k], second=second[k])
            values = {
                "MSE": normalised_mse(first=first[k], second=second[k], data_range=data_range),
                "SSIM": float(similarity[k]),
                "correlation": r,
                "combined": combined_score(ssim=float(similarity[k]), correlation=r),
                "MI": mutual_information(first=a[k], second=b[k], data_range=(0, BINS)),
            }
            found.append(SliceScores(plane=plane, index=int(index), values=values))
    return tuple(found)


def plane_means(slices: Sequence[SliceScores]) -> dict[str, float]:
    """Mean of every score over the slices of each plane, named score-plane."""
    return {
        f"{score}-{plane}": float(np.mean([s.values[score] for s in slices if s.plane == plane]))
        for plane in dict.fromkeys(s.plane for s in slices)
        for score in SCORES
    }
