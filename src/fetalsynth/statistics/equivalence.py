"""Equivalence of means: "no difference" as a claim that is tested, against a margin.

Method
    Two one-sided t tests (Schuirmann, *J. Pharmacokinet. Biopharm.* 15:657, 1987) with Welch's
    standard error and degrees of freedom. The verdict at α is the same as asking whether the
    1 − 2α interval lies within ± margin. For several groups all pairs must be equivalent
    (intersection–union, Berger, *Technometrics* 24:295, 1982), which needs no correction.

The margin must come from what matters in use, before looking: a test that finds no difference
(p > 0.05) shows nothing but too few seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from fetalsynth.statistics.intervals import Estimate, Interval, mean_interval, t_interval, welch


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Difference, p that it lies above −margin, below +margin, the greater of both, interval.

    ``interval`` is at level 1 − 2α; ``se`` and ``df`` give others.
    """

    difference: float
    se: float
    margin: float
    p_low: float
    p_high: float
    p_value: float
    interval: Interval
    df: float
    equivalent: bool


def equivalent_means(
    first: ArrayLike, second: ArrayLike, *, margin: float, alpha: float = 0.05
) -> Equivalence:
    """Whether the means of two independent groups differ by less than ``margin``."""
    return _two_one_sided(welch(first, second), margin, alpha)


def equivalent_pairs(differences: ArrayLike, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """The same for differences (n,) of values that belong together, such as one seed's two sets."""
    return _two_one_sided(mean_interval(differences), margin, alpha)


def all_equivalent(
    groups: Sequence[ArrayLike], *, margin: float, alpha: float = 0.05
) -> tuple[Equivalence, tuple[Equivalence, ...]]:
    """Whether all groups are equivalent: the worst pair, which decides, and every pair in order."""
    pairs = tuple(
        equivalent_means(a, b, margin=margin, alpha=alpha) for a, b in combinations(groups, 2)
    )
    if not pairs:
        raise ValueError("needs at least two groups")
    return max(pairs, key=lambda pair: pair.p_value), pairs


def _two_one_sided(found: Estimate, margin: float, alpha: float) -> Equivalence:
    from scipy.special import stdtr

    if margin <= 0:
        raise ValueError(f"the margin must be above 0, not {margin:g}")
    if found.se > 0:
        p_low = float(stdtr(found.df, -(found.value + margin) / found.se))
        p_high = float(stdtr(found.df, (found.value - margin) / found.se))
    else:
        p_low, p_high = float(found.value <= -margin), float(found.value >= margin)
    p_value = max(p_low, p_high)
    return Equivalence(
        difference=found.value,
        se=found.se,
        margin=margin,
        p_low=p_low,
        p_high=p_high,
        p_value=p_value,
        interval=t_interval(value=found.value, se=found.se, df=found.df, level=1 - 2 * alpha),
        df=found.df,
        equivalent=bool(np.less(p_value, alpha)),
    )
