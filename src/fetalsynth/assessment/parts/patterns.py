"""The LBP vector of the set: every code, whole-vector distances, and the paper's four codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.features.extractors import Options
from fetalsynth.assessment.floors import Design, Statistic, matched
from fetalsynth.assessment.metrics import histograms
from fetalsynth.assessment.metrics.lbp import CODES, lbp_vectors
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.results import floor_settings, matched_metric
from fetalsynth.assessment.samples import ROLES, Index, Samples

PAPER_CODES = (8, 20, 143, 240)
DISTANCES = {
    "LBPv-L1": (histograms.l1, "sum of absolute differences"),
    "LBPv-chi2": (histograms.chi_squared, "chi-squared distance"),
    "LBPv-JS": (histograms.jensen_shannon, "Jensen–Shannon divergence"),
}
Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The LBP vector element by element, each (256,), in pixels per image.

    ``difference`` is reference − synthetic, as in Bautista et al. 2022, Fig. 2. ``sd`` is the
    standard deviation of the difference that two real sets of these counts would show; ``z`` is
    NaN where it is 0.
    """

    reference: Vector
    synthetic: Vector
    difference: Vector
    sd: Vector
    z: Vector


def pattern_counts(samples: Samples, options: Options) -> dict[str, NDArray[np.int64]]:
    """Raw LBP counts (N, 256) of every role."""
    return {
        role: lbp_vectors(images=images, exclude_outside_fan=options.exclude_outside_fan)
        for role, images in samples.images.items()
    }


def element_table(samples: Samples, counts: dict[str, NDArray[np.int64]]) -> Table:
    """Mean vectors and how far apart they are; frames of one subject are not independent."""
    real, synthetic = counts["real"], counts["synthetic"]
    reference, mean = real.mean(0), synthetic.mean(0)
    deviation = real - reference
    subjects = samples.subjects["real"]
    sums = np.zeros((subjects.max() + 1, CODES))
    np.add.at(sums, subjects, deviation)
    of_reference = (sums**2).sum(0) / len(real) ** 2
    of_synthetic = deviation.var(0, ddof=1) / len(synthetic)
    sd = np.sqrt(of_reference + of_synthetic)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 0, (reference - mean) / sd, np.nan)
    return Table(reference=reference, synthetic=mean, difference=reference - mean, sd=sd, z=z)


def patterns(samples: Samples, design: Design, options: Options) -> Part:
    """Whole-vector distances with floors and the four codes that the paper names."""
    counts = pattern_counts(samples, options)
    pooled = np.concatenate([counts[role] for role in ROLES if role in counts])
    settings = {
        "P": 8,
        "R": 1,
        "method": "default (256 codes)",
        "outside_fan": "excluded" if options.exclude_outside_fan else "included",
    }
    if not all(c.sum() for c in counts.values()):
        return Part(unjudged={"LBP vectors": "every pixel of a set lies outside the fan"})
    metrics = _whole_vector(pooled, design, settings)
    table = element_table(samples, counts)
    for code in PAPER_CODES:
        metrics[f"LBPv-V{code}"] = _element(
            code, table=table, pooled=pooled, samples=samples, design=design, settings=settings
        )
    return Part(metrics=metrics)


def _whole_vector(
    pooled: NDArray[np.int64], design: Design, settings: dict[str, object]
) -> dict[str, Metric]:
    return {
        name: matched_metric(
            matched(_between_means(pooled, distance), design),
            design,
            settings=settings,
            unit="nats" if name == "LBPv-JS" else None,
            meaning=f"How far the mean texture histograms of real and synthetic images are apart "
            f"({words} of the shares of 256 local patterns); 0 only for equal histograms.",
        )
        for name, (distance, words) in DISTANCES.items()
    }


def _between_means(pooled: NDArray[np.int64], distance: Callable[..., float]) -> Statistic:
    def statistic(first: Index, second: Index) -> float:
        return distance(first=pooled[first].mean(0), second=pooled[second].mean(0))

    return statistic


def _element(
    code: int,
    *,
    table: Table,
    pooled: NDArray[np.int64],
    samples: Samples,
    design: Design,
    settings: dict[str, object],
) -> Metric:
    floors = np.abs([pooled[a, code].mean() - pooled[b, code].mean() for a, b in design.floor])
    low, high = np.percentile(floors, [2.5, 97.5])
    error = _standard_error(samples, pooled[:, code])
    value = float(table.difference[code])
    return Metric(
        value=value,
        ci95=(value - 1.96 * error, value + 1.96 * error),
        direction="none",
        n_real=samples.count("real"),
        n_synthetic=samples.count("synthetic"),
        settings={
            **settings,
            "reference": float(table.reference[code]),
            "synthetic": float(table.synthetic[code]),
            "z": None if np.isnan(table.z[code]) else float(table.z[code]),
            **floor_settings(design, (float(low), float(high))),
        },
        floor=float(floors.mean()),
        unit="pixels per image",
        meaning=(
            f"Real minus synthetic mean count of texture pattern {code}; the floor is the usual "
            "size of this difference between real sets. The number of a pattern depends on the "
            "convention for neighbours, so it cannot be compared with other programs, and one "
            "pattern out of 256 proves nothing."
        ),
    )


def _standard_error(samples: Samples, column: NDArray[np.int64]) -> float:
    """Of the difference of means, real frames grouped by subject."""
    real = column[samples.pooled("real")].astype(np.float64)
    synthetic = column[samples.pooled("synthetic")].astype(np.float64)
    sums = np.bincount(samples.subjects["real"], weights=real - real.mean())
    variance = (sums**2).sum() / len(real) ** 2 + synthetic.var(ddof=1) / len(synthetic)
    return float(np.sqrt(variance))
