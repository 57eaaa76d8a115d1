"""What the proportional-odds models maximise: log-likelihood, gradient and Hessian.

With a = θ_y − η and b = θ_{y−1} − η,
log P(Y = y) = log F(a) + log F(−b) + log(1 − e^(b−a)), F the logistic function. The last term does
not hold η, so that everything stays finite wherever the thresholds rise, and is concave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Design:
    """Answers as codes 0 … K − 1 (n,) and standardised covariates (n, p) with their names.

    The first ``tested`` columns are covariates, the others readers; column j of ``x`` is
    (raw − centre[j]) / scale[j].
    """

    codes: NDArray[np.intp]
    x: Floats
    levels: tuple[float, ...]
    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    tested: int

    @property
    def cuts(self) -> int:
        """Number of thresholds, K − 1."""
        return len(self.levels) - 1

    def start(self) -> Floats:
        """Thresholds at the observed shares and slopes of zero: (K − 1 + p,)."""
        shares = np.bincount(self.codes, minlength=self.cuts + 1).cumsum()[:-1] / len(self.codes)
        return np.concatenate([np.log(shares / (1 - shares)), np.zeros(self.x.shape[1])])


def make_design(
    *,
    answers: ArrayLike,
    covariates: ArrayLike,
    names: Sequence[str] | None,
    readers: Sequence[str] | None,
) -> Design:
    """Check and standardise; raises ValueError for one level, shapes that differ, collinearity."""
    y = np.asarray(answers, np.float64)
    x = np.asarray(covariates, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if y.ndim != 1 or x.shape[:1] != y.shape or not np.isfinite(y).all():
        raise ValueError(f"answers {y.shape} and covariates {x.shape} must be finite and match")
    tested = x.shape[1]
    labels = list(names) if names is not None else [f"x{k}" for k in range(tested)]
    if len(labels) != tested:
        raise ValueError(f"{tested} covariates but {len(labels)} names")
    if readers is not None:
        dummies, reader_names = _dummies(readers, len(y))
        x, labels = np.hstack([x, dummies]), labels + reader_names
    levels, codes = np.unique(y, return_inverse=True)
    if len(levels) < 2:
        raise ValueError("all answers are equal: there is nothing to regress")
    centre, scale = x.mean(0), x.std(0)
    if not np.isfinite(x).all() or (scale <= 1e-12 * (1 + np.abs(centre))).any():
        raise ValueError("every covariate must be finite and vary")
    standard = (x - centre) / scale
    if np.linalg.matrix_rank(standard) < standard.shape[1]:
        raise ValueError("covariates (with readers) are collinear: leave some out")
    return Design(
        codes=codes,
        x=standard,
        levels=tuple(float(v) for v in levels),
        names=tuple(labels),
        centre=centre,
        scale=scale,
        tested=tested,
    )


def _dummies(readers: Sequence[str], n: int) -> tuple[Floats, list[str]]:
    """Indicator columns of all readers but the first in alphabetical order."""
    names, which = np.unique(np.asarray([str(r) for r in readers]), return_inverse=True)
    if len(which) != n:
        raise ValueError(f"{n} answers but {len(which)} readers")
    columns = (which[:, None] == np.arange(1, len(names))).astype(np.float64)
    return columns, [f"reader[{name}]" for name in names[1:]]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Per answer: log-probability and its derivatives by a and b; shapes follow η."""

    value: Floats
    by_a: Floats
    by_b: Floats
    by_aa: Floats
    by_bb: Floats
    by_ab: Floats


def terms(codes: NDArray[np.intp], eta: Floats, thresholds: Floats) -> Terms:
    """Log-probabilities of ``codes`` (n,) at predictors η (n,) or (n, Q), with derivatives."""
    from scipy.special import expit, log_expit

    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    high, low = edges[codes + 1], edges[codes]
    gap = high - low
    if eta.ndim == 2:
        high, low, gap = high[:, None], low[:, None], gap[:, None]
    a, b = high - eta, low - eta
    step = 1 / np.expm1(gap)
    curve = step * (1 + step)
    upper, lower = expit(-a), expit(b)
    return Terms(
        value=log_expit(a) + log_expit(-b) + np.log(-np.expm1(-gap)),
        by_a=upper + step,
        by_b=-lower - step,
        by_aa=-upper * (1 - upper) - curve,
        by_bb=-lower * (1 - lower) - curve,
        by_ab=np.broadcast_to(curve, a.shape),
    )


def design_rows(design: Design) -> tuple[Floats, Floats]:
    """∂a/∂(θ, β) and ∂b/∂(θ, β) as (n, K − 1 + p); rows without a threshold have none."""
    n, cuts = len(design.codes), design.cuts
    a, b = np.zeros((n, cuts + 1)), np.zeros((n, cuts + 1))
    rows = np.arange(n)
    a[rows, design.codes] = 1
    b[rows, design.codes - 1] = 1
    b[design.codes == 0, -1] = 0
    return np.hstack([a[:, :cuts], -design.x]), np.hstack([b[:, :cuts], -design.x])


def value_and_slopes(design: Design, parameters: Floats) -> tuple[float, Floats, Floats]:
    """Log-likelihood, gradient (P,) and Hessian (P, P) at (θ, β)."""
    thresholds, beta = parameters[: design.cuts], parameters[design.cuts :]
    each = terms(design.codes, design.x @ beta, thresholds)
    a, b = design_rows(design)
    cross = a.T @ (each.by_ab[:, None] * b)
    hessian = a.T @ (each.by_aa[:, None] * a) + b.T @ (each.by_bb[:, None] * b) + cross + cross.T
    return float(each.value.sum()), a.T @ each.by_a + b.T @ each.by_b, hessian


def rising(thresholds: Floats) -> bool:
    """Whether thresholds (K − 1,) strictly rise."""
    return bool((np.diff(thresholds) > 0).all())
