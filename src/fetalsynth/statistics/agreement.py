"""Agreement between readers, and of a reader with herself, beyond what chance alone gives.

Formulas and sources
    Cohen's κ = (p_o − p_e) / (1 − p_e), p_e from each reader's own shares (Cohen, *Educ. Psychol.
    Meas.* 20:37, 1960); weighted: Cohen, *Psychol. Bull.* 70:213, 1968; standard error of both:
    Fleiss, Cohen and Everitt, *Psychol. Bull.* 72:323, 1969. κ of many readers: Fleiss, *Psychol.
    Bull.* 76:378, 1971. α = 1 − D_o / D_e: Krippendorff, *Computing Krippendorff's
    Alpha-Reliability*, 2011. Prevalence, bias and PABAK: Byrt, Bishop and Carlin, *J. Clin.
    Epidemiol.* 46:423, 1993.

κ says nothing where answers hardly vary: two readers who call every image fake agree perfectly, and
their κ is 0/0. Such a κ is NaN here, with a ``remark`` that says why; PABAK and the prevalence
index stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval

Floats = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True, kw_only=True)
class Kappa:
    """κ with its interval, and what it must be read beside.

    ``observed`` and ``expected`` are (weighted) agreement found and by chance. ``pabak`` is κ with
    all categories taken as equally likely: (k p_o − 1) / (k − 1), unweighted. ``prevalence``
    and ``bias`` (of two categories, else NaN) are the differences of the diagonal and of the
    off-diagonal shares. ``remark`` is empty unless κ is undefined or misleading; then there is no
    interval.
    """

    value: float
    interval: Interval
    se: float
    observed: float
    expected: float
    pabak: float
    prevalence: float
    bias: float
    n: int
    remark: str


def cohen_kappa(
    *,
    first: ArrayLike,
    second: ArrayLike,
    categories: Sequence[float],
    weights: Weights = "none",
    level: float = 0.95,
) -> Kappa:
    """κ of two answers (n,) each, out of ``categories`` in their order; NaN answers are left out.

    Raises ValueError where no pair is left, or an answer is not among the categories.
    """
    from scipy.special import ndtri

    table = _table(first, second, categories)
    n = float(table.sum())
    p = table / n
    w = _weights(len(categories), weights)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float((w * p).sum()), float(rows @ w @ columns)
    exact = float(np.trace(p))
    k = len(categories)
    if 1 - expected < 1e-12:
        value, se, interval = float("nan"), float("nan"), NO_INTERVAL
    else:
        value = (observed - expected) / (1 - expected)
        average = (w @ columns)[:, None] + (w.T @ rows)[None, :]
        spread = (p * (w - average * (1 - value)) ** 2).sum()
        spread -= (value - expected * (1 - value)) ** 2
        se = float(np.sqrt(max(spread, 0.0) / n)) / (1 - expected)
        reach = float(ndtri(0.5 + level / 2)) * se
        interval = (max(-1.0, value - reach), min(1.0, value + reach))
    remark = _remark(rows, columns)
    return Kappa(
        value=value,
        interval=NO_INTERVAL if remark else interval,
        se=se,
        observed=observed,
        expected=expected,
        pabak=(k * exact - 1) / (k - 1),
        prevalence=float(p[0, 0] - p[1, 1]) if k == 2 else float("nan"),
        bias=float(p[0, 1] - p[1, 0]) if k == 2 else float("nan"),
        n=int(n),
        remark=remark,
    )


def fleiss_kappa(*, ratings: ArrayLike, categories: Sequence[float]) -> float:
    """κ of many readers from ratings (readers, items); every item needs the same number of answers.

    NaN (not answered) is allowed as long as that holds. NaN comes back where all answers are one
    category. Raises ValueError for unequal numbers of answers or fewer than two.
    """
    values = np.asarray(ratings, np.float64)
    counts = np.stack([(values == c).sum(axis=0) for c in categories], axis=1).astype(np.float64)
    answers = np.isfinite(values).sum(axis=0)
    if not len(answers) or answers.min() != answers.max() or answers.min() < 2:
        raise ValueError("every item needs the same number of answers, at least two")
    if (counts.sum(axis=1) != answers).any():
        raise ValueError("an answer is not among the categories")
    m = float(answers[0])
    observed = float((((counts**2).sum(axis=1) - m) / (m * (m - 1))).mean())
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    if 1 - expected < 1e-12:
        return float("nan")
    return float((observed - expected) / (1 - expected))


def krippendorff_alpha(*, ratings: ArrayLike, level: Level) -> float:
    """α from ratings (readers, items), NaN where a reader did not answer.

    Items with fewer than two answers are left out. NaN comes back where all answers are one value
    (nothing to disagree about) or no item has two.
    """
    values = np.asarray(ratings, np.float64)
    answered = np.isfinite(values)
    values = values[:, answered.sum(axis=0) > 1]
    levels = np.unique(values[np.isfinite(values)])
    if len(levels) < 2:
        return float("nan")
    counts = np.stack([(values == c).sum(axis=0) for c in levels], axis=1).astype(np.float64)
    pairable = counts.sum(axis=1)
    coincidences = np.einsum("ua,ub->ab", counts / (pairable - 1)[:, None], counts)
    coincidences -= np.diag((counts / (pairable - 1)[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=0)
    delta = _differences(levels, totals, level)
    expected = float(totals @ delta @ totals) / (totals.sum() - 1)
    return float(1 - (coincidences * delta).sum() / expected)


def bootstrap_over_items(
    statistic: Callable[[Floats], float],
    ratings: ArrayLike,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic of ratings (readers, items), items drawn again.

    Readers stay as they are: the interval is about these readers and other images. Draws where the
    statistic is undefined are left out; NaN where fewer than half are left.
    """
    values = np.asarray(ratings, np.float64)
    n = values.shape[1]
    drawn = np.array([statistic(values[:, rng.integers(0, n, n)]) for _ in range(draws)])
    kept = drawn[np.isfinite(drawn)]
    if len(kept) < draws / 2:
        return NO_INTERVAL
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def _table(first: ArrayLike, second: ArrayLike, categories: Sequence[float]) -> Floats:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    if a.shape != b.shape or not both.any():
        raise ValueError("needs two series of the same length with at least one pair of answers")
    places = {float(c): i for i, c in enumerate(categories)}
    table = np.zeros((len(places), len(places)))
    for x, y in zip(a[both], b[both], strict=True):
        if float(x) not in places or float(y) not in places:
            raise ValueError(f"answers {x:g}, {y:g}: not among the categories {list(categories)}")
        table[places[float(x)], places[float(y)]] += 1
    return table


def _weights(k: int, weights: Weights) -> Floats:
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / (k - 1)
    if weights == "none":
        return np.eye(k)
    return 1 - (apart if weights == "linear" else apart**2)


def _remark(rows: Floats, columns: Floats) -> str:
    constant = [name for name, p in (("first", rows), ("second", columns)) if p.max() > 1 - 1e-12]
    if len(constant) == 2:
        if rows.argmax() == columns.argmax():
            return "one and the same answer throughout: κ is undefined (0/0)"
        return "each gave one answer throughout, and not the same: κ says no more than that"
    if constant:
        return f"the {constant[0]} gave one answer throughout: κ is 0 whatever the other answers"
    return ""


def _differences(levels: Floats, totals: Floats, level: Level) -> Floats:
    """Squared differences between values: Krippendorff's metrics."""
    if level == "nominal":
        return 1 - np.eye(len(levels))
    if level == "interval":
        return np.subtract.outer(levels, levels) ** 2
    middles = np.cumsum(totals) - totals / 2
    return np.subtract.outer(middles, middles) ** 2
