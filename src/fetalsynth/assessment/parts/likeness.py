"""How alike are two synthetic images, and two real ones? MS-SSIM of random pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.metrics.diversity import pair_error, random_pairs
from fetalsynth.assessment.metrics.ms_ssim import WEIGHTS, most_scales, ms_ssim_batch
from fetalsynth.assessment.metrics.nearest import shrunk
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.samples import Index, Samples
from fetalsynth.randomness import numpy_rng

PAIRS = 600
SIDE = 128
LEAST = 20
_PAIRS_AT_ONCE = 64


def likeness(samples: Samples) -> Part:
    """``MS-SSIM-pairs``: the mean over pairs of synthetic images, with that of real ones."""
    real, synthetic = samples.one_per_subject("real"), np.arange(samples.count("synthetic"))
    scales = most_scales(shrunk(images=samples.images["real"][:1], side=SIDE).shape[1:])
    fewest = min(len(real), len(synthetic))
    if scales == 0 or fewest < LEAST:
        why = f"needs {LEAST} images of different subjects on each side, of 11 pixels or more"
        return Part(unjudged={"likeness of random pairs": why})
    rng = numpy_rng(seed=samples.seed, stream="assess/likeness")
    ours, our_error, our_pairs = _mean(samples.images["synthetic"], synthetic, scales, rng)
    theirs, their_error, their_pairs = _mean(samples.images["real"], real, scales, rng)
    return Part(
        metrics={
            "MS-SSIM-pairs": Metric(
                value=ours,
                ci95=(ours - 1.96 * our_error, ours + 1.96 * our_error),
                p_value=higher_p_value(
                    gap=ours - theirs,
                    errors=(our_error, their_error),
                    counts=(len(synthetic), len(real)),
                ),
                direction="none",
                n_real=len(real),
                n_synthetic=len(synthetic),
                settings={
                    "scales": scales,
                    "weights": [w / sum(WEIGHTS[:scales]) for w in WEIGHTS[:scales]],
                    "data_range": 255,
                    "window": "gaussian",
                    "at_most_pixels_a_side": SIDE,
                    "pairs": our_pairs,
                    "floor_pairs": their_pairs,
                    "floor_of": "real images of different subjects",
                    "floor_interval": [theirs - 1.96 * their_error, theirs + 1.96 * their_error],
                    "test": "one-sided: are synthetic images more alike than real ones?",
                },
                floor=theirs,
                meaning="How alike two random synthetic images are, from 0 to 1; above the floor, "
                "which is the same for two real images of different subjects, the synthetic set "
                "repeats itself. p is the chance of being so much more alike.",
            )
        }
    )


def _mean(
    images: NDArray[np.uint8], index: Index, scales: int, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Mean over random pairs of the images ``index``, its standard error, number of pairs."""
    first, second = random_pairs(count=len(index), pairs=PAIRS, rng=rng)
    values = np.empty(len(first))
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        x, y = (shrunk(images=images[index[side[part]]], side=SIDE) for side in (first, second))
        values[part] = ms_ssim_batch(first=x, second=y, data_range=255, scales=scales)
    error = pair_error(values=values, first=first, second=second)
    return float(values.mean()), error, len(values)


def higher_p_value(*, gap: float, errors: tuple[float, float], counts: tuple[int, int]) -> float:
    """One-sided p of the difference of two means with these standard errors, from so many images.

    Student's t with Welch's degrees of freedom: with 20 images a side a normal distribution gave p
    below 0.01 in 2 of 100 sets without a difference.
    """
    from scipy import stats

    variances = np.square(errors)
    total = float(variances.sum())
    if total <= 0:
        return float(gap <= 0)
    freedom = total**2 / float((variances**2 / (np.array(counts) - 1)).sum())
    return float(stats.t.sf(gap / np.sqrt(total), freedom))
