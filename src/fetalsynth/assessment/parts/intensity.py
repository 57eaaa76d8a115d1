"""Brightness and grey levels: are the synthetic images lighter, darker, flatter or clipped?

Two statistics. ``image-mean-KS`` is the two-sample Kolmogorov–Smirnov distance between the mean
grey levels of the images, tested by its exact or asymptotic null. ``grey-level-W1`` is the earth
mover's distance, in grey levels, between the mean histograms of the sets, tested by permuting
images. The alarm takes either at p < 0.005 (two tests share 0.01), and only where the value also
exceeds what real sets of the same size show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm
from fetalsynth.assessment.floors import Design, Matched, matched
from fetalsynth.assessment.metrics.histograms import wasserstein, wasserstein_p_value
from fetalsynth.assessment.metrics.kolmogorov_smirnov import ks_distance, ks_p_value
from fetalsynth.assessment.parts.part import ALPHA, PERMUTATIONS, Part
from fetalsynth.assessment.results import matched_metric
from fetalsynth.assessment.samples import ROLES, Index, Samples
from fetalsynth.randomness import numpy_rng

LEVELS = 256
LEAST = 20


def intensity(samples: Samples, design: Design) -> Part:
    """Both statistics with floors and p-values, and the alarm."""
    shares = np.concatenate([_shares(samples.images[r]) for r in ROLES if r in samples.images])
    means: NDArray[np.float64] = shares @ np.arange(LEVELS, dtype=np.float64)
    real = samples.pooled("real")[samples.one_per_subject("real")]
    synthetic = samples.pooled("synthetic")
    rng = numpy_rng(seed=samples.seed, stream="assess/intensity")

    def ks(first: Index, second: Index) -> float:
        return ks_distance(first=means[first], second=means[second])

    def w1(first: Index, second: Index) -> float:
        return wasserstein(first=shares[first].mean(0), second=shares[second].mean(0))

    of_means, of_levels = matched(ks, design), matched(w1, design)
    p_means = ks_p_value(first=means[real], second=means[synthetic])
    p_levels = wasserstein_p_value(
        first=shares[real], second=shares[synthetic], permutations=PERMUTATIONS, rng=rng
    )
    tested = {"real_images_in_test": len(real)}
    metrics = {
        "image-mean-KS": matched_metric(
            of_means,
            design,
            least_images=LEAST,
            p_value=p_means,
            settings={**tested, "test": "two-sample Kolmogorov–Smirnov, all images"},
            meaning="Largest gap between the shares of real and synthetic images that are darker "
            "than any given mean grey level, from 0 to 1.",
        ),
        "grey-level-W1": matched_metric(
            of_levels,
            design,
            least_images=LEAST,
            p_value=p_levels,
            unit="grey levels of 255",
            settings={**tested, "test": "permutation", "permutations": PERMUTATIONS},
            meaning="By how many grey levels the pixels of the synthetic set would have to be "
            "moved, on average, to give the grey-level histogram of the real set.",
        ),
    }
    gap = float(means[synthetic].mean() - means[real].mean())
    return Part(metrics=metrics, alarms=_alarms(of_means, p_means, of_levels, p_levels, gap))


def _alarms(
    of_means: Matched, p_means: float, of_levels: Matched, p_levels: float, gap: float
) -> tuple[Alarm, ...]:
    reasons = []
    if p_means < ALPHA / 2 and of_means.above_floor():
        reasons.append(
            f"mean grey levels of the images differ (KS distance {of_means.value:.2f}, p = "
            f"{p_means:.2g}; real sets {of_means.floor:.2f}; synthetic {gap:+.1f} levels)"
        )
    if p_levels < ALPHA / 2 and of_levels.above_floor():
        reasons.append(
            f"the grey-level histograms are {of_levels.value:.1f} levels apart (p = "
            f"{p_levels:.2g}; real sets {of_levels.floor:.1f})"
        )
    return (Alarm(name="intensity", reason="; ".join(reasons)),) if reasons else ()


def _shares(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = np.stack([np.bincount(image.ravel(), minlength=LEVELS) for image in images])
    return np.asarray(counts / images[0].size)
