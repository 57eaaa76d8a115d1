"""Studies without any effect and with effects of known size, and the p that every test gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fetalsynth.statistics.blocks import friedman
from fetalsynth.statistics.correlation import Kind, permutation_table
from fetalsynth.statistics.equivalence import equivalent_means
from fetalsynth.statistics.factorial import factorial
from fetalsynth.statistics.intervals import welch
from fetalsynth.statistics.multiplicity import benjamini_hochberg
from fetalsynth.statistics.ordinal import proportional_odds
from fetalsynth.statistics.ordinal_mixed import mixed_proportional_odds
from fetalsynth.statistics.power import (
    power_of_difference,
    power_of_equivalence,
    power_of_factor,
    sets_for_correlation,
)
from fetalsynth.statistics.proportions import (
    binomial_p,
    decisions_needed,
    equivalence_power,
    equivalent_to,
)
from fetalsynth.statistics.ranks import dunn, jonckheere_terpstra, kruskal_wallis
from fetalsynth.statistics.regression import log_fit
from fetalsynth.statistics.trend import log_trends

SIZES, EPOCHS, SEEDS = (100, 300, 500, 800, 999), (300, 500, 800, 1000), 3
SETS, ELEMENTS, DRAWS = 20, 256, 1999
Rng = np.random.Generator
UNITS = [f"{size}/{seed}" for size in SIZES for seed in range(SEEDS) for _ in EPOCHS]
FACTORS: dict[str, list[object]] = {
    "images": [size for size in SIZES for _ in range(SEEDS * len(EPOCHS))],
    "epochs": list(EPOCHS) * (SEEDS * len(SIZES)),
}


def grid(rng: Rng, *, slope: float = 0.0, between: float = 1.0, within: float = 0.5) -> np.ndarray:
    """Values of 15 trainings at 4 epochs; errors of a training drift from epoch to epoch.

    ``slope`` is the planted change per doubling of the images.
    """
    luck = between * rng.normal(size=(len(SIZES) * SEEDS, 1))
    drift = within * np.cumsum(rng.normal(size=(len(SIZES) * SEEDS, len(EPOCHS))), axis=1)
    effect = slope * np.repeat(np.log2(SIZES), SEEDS)[:, None]
    return np.asarray((effect + luck + drift).ravel())


def mean_sd(*, between: float = 1.0, within: float = 0.5) -> float:
    """Standard deviation of the mean of a training of :func:`grid` over its epochs."""
    weights = np.arange(len(EPOCHS), 0, -1) / len(EPOCHS)
    return float(np.sqrt(between**2 + within**2 * (weights**2).sum()))


def _effect(*names: str) -> Callable[[Rng], float]:
    def p(rng: Rng) -> float:
        found = factorial(values=grid(rng), factors=FACTORS, units=UNITS)
        return found.effect(*names).p_value

    return p


def _trend(number: int, slope: float = 0.0) -> Callable[[Rng], float]:
    def p(rng: Rng) -> float:
        values = grid(rng, slope=slope)
        return log_trends(values=values, factors=FACTORS, units=UNITS)[number].p_value

    return p


def _correlation(kind: Kind) -> Callable[[Rng], float]:
    def p(rng: Rng) -> float:
        x, y = rng.normal(size=(2, SETS))
        scores = np.round(y * 3) / 3
        return float(
            permutation_table(
                x[:, None], scores, kind=kind, expected=[1], rng=rng, draws=DRAWS
            ).p_values[0]
        )

    return p


def _elements(rng: Rng, *, corrected: bool) -> float:
    """The smallest p of 256 elements that hang together in 20 sets."""
    table = rng.normal(size=(SETS, 8)) @ rng.normal(size=(8, ELEMENTS))
    table += rng.normal(size=(SETS, ELEMENTS))
    found = permutation_table(
        table,
        rng.normal(size=SETS),
        kind="pearson",
        expected=-np.ones(ELEMENTS),
        rng=rng,
        draws=9999 if corrected else DRAWS,
    )
    return float((benjamini_hochberg(found.p_values) if corrected else found.p_max).min())


def _trainings(rng: Rng) -> float:
    """Sets that are four snapshots each of ten trainings that differ, epochs do not."""
    x, y = (np.repeat(rng.normal(size=10), 4) + 0.3 * rng.normal(size=40) for _ in range(2))
    blocks = np.repeat(np.arange(10), 4)
    found = permutation_table(
        x[:, None], y, kind="spearman", expected=[0], rng=rng, blocks=blocks, draws=DRAWS
    )
    return float(found.p_values[0])


def _crossed(rng: Rng) -> float:
    """Ten trainings at four epochs; metric and scores both change with epochs, unrelated."""
    x, y = (
        (rng.normal(size=(10, 1)) + 2 * rng.normal(size=4) + 0.3 * rng.normal(size=(10, 4))).ravel()
        for _ in range(2)
    )
    blocks = np.repeat(np.arange(10), 4)
    found = permutation_table(
        x[:, None], y, kind="pearson", expected=[1], rng=rng, blocks=blocks, draws=DRAWS
    )
    return float(found.p_values[0])


def _ordinal(rng: Rng) -> float:
    answers = 1 + np.digitize(rng.logistic(size=60), [-2, -0.5, 0.5, 2])
    readers = ["A", "B", "C"] * 20
    return proportional_odds(
        answers=answers, covariates=rng.normal(size=60), readers=readers
    ).p_value


def mixed_ordinal(rng: Rng) -> float:
    """Five readers score 30 sets; the metric is one value for each set."""
    group = np.repeat(np.arange(30), 5)
    latent = 1.2 * rng.normal(size=30)[group] + rng.logistic(size=150)
    answers = 1 + np.digitize(latent, [-2, -0.5, 0.5, 2])
    return mixed_proportional_odds(
        answers=answers,
        covariates=rng.normal(size=30)[group],
        groups=[str(k) for k in group],
        readers=list("ABCDE") * 30,
    ).p_value


def _few(rng: Rng) -> list[np.ndarray]:
    return list(rng.normal(size=(4, 3)))


NULL: dict[str, Callable[[Rng], float]] = {
    "factor between trainings, F": _effect("images"),
    "factor within trainings, F with ε": _effect("epochs"),
    "interaction, F with ε": _effect("images", "epochs"),
    "trend between trainings, t": _trend(0),
    "trend within trainings, t": _trend(1),
    "Kruskal–Wallis, 4 × 3": lambda rng: kruskal_wallis(_few(rng), rng=rng).p_value,
    "Friedman, 6 × 4": lambda rng: friedman(rng.normal(size=(6, 4)), rng=rng).p_value,
    "Jonckheere–Terpstra, 4 × 3": lambda rng: (
        jonckheere_terpstra(_few(rng), expected=1, rng=rng).p_value
    ),
    "Pearson, permutations": _correlation("pearson"),
    "Spearman, permutations": _correlation("spearman"),
    "Kendall, permutations": _correlation("kendall"),
    "whole trainings exchanged": _trainings,
    "trainings and epochs exchanged": _crossed,
    "256 elements, maximum": lambda rng: _elements(rng, corrected=False),
    "logarithmic line": lambda rng: log_fit(rng.uniform(1, 5, SETS), rng.normal(size=SETS)).p_value,
    "proportional odds, readers fixed": _ordinal,
    "equivalence of means at the margin": lambda rng: (
        equivalent_means(rng.normal(size=40), rng.normal(size=40) + 1, margin=1).p_value
    ),
}
"""Tests that must be wrong at the nominal rate; the last is at the worst case of its null."""

CAUTIOUS: dict[str, Callable[[Rng], float]] = {
    "256 elements, Benjamini–Hochberg": lambda rng: _elements(rng, corrected=True),
    "Dunn's pairs after Holm, any": lambda rng: min(pair.p_holm for pair in dunn(_few(rng))),
    "binomial, 57 decisions": lambda rng: binomial_p(successes=rng.binomial(57, 0.5), n=57),
    "equivalence to chance at the margin": lambda rng: (
        equivalent_to(successes=int(rng.binomial(215, 0.6)), n=215, margin=0.1).p_value
    ),
}
"""Tests that may be wrong less often: discrete counts, corrections that hold a bound."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """An effect, the p of its test, and the power that is predicted at 0.05."""

    p: Callable[[Rng], float]
    power: float


def _planted_factor(rng: Rng, *, f: float) -> float:
    means = np.array([-1, -0.5, 0, 0.5, 1]) * np.sqrt(2) * f
    values = np.repeat(means, SEEDS) + rng.normal(size=len(SIZES) * SEEDS)
    codes = {"images": [size for size in SIZES for _ in range(SEEDS)]}
    return factorial(values=values, factors=codes).effects[0].p_value


def _planted_correlation(rng: Rng, *, r: float, n: int) -> float:
    x = rng.normal(size=n)
    y = r * x + np.sqrt(1 - r * r) * rng.normal(size=n)
    found = permutation_table(x[:, None], y, kind="pearson", expected=[0], rng=rng, draws=DRAWS)
    return float(found.p_values[0])


def _planted_difference(rng: Rng) -> float:
    found = welch(rng.normal(size=10), rng.normal(size=10) + 1.2)
    return float(2 * stats.t.sf(abs(found.value) / found.se, found.df))


def _trend_power(slope: float) -> float:
    x = np.repeat(np.log2(SIZES), SEEDS)
    delta = slope * np.sqrt(((x - x.mean()) ** 2).sum()) / mean_sd()
    critical = stats.t.ppf(0.975, len(x) - len(SIZES))
    return float(stats.nct.sf(critical, len(x) - len(SIZES), delta))


PLANTED: dict[str, Planted] = {
    "factor between trainings, f = 1.2": Planted(
        p=lambda rng: _planted_factor(rng, f=1.2),
        power=power_of_factor(f=1.2, df1=4, df2=10, n=15),
    ),
    "trend, 0.7 per doubling": Planted(p=_trend(0, slope=0.7), power=_trend_power(0.7)),
    "difference of 1.2 sd, 10 seeds": Planted(
        p=_planted_difference, power=power_of_difference(seeds=10, difference=1.2, sd=1.0)
    ),
    "equivalence within 1.2 sd, 12 seeds": Planted(
        p=lambda rng: (
            equivalent_means(rng.normal(size=12), rng.normal(size=12), margin=1.2).p_value
        ),
        power=power_of_equivalence(seeds=12, margin=1.2, sd=1.0),
    ),
    "correlation 0.5, 30 sets": Planted(
        p=lambda rng: _planted_correlation(rng, r=0.5, n=sets_for_correlation(r=0.5)), power=0.8
    ),
    "equivalence to chance, 215 decisions": Planted(
        p=lambda rng: (
            equivalent_to(
                successes=int(rng.binomial(215, 0.5)), n=decisions_needed(margin=0.1), margin=0.1
            ).p_value
        ),
        power=equivalence_power(n=215, margin=0.1),
    ),
}


def rate(p: Callable[[Rng], float], *, studies: int, seed: int = 0) -> int:
    """In how many of so many studies p is at most 0.05."""
    return sum(p(np.random.default_rng([seed, k])) <= 0.05 for k in range(studies))
