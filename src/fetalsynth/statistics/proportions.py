"""A proportion of independent yes/no decisions: interval, test against chance, equivalence.

Sources
    Interval: Wilson, *J. Am. Stat. Assoc.* 22:209, 1927; exact: Clopper and Pearson,
    *Biometrika* 26:404, 1934. Equivalence: two one-sided exact binomial tests (Schuirmann,
    *J. Pharmacokinet. Biopharm.* 15:657, 1987). Decisions needed: Chow, Shao and Wang,
    *Sample Size Calculations in Clinical Research*, section 4.1.

Decisions of one reader on one image again, or of several readers on the same image, are not
independent: these functions then promise too much; resample images instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

from fetalsynth.statistics.intervals import Interval

Alternative = Literal["two-sided", "less", "greater"]


@dataclass(frozen=True, kw_only=True)
class ProportionEquivalence:
    """Two one-sided tests of a proportion: p for "not too low", "not too high", and the greater.

    ``interval`` is the exact interval at level 1 − 2α that the verdict amounts to.
    """

    value: float
    n: int
    low: float
    high: float
    p_low: float
    p_high: float
    p_value: float
    interval: Interval
    equivalent: bool


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of successes / n; raises ValueError for impossible counts."""
    from scipy.special import ndtri

    _check(successes, n)
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if successes == 0 else low, 1.0 if successes == n else high)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval of successes / n, never narrower than promised."""
    from scipy.special import betaincinv

    _check(successes, n)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return (low, high)


def binomial_p(
    *, successes: int, n: int, chance: float = 0.5, alternative: Alternative = "two-sided"
) -> float:
    """Exact binomial p of successes / n against ``chance``; two-sided sums what is as unlikely."""
    from scipy.stats import binomtest

    _check(successes, n)
    return float(binomtest(successes, n, chance, alternative=alternative).pvalue)


def equivalent_to(
    *, successes: int, n: int, margin: float, chance: float = 0.5, alpha: float = 0.05
) -> ProportionEquivalence:
    """Whether the proportion lies within ``chance ± margin``: two one-sided exact tests.

    p_low = P(X ≥ successes | chance − margin), p_high = P(X ≤ successes | chance + margin).
    """
    low, high = chance - margin, chance + margin
    if margin <= 0 or low <= 0 or high >= 1:
        raise ValueError(f"chance ± margin must lie within (0, 1), not {low:g} … {high:g}")
    p_low = binomial_p(successes=successes, n=n, chance=low, alternative="greater")
    p_high = binomial_p(successes=successes, n=n, chance=high, alternative="less")
    p_value = max(p_low, p_high)
    return ProportionEquivalence(
        value=successes / n,
        n=n,
        low=low,
        high=high,
        p_low=p_low,
        p_high=p_high,
        p_value=p_value,
        interval=clopper_pearson(successes, n, 1 - 2 * alpha),
        equivalent=p_value < alpha,
    )


def equivalence_power(
    *, n: int, margin: float, chance: float = 0.5, true: float | None = None, alpha: float = 0.05
) -> float:
    """Chance that :func:`equivalent_to` says "equivalent" when the truth is ``true``; exact."""
    from scipy.stats import binom

    counts = np.arange(n + 1)
    low = binom.sf(counts - 1, n, chance - margin) < alpha
    high = binom.cdf(counts, n, chance + margin) < alpha
    probability = binom.pmf(counts, n, chance if true is None else true)
    return float(probability[low & high].sum())


def decisions_needed(
    *, margin: float, chance: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Independent decisions that show equivalence to ``chance`` when it is true.

    n = (z(1 − α) + z(1 − β / 2))² p (1 − p) / margin²: 215 for ±0.10, 96 for ±0.15 about a half.
    The normal approximation; :func:`equivalence_power` gives the exact power of a count.
    """
    from scipy.special import ndtri

    z = float(ndtri(1 - alpha) + ndtri(1 - (1 - power) / 2))
    return ceil(z**2 * chance * (1 - chance) / margin**2)


def _check(successes: int, n: int) -> None:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"needs 0 ≤ successes ≤ n and n ≥ 1, not {successes} of {n}")
