"""Every score of one pair: a synthetic image and the real one that it was made to look like."""

from __future__ import annotations

from dataclasses import dataclass, field
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
from fetalsynth.assessment.metrics.ssim import ssim_maps
from fetalsynth.assessment.metrics.tissue_error import tissue_errors
from fetalsynth.assessment.metrics.trivial_baseline import painted
from fetalsynth.assessment.metrics.windows import Window
from fetalsynth.assessment.paired.consistency import Labels, Segment, found_again
from fetalsynth.assessment.paired.slices import Codes, SliceScores, plane_means, score_slices
from fetalsynth.assessment.regions import Mask, Region, foreground, mean_over, regions

Range = tuple[float, float]
_WINDOWS: dict[str, Window] = {"SSIM": "gaussian", "SSIM-uniform7": "uniform7"}


@dataclass(frozen=True, kw_only=True)
class ImagePair:
    """A pair of images (H, W) or RAS+ volumes (I, J, K) on one grid.

    ``data_range`` is L of PSNR and SSIM, ``black`` the value of no signal; ``real_bins`` and
    ``synthetic_bins`` are the ranges that the bins of mutual information divide. ``input_labels``
    is the map that the synthetic image was made from, where it came with one.
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
    input_labels: NDArray[np.int64] | None = None
    mask: Mask | None = None
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Scores of one image against the real one by name (metric-region), and slice by slice."""

    values: dict[str, float]
    slices: tuple[SliceScores, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What synthetic images are set beside: scores of the trivial baseline, and of the real image
    by the segmentation network. It is the same for every synthetic partner of one real image.
    """

    rules: dict[str, str]
    baseline: Measured
    real: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """Scores by name (metric-region) of the synthetic image and of the trivial baseline.

    ``rules`` says how the foreground was found and what the baseline paints. ``slices`` and
    ``baseline_slices`` list the same slices of volumes. ``ceiling`` has the scores of consistency
    that the real image itself reaches.
    """

    subject: str
    real_file: str
    synthetic_file: str
    values: dict[str, float]
    baseline: dict[str, float]
    rules: dict[str, str]
    brightness_ratio: float
    slices: tuple[SliceScores, ...] = ()
    baseline_slices: tuple[SliceScores, ...] = ()
    ceiling: dict[str, float] = field(default_factory=dict)


def score_pair(
    pair: ImagePair,
    *,
    scales: int,
    segment: Segment | None = None,
    reference: Reference | None = None,
) -> PairScores:
    """All scores of the pair, MS-SSIM with ``scales`` scales (0 leaves it out).

    ``segment`` adds how well the labels are found again in the synthetic image, where there are
    any. ``reference`` is computed where it is not given. Raises ValueError where the foreground is
    empty, or lies within five pixels of the border.
    """
    inside, _ = _foreground(pair)
    reference = reference or reference_of(pair, scales=scales, segment=segment)
    found = _measured(pair, pair.synthetic, inside, scales, pair.synthetic_bins)
    truth = pair.labels if pair.input_labels is None else pair.input_labels
    return PairScores(
        subject=pair.subject,
        real_file=pair.real_file,
        synthetic_file=pair.synthetic_file,
        values=found.values | _found_again(pair, pair.synthetic, truth, segment),
        baseline=reference.baseline.values,
        rules=reference.rules,
        brightness_ratio=_brightness_ratio(pair, inside),
        slices=found.slices,
        baseline_slices=reference.baseline.slices,
        ceiling=reference.real,
    )


def reference_of(pair: ImagePair, *, scales: int, segment: Segment | None = None) -> Reference:
    """The scores of the trivial baseline, and those of the real image by ``segment``."""
    inside, rule = _foreground(pair)
    plain = painted(real=pair.real, labels=inside if pair.labels is None else pair.labels)
    spread = (float(plain.min()), float(plain.max()))
    bins = pair.real_bins if pair.real_bins == pair.synthetic_bins else spread
    found = _measured(pair, plain, inside, scales, bins)
    again = _found_again(pair, plain, pair.labels, segment)
    drawn = "the foreground" if pair.labels is None else "every label"
    return Reference(
        rules={"foreground": rule, "baseline_paints": f"{drawn} with its mean"},
        baseline=Measured(values=found.values | again, slices=found.slices),
        real=_found_again(pair, pair.real, pair.labels, segment),
    )


def _foreground(pair: ImagePair) -> tuple[Mask, str]:
    return foreground(real=pair.real, black=pair.black, labels=pair.labels, mask=pair.mask)


def fitting_scales(sizes: tuple[int, ...]) -> int:
    """Scales of MS-SSIM that fit into images of these sizes (0 where none does)."""
    return most_scales(sizes)


def _measured(
    pair: ImagePair, image: NDArray[Any], inside: Mask, scales: int, bins: Range
) -> Measured:
    areas = regions(inside)
    codes = (
        nmi.binned(image=pair.real, data_range=pair.real_bins),
        nmi.binned(image=image, data_range=bins),
    )
    values = _similarity(pair, image, areas)
    values |= _pixelwise(pair, image, areas)
    values |= _information(codes, areas)
    if scales:
        values["MS-SSIM-full"] = ms_ssim(
            first=pair.real, second=image, data_range=pair.data_range, scales=scales
        )
    slices: tuple[SliceScores, ...] = ()
    if pair.real.ndim == 3:
        slices = score_slices(
            real=pair.real, image=image, codes=codes, data_range=pair.data_range, inside=inside
        )
        values |= plane_means(slices)
    if pair.labels is not None:
        values |= _tissues(pair, image, pair.labels)
    return Measured(values=values, slices=slices)


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


def _information(codes: tuple[Codes, Codes], areas: dict[Region, Mask]) -> dict[str, float]:
    values = {}
    for region, area in areas.items():
        a, b = (side[area] for side in codes)
        values[f"MI-{region}"] = mutual_information.mutual_information(
            first=a, second=b, data_range=(0, BINS)
        )
        found = nmi.of_codes(first=a, second=b)
        values[f"NMI-Studholme-{region}"] = nmi.studholme(found)
        values[f"NMI-arithmetic-{region}"] = nmi.arithmetic(found)
    return values


def _found_again(
    pair: ImagePair, image: NDArray[Any], truth: Labels | None, segment: Segment | None
) -> dict[str, float]:
    if segment is None or truth is None or pair.affine is None:
        return {}
    return found_again(
        image=image,
        truth=truth,
        black=pair.black,
        data_range=pair.data_range,
        affine=pair.affine,
        segment=segment,
    )


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
