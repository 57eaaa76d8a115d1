"""Diversity: is the synthetic set a few pictures over and over?

Pictures are averaged to at most 16 pixels a side and standardised, so that blur, noise and
contrast count little and the layout counts. ``diversity-nearest`` is the mean distance of an
image to its nearest neighbour in its own set, synthetic divided by real; ``diversity-pairwise``
the mean distance of all pairs, likewise. Both use equally many images, one per real subject.
Permuting images between the sets gives p. The alarm takes either at p < 0.005 where a fifth or
more of the real diversity is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm, Metric
from fetalsynth.assessment.metrics.diversity import low_ratio_p_values, spread_ratios
from fetalsynth.assessment.metrics.nearest import distance_matrix, standardised
from fetalsynth.assessment.parts.part import ALPHA, PERMUTATIONS, Part
from fetalsynth.assessment.samples import Samples
from fetalsynth.randomness import numpy_rng

SIDE = 16
MOST = 400
DRAWS = 10
KEPT = 0.8
Rows = NDArray[np.float64]


def diversity(samples: Samples) -> Part:
    """Both ratios with real-against-real floors and p-values, and the alarm."""
    rng = numpy_rng(seed=samples.seed, stream="assess/diversity")
    rows = {r: standardised(images=x, side=SIDE) for r, x in samples.images.items()}
    real = rows["real"][samples.one_per_subject("real")]
    count = min(len(real), len(rows["synthetic"]), MOST)
    pools = [(real, rows["synthetic"], count)] * DRAWS
    values = np.array([_ratios(*_drawn(*pool, rng)) for pool in pools])
    floors = np.array([_ratios(*draw) for draw in _real_draws(samples, rows, rng)])
    p_values = _p_values(*_drawn(*pools[0], rng), rng)
    metrics = {
        f"diversity-{name}": _metric(words, values[:, i], floors[:, i], float(p_values[i]), count)
        for i, (name, words) in enumerate(_WORDS.items())
    }
    return Part(metrics=metrics, alarms=_alarms(metrics))


_WORDS = {
    "nearest": "to its nearest neighbour in its own set",
    "pairwise": "to any other image of its own set",
}


def _drawn(a: Rows, b: Rows, count: int, rng: np.random.Generator) -> tuple[Rows, Rows]:
    return a[rng.permutation(len(a))[:count]], b[rng.permutation(len(b))[:count]]


def _real_draws(
    samples: Samples, rows: dict[str, Rows], rng: np.random.Generator
) -> list[tuple[Rows, Rows]]:
    real = rows["real"][samples.one_per_subject("real")]
    if samples.count("train"):
        train = rows["train"][samples.one_per_subject("train")]
        count = min(len(real), len(train), MOST)
        return [_drawn(real, train, count, rng) for _ in range(DRAWS)]
    half = min(len(real) // 2, MOST)
    draws = [real[rng.permutation(len(real))[: 2 * half]] for _ in range(DRAWS)]
    return [(draw[:half], draw[half:]) for draw in draws]


def _ratios(reference: Rows, other: Rows) -> tuple[float, float]:
    return spread_ratios(
        distances=distance_matrix(rows=other), reference=distance_matrix(rows=reference)
    )


def _p_values(reference: Rows, other: Rows, rng: np.random.Generator) -> Rows:
    return low_ratio_p_values(
        distances=distance_matrix(rows=np.concatenate([other, reference])),
        count=len(other),
        permutations=PERMUTATIONS,
        rng=rng,
    )


def _metric(words: str, values: Rows, floors: Rows, p_value: float, count: int) -> Metric:
    settings: dict[str, Any] = {
        "space": f"block means of at most {SIDE} pixels a side, mean 0, norm 1",
        "permutations": PERMUTATIONS,
        "draws": DRAWS,
        "floor_interval": [float(x) for x in np.percentile(floors, [2.5, 97.5])],
    }
    return Metric(
        value=float(values.mean()),
        p_value=p_value,
        direction="higher",
        n_real=count,
        n_synthetic=count,
        settings=settings,
        floor=float(floors.mean()),
        meaning=f"Mean distance of an image {words}, synthetic divided by real: 1 is as varied as "
        "real images, near 0 is one picture again and again.",
    )


def _alarms(metrics: dict[str, Metric]) -> tuple[Alarm, ...]:
    reasons = [
        f"{name} is {metric.value:.2f} of that among real images (p = {metric.p_value:.3f}; "
        f"alarm below {KEPT})"
        for name, metric in metrics.items()
        if metric.p_value is not None and metric.p_value < ALPHA / 2 and metric.value < KEPT
    ]
    if not reasons:
        return ()
    return (Alarm(name="collapse", reason="few different pictures: " + "; ".join(reasons)),)
