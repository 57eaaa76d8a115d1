"""Distances between the distributions of features: shift and texture."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm, AlarmName, Metric
from fetalsynth.assessment.floors import Design, floor_of, large_enough, matched
from fetalsynth.assessment.metrics.frechet import frechet_distance
from fetalsynth.assessment.metrics.frechet_infinity import LEAST
from fetalsynth.assessment.metrics.kid import (
    group_distances,
    permutation_p_value,
    polynomial_kernel,
)
from fetalsynth.assessment.parts.part import ALPHA, PERMUTATIONS, Part, together
from fetalsynth.assessment.resampling import half_samples, interval
from fetalsynth.assessment.results import few_words, floor_settings, matched_metric, minus_floor
from fetalsynth.assessment.samples import Index, Samples
from fetalsynth.assessment.spaces import Space
from fetalsynth.randomness import numpy_rng

KERNEL_LEAST = 20
ALARMS: dict[str, AlarmName] = {
    "LBP256": "texture",
    "Inception768": "shift",
    "Inception2048": "shift",
}
_SAYS: dict[AlarmName, str] = {
    "texture": "the fine texture of the synthetic images differs from that of real ones",
    "shift": "the synthetic images differ from real ones in content or style",
}


def distances(samples: Samples, design: Design, spaces: tuple[Space, ...]) -> Part:
    """FD and KID in every space, and which alarms lack theirs."""
    parts = [_judge(space, samples, design) for space in spaces]
    if "shift" not in {ALARMS.get(space.name) for space in spaces}:
        why = "needs the features of Inception: give --inception-weights PATH"
        parts.append(Part(unjudged={"shift": why}))
    return together(parts)


def _judge(space: Space, samples: Samples, design: Design) -> Part:
    name, pooled, settings = space.name, space.pooled, space.settings
    kid = _kernel_metric(pooled, samples, design, settings)
    frechet = _frechet_metric(pooled, design, settings)
    metrics = {f"KID-{name}": kid, space.frechet or f"FD-{name}": frechet}
    assert kid.p_value is not None
    assert kid.floor is not None
    _, ceiling = kid.settings["floor_interval"]
    alarm = ALARMS.get(name)
    if alarm is None or kid.p_value >= ALPHA or kid.value <= ceiling:
        return Part(metrics=metrics)
    reason = (
        f"{_SAYS[alarm]}: KID-{name} is {kid.value:.3g} (p = {kid.p_value:.3f}), real against "
        f"real {kid.floor:.3g}, at most {ceiling:.3g}"
    )
    return Part(metrics=metrics, alarms=(Alarm(name=alarm, reason=reason),))


def _frechet_metric(
    pooled: NDArray[np.float64], design: Design, settings: dict[str, Any]
) -> Metric:
    def statistic(first: Index, second: Index) -> float:
        return frechet_distance(first=pooled[first], second=pooled[second])

    return matched_metric(
        matched(statistic, design),
        design,
        settings={
            **settings,
            "draws": len(design.value),
            "extrapolated_to_infinity": _extrapolation(design.count),
        },
        meaning=(
            "Distance between the average and spread of features of real and synthetic images; "
            "far above 0 even between real sets of this size, so read it against its floor, and "
            "never across different numbers of images."
        ),
    )


def _extrapolation(count: int) -> str:
    if count > LEAST:
        return "see FD-infinity"
    return (
        f"no: it needs more than {LEAST} images on every side, there are {count}, and with few "
        "images it does not take the bias away"
    )


def _kernel_metric(
    pooled: NDArray[np.float64], samples: Samples, design: Design, settings: dict[str, Any]
) -> Metric:
    kernel = polynomial_kernel(first=pooled, second=pooled)
    real, synthetic = samples.pooled("real"), samples.pooled("synthetic")
    value = _between(kernel, ((real, synthetic),))[0]
    floor, floor_interval = floor_of(partial(_between, kernel), design)
    independent = real[samples.one_per_subject("real")]
    ci95 = _kernel_interval(kernel, samples, value=float(value))
    return Metric(
        value=float(value),
        ci95=ci95,
        p_value=_p_value(kernel, independent, synthetic, samples),
        direction="lower",
        n_real=len(real),
        n_synthetic=len(synthetic),
        settings={
            **settings,
            "kernel": "(x·y/D + 1)³",
            "permutations": PERMUTATIONS,
            "real_images_in_test": len(independent),
            "least_images_a_side": KERNEL_LEAST,
            **floor_settings(design, floor_interval),
            **minus_floor(
                value=float(value), ci95=ci95, floor=floor, floor_interval=floor_interval
            ),
        },
        floor=floor,
        meaning=(
            "Distance between the distributions of features that is 0 on average between real "
            "sets of any size (and then negative half the time); p is the chance of so large a "
            "value if the synthetic images were real ones."
            + few_words(min(len(independent), len(synthetic)), KERNEL_LEAST)
        ),
    )


def _between(
    kernel: NDArray[np.float64], pairs: tuple[tuple[Index, Index], ...]
) -> NDArray[np.float64]:
    first, second = (np.zeros((len(pairs), len(kernel)), bool) for _ in range(2))
    for row, (a, b) in enumerate(pairs):
        first[row, a], second[row, b] = True, True
    return group_distances(kernel=kernel, first=first, second=second)


def _kernel_interval(
    kernel: NDArray[np.float64], samples: Samples, *, value: float
) -> tuple[float, float] | None:
    rng = numpy_rng(seed=samples.seed, stream="assess/kernel-interval")
    halves = []
    for role in ("real", "synthetic"):
        position = samples.pooled(role)
        chosen = half_samples(subjects=samples.subjects[role], rng=rng)
        halves.append([position[mask] for mask in chosen])
    pairs = tuple(zip(*halves, strict=True))
    if not large_enough(pairs):
        return None
    return interval(value=value, halves=_between(kernel, pairs))


def _p_value(kernel: NDArray[np.float64], real: Index, synthetic: Index, samples: Samples) -> float:
    chosen = np.concatenate([real, synthetic])
    return permutation_p_value(
        kernel=kernel[np.ix_(chosen, chosen)],
        n_first=len(real),
        permutations=PERMUTATIONS,
        rng=numpy_rng(seed=samples.seed, stream="assess/kernel-permutations"),
    )
