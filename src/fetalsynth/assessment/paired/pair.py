"""Every score of one pair: a synthetic image and the real one that it was made to look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics import mutual_information
from fetalsynth.assessment.metrics import normalised_mutual_information as nmi
from fetalsynth.assessment.metrics.combined import combined_score
from fetalsynth.assessment.metrics.correlation import correlation
from fetalsynth.assessment.metrics.ms_ssim import most_scales, ms_ssim
from fetalsynth.assessment.metrics.mse import normalised_mse
from fetalsynth.assessment.metrics.mutual_information import BINS
from fetalsynth.assessment.metrics.psnr import from_mse
from fetalsynth.assessment.metrics.ssim import ssim_batch, ssim_maps
from fetalsynth.assessment.metrics.tissue_error import tissue_errors
from fetalsynth.assessment.metrics.trivial_baseline import painted
from fetalsynth.assessment.metrics.windows import Window, radius
from fetalsynth.assessment.regions import Mask, Region, foreground, mean_over, regions

PLANES = {0: "sagittal", 1: "coronal", 2: "axial"}
LEAST_SIDE = 2 * radius("gaussian") + 1
Range = tuple[float, float]
_WINDOWS: dict[str, Window] = {"SSIM": "gaussian", "SSIM-uniform7": "uniform7"}


@dataclass(frozen=True, kw_only=True)
class ImagePair:
    """A pair of images (H, W) or RAS+ volumes (I, J, K) on one grid.

    ``data_range`` is L of PSNR and SSIM, ``black`` the value of no signal; ``real_bins`` and
    ``synthetic_bins`` are the ranges that the bins of mutual information divide.
    """

    subject: str
    real_file: str
    synthetic_file: str
    real: NDArray[Any]
    synthetic: NDArray[Any]
    black: float
    data_range: float
    real_bins: Range
    synthetic_bins: Range
    labels: NDArray[np.int64] | None = None
    mask: Mask | None = None


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """Scores by name (metric-region) of the synthetic image and of the trivial baseline.

    ``rules`` says how the foreground was found and what the baseline paints.
    """

    subject: str
    real_file: str
    synthetic_file: str
    values: dict[str, float]
    baseline: dict[str, float]
    rules: dict[str, str]
    brightness_ratio: float


def score_pair(pair: ImagePair, *, scales: int) -> PairScores:
    """All scores of the pair, MS-SSIM with ``scales`` scales (0 leaves it out).

    Raises ValueError where the foreground is empty, or lies within five pixels of the border.
    """
    inside, rule = foreground(real=pair.real, black=pair.black, labels=pair.labels, mask=pair.mask)
    areas = regions(inside)
    plain = painted(real=pair.real, labels=inside if pair.labels is None else pair.labels)
    drawn = "the foreground" if pair.labels is None else "every label"
    spread = (float(plain.min()), float(plain.max()))
    own = pair.real_bins if pair.real_bins == pair.synthetic_bins else spread
    return PairScores(
        subject=pair.subject,
        real_file=pair.real_file,
        synthetic_file=pair.synthetic_file,
        values=_all(pair, pair.synthetic, areas, scales, pair.synthetic_bins),
        baseline=_all(pair, plain, areas, scales, own),
        rules={"foreground": rule, "baseline_paints": f"{drawn} with its mean"},
        brightness_ratio=_brightness_ratio(pair, inside),
    )


def fitting_scales(sizes: tuple[int, ...]) -> int:
    """Scales of MS-SSIM that fit into images of these sizes (0 where none does)."""
    return most_scales(sizes)


def _all(
    pair: ImagePair, image: NDArray[Any], areas: dict[Region, Mask], scales: int, bins: Range
) -> dict[str, float]:
    values = _similarity(pair, image, areas)
    values |= _pixelwise(pair, image, areas)
    values |= _information(pair, image, areas, bins)
    if scales:
        values["MS-SSIM-full"] = ms_ssim(
            first=pair.real, second=image, data_range=pair.data_range, scales=scales
        )
    if pair.real.ndim == 3:
        values |= _planes(pair, image, areas["mask"])
    if pair.labels is not None:
        values |= _tissues(pair, image, pair.labels)
    return values


def _similarity(
    pair: ImagePair, image: NDArray[Any], areas: dict[Region, Mask]
) -> dict[str, float]:
    values = {}
    for name, window in _WINDOWS.items():
        found = ssim_maps(
            first=pair.real[None], second=image[None], data_range=pair.data_range, window=window
        )[0]
        for region, area in areas.items():
            values[f"{name}-{region}"] = mean_over(map_=found, region=area)
    for region, area in areas.items():
        r = correlation(first=pair.real, second=image, where=area)
        values[f"correlation-{region}"] = r
        values[f"combined-{region}"] = combined_score(ssim=values[f"SSIM-{region}"], correlation=r)
    return values


def _pixelwise(pair: ImagePair, image: NDArray[Any], areas: dict[Region, Mask]) -> dict[str, float]:
    values = {}
    for region, area in areas.items():
        error = normalised_mse(
            first=pair.real, second=image, data_range=pair.data_range, where=area
        )
        values[f"MSE-{region}"] = error
        values[f"PSNR-{region}"] = float(from_mse(error, data_range=1))
    return values


def _information(
    pair: ImagePair, image: NDArray[Any], areas: dict[Region, Mask], bins: Range
) -> dict[str, float]:
    real = nmi.binned(image=pair.real, data_range=pair.real_bins)
    other = nmi.binned(image=image, data_range=bins)
    values = {}
    for region, area in areas.items():
        a, b = real[area], other[area]
        values[f"MI-{region}"] = mutual_information.mutual_information(
            first=a, second=b, data_range=(0, BINS)
        )
        found = nmi.of_codes(first=a, second=b)
        values[f"NMI-Studholme-{region}"] = nmi.studholme(found)
        values[f"NMI-arithmetic-{region}"] = nmi.arithmetic(found)
    return values


def _planes(pair: ImagePair, image: NDArray[Any], inside: Mask) -> dict[str, float]:
    """Scores of whole planes, averaged over the planes that hold foreground, per orientation.

    Empty where planes of that orientation are too small for the window.
    """
    values = {}
    for axis, name in PLANES.items():
        held = np.flatnonzero(inside.any(axis=tuple(other for other in PLANES if other != axis)))
        first, second = (
            np.ascontiguousarray(np.moveaxis(volume, axis, 0)[held])
            for volume in (pair.real, image)
        )
        if min(first.shape[1:]) < LEAST_SIDE:
            continue
        similarity = float(
            ssim_batch(first=first, second=second, data_range=pair.data_range).mean()
        )
        each = [correlation(first=a, second=b) for a, b in zip(first, second, strict=True)]
        r = float(np.mean(each))
        values[f"SSIM-{name}"] = similarity
        values[f"correlation-{name}"] = r
        values[f"combined-{name}"] = combined_score(ssim=similarity, correlation=r)
    return values


def _tissues(pair: ImagePair, image: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, float]:
    errors = tissue_errors(
        real=pair.real, synthetic=image, labels=labels, data_range=pair.data_range
    )
    return {
        name: value
        for error in errors
        for name, value in (
            (f"error-absolute-label{error.label}", error.absolute),
            (f"error-signed-label{error.label}", error.signed),
        )
    }


def _brightness_ratio(pair: ImagePair, inside: Mask) -> float:
    """Mean of the synthetic over that of the real foreground, both above black; NaN for black."""
    real = float(pair.real[inside].mean(dtype=np.float64)) - pair.black
    ours = float(pair.synthetic[inside].mean(dtype=np.float64)) - pair.black
    return ours / real if real > 0 else float("nan")
