"""What real images score against real images, at the same number of images.

With the images that the generator saw, the floor sets training images against held-out ones: the
score of a generator that had learned the training images by heart and nothing wrong. Without them
it sets disjoint halves of the real images against each other, subjects kept whole. Distances that
shrink with the number of images (Fréchet, histogram distances, Kolmogorov–Smirnov) are computed
on equally many images on all sides, and averaged over draws without replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.resampling import Interval, half_of_subjects, half_samples, interval
from fetalsynth.assessment.samples import ROLES, Index, Samples
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng

FLOOR_DRAWS = 20


Statistic = Callable[[Index, Index], float]
Pairs = tuple[tuple[Index, Index], ...]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Which images meet which, as positions in pooled arrays (real, synthetic, train).

    ``value`` pairs real with synthetic images and ``floor`` real with real ones, ``count`` a
    side in every draw. ``halves`` are half samples of the first draw of ``value``;
    ``floor_halves`` those of the first draw of ``floor`` where training images were given, else
    none, because the draws of the floor are halves themselves.
    """

    kind: str
    count: int
    value: Pairs
    floor: Pairs
    halves: Pairs
    floor_halves: Pairs


@dataclass(frozen=True, kw_only=True)
class Matched:
    """A statistic at matched counts: its mean over draws, its interval, its floor over draws."""

    value: float
    ci95: Interval | None
    floor: float
    floor_interval: Interval

    def above_floor(self) -> bool:
        """Whether the value exceeds what real against real images may show."""
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
    floor = tuple((_draw(a, count, rng), _draw(b, count, rng)) for a, b in sides)
    subjects = _pooled_subjects(samples)
    return Design(
        kind=kind,
        count=count,
        value=value,
        floor=floor,
        halves=_halves(subjects, value[0], rng),
        floor_halves=_halves(subjects, floor[0], rng) if len(train) else (),
    )


def _pooled_subjects(samples: Samples) -> Index:
    return np.concatenate([samples.subjects[role] for role in ROLES if role in samples.subjects])


def _real_halves(samples: Samples, rng: np.random.Generator) -> list[tuple[Index, Index]]:
    real, subjects = samples.pooled("real"), samples.subjects["real"]
    masks = [half_of_subjects(subjects=subjects, rng=rng) for _ in range(FLOOR_DRAWS)]
    return [(real[mask], real[~mask]) for mask in masks]


def _draw(index: Index, count: int, rng: np.random.Generator) -> Index:
    return np.sort(rng.permutation(index)[:count])


def _halves(subjects: Index, pair: tuple[Index, Index], rng: np.random.Generator) -> Pairs:
    masks = [half_samples(subjects=subjects[side], rng=rng) for side in pair]
    return tuple((pair[0][a], pair[1][b]) for a, b in zip(*masks, strict=True))


def matched(statistic: Statistic, design: Design, *, least: float = 0.0) -> Matched:
    """Value, interval and floor of a statistic of two groups of pooled positions.

    ``least`` is the smallest possible value of the statistic.
    """

    def each(pairs: Pairs) -> NDArray[np.float64]:
        return np.array([statistic(*pair) for pair in pairs])

    return _matched(each, design, least)


def matched_table(
    statistics: Callable[[Index, Index], NDArray[np.float64]],
    design: Design,
    *,
    least: float = 0.0,
) -> list[Matched]:
    """Like :func:`matched`, for K statistics that come together as (K,) of each pair of groups."""
    tables = {
        id(pairs): np.array([statistics(*pair) for pair in pairs])
        for pairs in (design.value, design.floor, design.halves, design.floor_halves)
        if pairs and large_enough(pairs)
    }

    def column(number: int) -> Matched:
        return _matched(lambda pairs: tables[id(pairs)][:, number], design, least)

    return [column(number) for number in range(tables[id(design.value)].shape[1])]


def _matched(each: Callable[[Pairs], NDArray[np.float64]], design: Design, least: float) -> Matched:
    value = float(each(design.value).mean())
    halves = each(design.halves) if design.halves and large_enough(design.halves) else None
    floor, between = floor_of(each, design, least=least)
    return Matched(
        value=value,
        ci95=None if halves is None else interval(value=value, halves=halves, least=least),
        floor=floor,
        floor_interval=between,
    )


def fewer_draws(design: Design, *, draws: int, halves: int, least: int) -> Design:
    """The design with at most so many draws, and both sides of every pair of halves equally many.

    Halves take subjects whole, so that their sides can differ by a few images; the surplus is
    left out evenly. Without halves where one would have fewer than ``least`` images a side.
    """
    return replace(
        design,
        value=design.value[:draws],
        floor=design.floor[:draws],
        halves=_equal_sides(design.halves[:halves], least),
        floor_halves=_equal_sides(design.floor_halves[:halves], least),
    )


def _equal_sides(pairs: Pairs, least: int) -> Pairs:
    counts = [min(len(a), len(b)) for a, b in pairs]
    if not pairs or min(counts) < least:
        return ()
    return tuple(
        (_evenly(a, count), _evenly(b, count)) for (a, b), count in zip(pairs, counts, strict=True)
    )


def _evenly(index: Index, count: int) -> Index:
    return index[np.linspace(0, len(index) - 1, count).astype(np.int64)]


def floor_of(
    each: Callable[[Pairs], NDArray[np.float64]], design: Design, *, least: float = -np.inf
) -> tuple[float, Interval]:
    """Mean of the floor's draws and its 95 % interval, from a statistic of many pairs at once.

    The interval is that of half samples where training images were given, because the draws then
    share most of their images; else the 2.5th to the 97.5th percentile of the draws.
    """
    draws = each(design.floor)
    mean = float(draws.mean())
    if design.floor_halves and large_enough(design.floor_halves):
        found = interval(value=mean, halves=each(design.floor_halves), least=least)
        if found is not None:
            return mean, found
    low, high = np.percentile(draws, [2.5, 97.5])
    return mean, (float(low), float(high))


def large_enough(pairs: Pairs) -> bool:
    """Whether both sides of every pair have the two images that every statistic needs."""
    return min(min(len(a), len(b)) for a, b in pairs) >= 2
