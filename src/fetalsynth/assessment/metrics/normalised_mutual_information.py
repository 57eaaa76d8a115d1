"""Mutual information relative to the entropies of the two images.

Formula
    From one joint histogram of ``bins`` × ``bins`` cells with entropies Hₓ, Hᵧ and Hₓᵧ:
    Studholme: (Hₓ + Hᵧ) / Hₓᵧ (Studholme, Hill and Hawkes, *Pattern Recognit.* 32:71, 1999,
    eq. 9), which scikit-image calls normalized_mutual_information;
    arithmetic: (Hₓ + Hᵧ − Hₓᵧ) / ((Hₓ + Hᵧ)/2), scikit-learn's normalized_mutual_info_score.
    Two numbers of one name and different scales, so neither is called NMI alone here.
Direction
    Higher means that one image tells more about the other, in whatever grey values.
Input
    Grey images of one shape, each with the range that its bins divide equally.
Ideal and chance
    Studholme 1 to 2, arithmetic 0 to 1; the upper end for a one-to-one map of grey levels, the
    lower end in the limit for unrelated images. No correction is made for finite images: unrelated
    64 × 64 images in 32 bins have about 1.02 and 0.04. Two flat images have the upper end.
Least number of images
    One pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.mutual_information import BINS, quantise

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Entropies:
    """Entropies in nats of the bins of two images, and of both together."""

    first: float
    second: float
    joint: float


def studholme(found: Entropies) -> float:
    """(Hₓ + Hᵧ) / Hₓᵧ, from 1 to 2."""
    return (found.first + found.second) / found.joint if found.joint > 0 else 2.0


def arithmetic(found: Entropies) -> float:
    """Mutual information over the mean of the two entropies, from 0 to 1."""
    total = found.first + found.second
    return 2 * max(0.0, total - found.joint) / total if total > 0 else 1.0


def entropies(
    *,
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    first_range: Range,
    second_range: Range,
    bins: int = BINS,
) -> Entropies:
    """Entropies of two images of one shape; raises ValueError for values outside their range."""
    codes = binned(image=first, data_range=first_range, bins=bins)
    others = binned(image=second, data_range=second_range, bins=bins)
    return of_codes(first=codes, second=others, bins=bins)


def binned(*, image: NDArray[np.generic], data_range: Range, bins: int = BINS) -> NDArray[np.int64]:
    """Bin number of every value, in the image's shape; a flat image has bin 0 everywhere."""
    if data_range[0] == data_range[1]:
        data_range = (data_range[0], data_range[0] + 1)
    return quantise(images=image[None], data_range=data_range, bins=bins).reshape(image.shape)


def of_codes(*, first: NDArray[np.int64], second: NDArray[np.int64], bins: int = BINS) -> Entropies:
    """Entropies of two images of bin numbers."""
    if first.shape != second.shape or not first.size:
        raise ValueError(f"images differ in shape or are empty: {first.shape} and {second.shape}")
    counts = np.bincount((first * bins + second).ravel(), minlength=bins * bins)
    joint = counts.reshape(bins, bins) / first.size
    return Entropies(
        first=_entropy(joint.sum(1)), second=_entropy(joint.sum(0)), joint=_entropy(joint)
    )


def _entropy(shares: NDArray[np.float64]) -> float:
    filled = shares[shares > 0]
    return float(-(filled * np.log(filled)).sum())
