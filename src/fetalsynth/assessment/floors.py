"""What real images score against real images, at the same number of images.

With the images that the generator saw, the floor sets training images against held-out ones: the
score of a generator that had learned the training images by heart and nothing wrong. Without them
it sets disjoint halves of the real images against each other, subjects kept whole. Distances that
shrink with the number of images (Fréchet, histogram distances, Kolmogorov–Smirnov) are computed
on equally many images on all sides, and averaged over draws without replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.resampling import half_of_subjects, half_samples, interval
from fetalsynth.assessment.samples import Index, Samples
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng

FLOOR_DRAWS = 20
HALF_DRAWS = 60

Statistic = Callable[[Index, Index], float]
Pairs = tuple[tuple[Index, Index], ...]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Which images meet which, as positions in pooled arrays (real, synthetic, train).

    ``value`` pairs real with synthetic images and ``floor`` real with real ones, ``count`` a
    side in every draw. ``halves`` are half samples of the first draw of ``value``.
    """

    kind: str
    count: int
    value: Pairs
    floor: Pairs
    halves: Pairs


@dataclass(frozen=True, kw_only=True)
class Matched:
    """A statistic at matched counts: its mean over draws, its interval, its floor over draws."""

    value: float
    ci95: tuple[float, float] | None
    floor: float
    floor_interval: tuple[float, float]

    def above_floor(self) -> bool:
        """Whether the value exceeds nearly all draws of real against real."""
        return self.value > self.floor_interval[1]


def make_design(samples: Samples) -> Design:
    """Draw who meets whom; raises UserError where subjects cannot be parted into two groups."""
    rng = numpy_rng(seed=samples.seed, stream="assess/design")
    real, synthetic = samples.pooled("real"), samples.pooled("synthetic")
    train = samples.pooled("train")
    if len(train):
        kind = "training against held-out images"
        sides = [(train, real)] * FLOOR_DRAWS
    else:
        kind = "disjoint halves of the real images"
        sides = _real_halves(samples, rng)
    count = min(len(synthetic), *(min(len(a), len(b)) for a, b in sides))
    if count < 2:
        raise UserError("nearly all real images are of one subject; add images of other subjects")
    exact = count == len(real) == len(synthetic)
    value = tuple(
        (_draw(real, count, rng), _draw(synthetic, count, rng))
        for _ in range(1 if exact else FLOOR_DRAWS)
    )
    return Design(
        kind=kind,
        count=count,
        value=value,
        floor=tuple((_draw(a, count, rng), _draw(b, count, rng)) for a, b in sides),
        halves=_halves(samples, *value[0], rng),
    )


def _real_halves(samples: Samples, rng: np.random.Generator) -> list[tuple[Index, Index]]:
    real, subjects = samples.pooled("real"), samples.subjects["real"]
    masks = [half_of_subjects(subjects=subjects, rng=rng) for _ in range(FLOOR_DRAWS)]
    return [(real[mask], real[~mask]) for mask in masks]


def _draw(index: Index, count: int, rng: np.random.Generator) -> Index:
    return np.sort(rng.permutation(index)[:count])


def _halves(samples: Samples, real: Index, synthetic: Index, rng: np.random.Generator) -> Pairs:
    of_real = half_samples(subjects=samples.subjects["real"][real], rng=rng, draws=HALF_DRAWS)
    of_synthetic = half_samples(subjects=np.arange(len(synthetic)), rng=rng, draws=HALF_DRAWS)
    return tuple((real[a], synthetic[b]) for a, b in zip(of_real, of_synthetic, strict=True))


def matched(statistic: Statistic, design: Design, *, least: float = 0.0) -> Matched:
    """Value, interval and floor of a statistic of two groups of pooled positions.

    The floor's interval spans the 2.5th to the 97.5th percentile of its draws. ``least`` is the
    smallest possible value of the statistic.
    """
    value = float(np.mean([statistic(*pair) for pair in design.value]))
    floors = np.array([statistic(*pair) for pair in design.floor])
    low, high = np.percentile(floors, [2.5, 97.5])
    return Matched(
        value=value,
        ci95=_interval(statistic, design, value=value, least=least),
        floor=float(floors.mean()),
        floor_interval=(float(low), float(high)),
    )


def _interval(
    statistic: Statistic, design: Design, *, value: float, least: float
) -> tuple[float, float] | None:
    if min(min(len(a), len(b)) for a, b in design.halves) < 2:
        return None
    halves = np.array([statistic(*pair) for pair in design.halves])
    return interval(value=value, halves=halves, least=least)


def matched_metric(
    found: Matched,
    design: Design,
    *,
    meaning: str,
    settings: dict[str, Any],
    p_value: float | None = None,
    unit: str | None = None,
) -> Metric:
    """The metric of a distance (lower is better) at matched counts."""
    return Metric(
        value=found.value,
        ci95=found.ci95,
        p_value=p_value,
        direction="lower",
        n_real=design.count,
        n_synthetic=design.count,
        settings={**settings, **floor_settings(design, found.floor_interval)},
        floor=found.floor,
        unit=unit,
        meaning=meaning,
    )


def floor_settings(design: Design, floor_interval: tuple[float, float]) -> dict[str, Any]:
    """What a result must say about its floor."""
    return {
        "floor_of": design.kind,
        "floor_images_a_side": design.count,
        "floor_draws": len(design.floor),
        "floor_interval": list(floor_interval),
    }
