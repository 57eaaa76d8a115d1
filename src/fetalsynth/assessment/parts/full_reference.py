"""Mutual information and PSNR over pairs that no one has paired."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.floors import Design
from fetalsynth.assessment.metrics import mutual_information, psnr
from fetalsynth.assessment.metrics.mutual_information import BINS
from fetalsynth.assessment.pairing import AllPairs, Images, Pairing, paired_values
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.resampling import DRAWS, Interval, half_samples, interval
from fetalsynth.assessment.samples import ROLES, Index, Samples
from fetalsynth.progress import Progress
from fetalsynth.randomness import numpy_rng

DATA_RANGE = (0, 256)
PIXEL_PAIRS = 4e9
_CAVEAT = (
    "A full-reference measure used on images that are not pairs: it says how alike any synthetic "
    "and any real image are on average, and little about quality. Compare with the floor, the same "
    "mean between real images."
)


def full_reference(samples: Samples, design: Design, *, pairing: Pairing) -> Part:
    """MI and PSNR: means over the pairs that the rule makes, with real-against-real floors."""
    value_sides, floor_sides = _sides(samples, design, pairing)
    total = _pairs(*value_sides, pairing) + _pairs(*floor_sides, pairing)
    with Progress(label="mutual information", total=total, unit="pairs") as progress:

        def information(a: Images, b: Images) -> NDArray[np.float64]:
            return mutual_information.all_pairs(
                first=a, second=b, data_range=DATA_RANGE, progress=progress
            )

        mi = _metric(information, samples, value_sides, floor_sides, pairing)
    noise_ratio = _metric(_psnr, samples, value_sides, floor_sides, pairing)
    named: dict[str, tuple[Metric | None, str, dict[str, Any]]] = {
        "MI": (mi, "nats", {"bins": BINS, "edges": list(DATA_RANGE), "correction": "Miller–Madow"}),
        "PSNR": (noise_ratio, "dB", {"data_range": 255}),
    }
    return Part(
        metrics={
            name: metric.model_copy(update={"unit": unit, "settings": metric.settings | settings})
            for name, (metric, unit, settings) in named.items()
            if metric is not None
        }
    )


def _psnr(a: Images, b: Images) -> NDArray[np.float64]:
    return psnr.all_pairs(first=a, second=b, data_range=255)


Sides = tuple[Index, Index]


def _sides(samples: Samples, design: Design, pairing: Pairing) -> tuple[Sides, Sides]:
    """Queries and references of the value and of the floor, as pooled positions.

    Means over all pairs do not depend on the counts, so all images take part as far as the time
    allows; the nearest of more images is nearer, so that rule takes matched counts.
    """
    if pairing == "nearest":
        real, synthetic = design.value[0]
        other, reference = design.floor[0]
        return (synthetic, real), (other, reference)
    train, real = samples.pooled("train"), samples.pooled("real")
    floor = (train, real) if len(train) else design.floor[0]
    pixels = samples.images["real"][0].size
    value = (samples.pooled("synthetic"), real)
    return _thinned(value, pixels, samples.seed), _thinned(floor, pixels, samples.seed)


def _thinned(sides: Sides, pixels: int, seed: int) -> Sides:
    """Both sides cut at random by one factor where all pairs would take too long."""
    share = np.sqrt(PIXEL_PAIRS / (len(sides[0]) * len(sides[1]) * pixels))
    if share >= 1:
        return sides
    rng = numpy_rng(seed=seed, stream="assess/full-reference/thin")
    first, second = (
        np.sort(rng.permutation(side)[: max(4, int(share * len(side)))]) for side in sides
    )
    return first, second


def _pairs(queries: Index, references: Index, pairing: Pairing) -> int:
    return len(queries) * (len(references) if pairing == "all-pairs" else 1)


def _metric(
    measure: AllPairs, samples: Samples, value: Sides, floor: Sides, pairing: Pairing
) -> Metric | None:
    """The mean over the pairs that differ; None where all are identical."""
    roles = [role for role in ROLES if role in samples.subjects]
    subjects = np.concatenate([samples.subjects[role] for role in roles])

    def values(sides: Sides) -> NDArray[np.float64]:
        rng = numpy_rng(seed=samples.seed, stream="assess/pairing")
        queries, references = map(samples.at, sides)
        return paired_values(
            rule=pairing, measure=measure, queries=queries, references=references, rng=rng
        )

    found, between_real = values(value), values(floor)
    mean, identical = psnr.finite_mean(found)
    floor_mean, _ = psnr.finite_mean(between_real)
    if mean is None:
        return None
    return Metric(
        value=mean,
        ci95=_interval(found, mean, *(subjects[side] for side in value), seed=samples.seed),
        direction="none",
        n_real=len(value[1]),
        n_synthetic=len(value[0]),
        settings={
            "pairing": pairing,
            "pairs": found.size,
            "pairs_left_out_as_identical": identical,
            "floor_pairs": between_real.size,
        },
        floor=floor_mean,
        meaning=_CAVEAT,
    )


def _interval(
    values: NDArray[np.float64],
    mean: float,
    query_subjects: Index,
    reference_subjects: Index,
    *,
    seed: int,
) -> Interval | None:
    """From means over half of the queries and, where all pairs were made, of the references."""
    rng = numpy_rng(seed=seed, stream="assess/full-reference/interval")
    finite = np.isfinite(values)
    rows = half_samples(subjects=query_subjects, rng=rng).astype(float)
    columns = np.ones((DRAWS, 1))
    if values.shape[1] > 1:
        columns = half_samples(subjects=reference_subjects, rng=rng).astype(float)
    sums = ((rows @ np.where(finite, values, 0)) * columns).sum(1)
    counts = ((rows @ finite) * columns).sum(1)
    with np.errstate(invalid="ignore"):
        return interval(value=mean, halves=sums / counts)
