"""Proportional-odds regression with a random intercept for what was sampled: images or readers.

Formula
    P(Y ≤ k | u) = F(θₖ − xβ − σu), u standard normal, one per group. The likelihood of a group is
    the integral over u by adaptive Gauss–Hermite quadrature about its mode (Pinheiro and Bates,
    *J. Comput. Graph. Stat.* 4:12, 1995; the cumulative link mixed model of Christensen's R
    package ``ordinal``). Its gradient is the mean of the conditional gradient over the nodes.
Use
    At least about five groups, better twenty; fewer belong in the model as fixed effects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.ordinal import (
    OrdinalFit,
    coefficients,
    inverse,
    likelihood_ratio_p,
    maximise,
    thresholds,
    without_covariates,
)
from fetalsynth.statistics.ordinal_likelihood import (
    Design,
    design_rows,
    make_design,
    rising,
    terms,
)

Floats = NDArray[np.float64]
LEAST_GROUPS = 5
_MODE_STEPS = 50


def mixed_proportional_odds(
    *,
    answers: ArrayLike,
    covariates: ArrayLike,
    groups: Sequence[str],
    names: Sequence[str] | None = None,
    readers: Sequence[str] | None = None,
    nodes: int = 15,
    level: float = 0.95,
) -> OrdinalFit:
    """Fit ordered ``answers`` (n,) with a random intercept per group and effects of ``readers``.

    Raises ValueError as :func:`fetalsynth.statistics.ordinal.proportional_odds`, and for fewer
    than five groups or one answer per group.
    """
    design = make_design(answers=answers, covariates=covariates, names=names, readers=readers)
    members, group = np.unique(np.asarray([str(g) for g in groups]), return_inverse=True)
    if len(group) != len(design.codes):
        raise ValueError(f"{len(design.codes)} answers but {len(group)} groups")
    if len(members) < LEAST_GROUPS or len(members) == len(group):
        raise ValueError(
            f"a random intercept needs at least {LEAST_GROUPS} groups with repeated answers, "
            f"not {len(members)} groups of {len(group)} answers"
        )
    parameters, value, information = _fit(design, group, nodes)
    null_value = _fit(without_covariates(design), group, nodes)[1]
    return OrdinalFit(
        levels=design.levels,
        coefficients=coefficients(design, parameters, inverse(information), level),
        thresholds=thresholds(design, parameters),
        log_likelihood=value,
        null_log_likelihood=null_value,
        p_value=likelihood_ratio_p(value, null_value, design.tested),
        n=len(design.codes),
        intercept_sd=abs(float(parameters[-1])),
    )


def marginal(
    design: Design, group: NDArray[np.intp], parameters: Floats, nodes: int
) -> tuple[float, Floats]:
    """Log-likelihood and gradient at (θ, β, σ), the intercepts integrated out."""
    cuts, sigma = design.cuts, float(parameters[-1])
    fixed = design.x @ parameters[cuts:-1]
    mode, spread = _modes(design, group, fixed=fixed, cut_points=parameters[:cuts], sigma=sigma)
    count = len(mode)
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    u = mode[:, None] + spread[:, None] * points
    each = terms(design.codes, fixed[:, None] + sigma * u[group], parameters[:cuts])
    joint = _by_group(each.value, group, count) - u**2 / 2
    logs = joint + points**2 / 2 + np.log(weights) + np.log(spread)[:, None]
    top = logs.max(1, keepdims=True)
    shares = np.exp(logs - top)
    total = shares.sum(1, keepdims=True)
    value = float((np.log(total) + top).sum() - count * 0.5 * np.log(2 * np.pi))
    share = (shares / total)[group]
    a, b = design_rows(design)
    by_a, by_b = (share * each.by_a).sum(1), (share * each.by_b).sum(1)
    by_sigma = -(share * (each.by_a + each.by_b) * u[group]).sum()
    return value, np.append(a.T @ by_a + b.T @ by_b, by_sigma)


def _fit(design: Design, group: NDArray[np.intp], nodes: int) -> tuple[Floats, float, Floats]:
    """Estimates, log-likelihood and information; starts where the model without intercepts ends."""
    from scipy.optimize import minimize

    def cost(at: Floats) -> tuple[float, Floats]:
        if not rising(at[: design.cuts]):
            return np.inf, np.zeros_like(at)
        value, gradient = marginal(design, group, at, nodes)
        return -value, -gradient

    start = np.append(maximise(design)[0], 0.7)
    found = minimize(cost, start, jac=True, method="BFGS", options={"gtol": 1e-5})
    at = np.asarray(found.x, np.float64)
    return at, -float(found.fun), _information(design, group, at, nodes)


def _information(design: Design, group: NDArray[np.intp], at: Floats, nodes: int) -> Floats:
    """Negative Hessian by central differences of the gradient."""
    rows = []
    for k in range(len(at)):
        step = np.zeros_like(at)
        step[k] = 1e-4 * max(1.0, abs(at[k]))
        after = marginal(design, group, at + step, nodes)[1]
        before = marginal(design, group, at - step, nodes)[1]
        rows.append((before - after) / (2 * step[k]))
    matrix = np.array(rows)
    return np.asarray((matrix + matrix.T) / 2, np.float64)


def _modes(
    design: Design, group: NDArray[np.intp], *, fixed: Floats, cut_points: Floats, sigma: float
) -> tuple[Floats, Floats]:
    """Mode (G,) of log p(y, u) over u by Newton steps, and the spread of the normal there.

    The function is concave; steps are at most 2, so that none overshoots on its flat far sides.
    """
    count = int(group.max()) + 1
    u = np.zeros(count)
    for _ in range(_MODE_STEPS):
        each = terms(design.codes, fixed + sigma * u[group], cut_points)
        slope = -sigma * _by_group(each.by_a + each.by_b, group, count) - u
        curve = sigma**2 * _by_group(each.by_aa + each.by_bb + 2 * each.by_ab, group, count) - 1
        move = np.clip(-slope / curve, -2, 2)
        u = u + move
        if np.abs(move).max() < 1e-10:
            break
    return u, 1 / np.sqrt(-curve)


def _by_group(values: Floats, group: NDArray[np.intp], count: int) -> Floats:
    """Sums over the rows (n,) or (n, Q) of each group."""
    out = np.zeros((count, *values.shape[1:]))
    np.add.at(out, group, values)
    return out
