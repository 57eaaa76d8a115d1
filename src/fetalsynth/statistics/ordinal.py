"""Proportional-odds regression: ordered answers on covariates, readers as fixed effects.

Formula
    P(Y ≤ k) = F(θₖ − xβ), F the logistic function (McCullagh, *J. R. Statist. Soc. B* 42:109,
    1980): a positive β moves answers upwards, and e^β is the odds ratio of any "higher than k".
    The log-likelihood is concave: damped Newton steps with its exact Hessian find the maximum.
Uses
    Visual grading regression (Smedby and Fredrikson, *Br. J. Radiol.* 83:767, 2010). Fewer than
    five readers belong in the model as fixed effects; what is sampled from many (images, readers)
    may be a random intercept (:mod:`fetalsynth.statistics.ordinal_mixed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import Interval
from fetalsynth.statistics.ordinal_likelihood import (
    Design,
    make_design,
    rising,
    value_and_slopes,
)

Floats = NDArray[np.float64]
_STEPS, _TOLERANCE, _SEPARATED = 200, 1e-9, 30.0


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """One estimate on the log-odds scale, with Wald standard error, interval and two-sided p."""

    name: str
    value: float
    se: float
    interval: Interval
    p_value: float

    @property
    def odds_ratio(self) -> float:
        """Factor by which the odds of a higher answer rise per unit of the covariate."""
        return float(np.exp(self.value))


@dataclass(frozen=True, kw_only=True)
class OrdinalFit:
    """A fitted model: slopes, thresholds between the levels, how well it fits.

    ``levels`` are the answers that occur, in order. ``p_value`` is the likelihood-ratio test of
    all covariates together; the effects of readers are in both models. ``intercept_sd`` is the
    spread of the random intercept on the log-odds scale, None without one.
    """

    levels: tuple[float, ...]
    coefficients: tuple[Coefficient, ...]
    thresholds: tuple[float, ...]
    log_likelihood: float
    null_log_likelihood: float
    p_value: float
    n: int
    intercept_sd: float | None = None

    def coefficient(self, name: str) -> Coefficient:
        """The coefficient of that name; raises KeyError with the names there are."""
        for each in self.coefficients:
            if each.name == name:
                return each
        raise KeyError(f"no {name!r} among {[each.name for each in self.coefficients]}")


def proportional_odds(
    *,
    answers: ArrayLike,
    covariates: ArrayLike,
    names: Sequence[str] | None = None,
    readers: Sequence[str] | None = None,
    level: float = 0.95,
) -> OrdinalFit:
    """Fit ordered ``answers`` (n,) on ``covariates`` (n,) or (n, p), with effects of ``readers``.

    Readers are coded against the first in alphabetical order, as ``reader[B]``. Raises ValueError
    for fewer than two levels, collinear covariates, or covariates that separate the levels so
    that no finite estimate exists.
    """
    design = make_design(answers=answers, covariates=covariates, names=names, readers=readers)
    parameters, value, hessian = maximise(design)
    null_value = maximise(without_covariates(design))[1]
    return OrdinalFit(
        levels=design.levels,
        coefficients=coefficients(design, parameters, inverse(-hessian), level),
        thresholds=thresholds(design, parameters),
        log_likelihood=value,
        null_log_likelihood=null_value,
        p_value=likelihood_ratio_p(value, null_value, design.tested),
        n=len(design.codes),
    )


def maximise(design: Design) -> tuple[Floats, float, Floats]:
    """Maximum, log-likelihood and Hessian there; ValueError where there is no finite maximum."""
    at = design.start()
    value, gradient, hessian = value_and_slopes(design, at)
    for _ in range(_STEPS):
        move = np.linalg.solve(-hessian, gradient)
        if gradient @ move < _TOLERANCE:
            at = at + move
            value, _, hessian = value_and_slopes(design, at)
            break
        share = 1.0
        while not _better(design, at + share * move, value):
            share /= 2
            if share < 1e-12:
                break
        at = at + share * move
        value, gradient, hessian = value_and_slopes(design, at)
        if np.ptp(design.x @ at[design.cuts :]) > _SEPARATED:
            raise ValueError("the covariates separate the answers: no finite estimate exists")
    return at, value, hessian


def _better(design: Design, at: Floats, value: float) -> bool:
    return rising(at[: design.cuts]) and value_and_slopes(design, at)[0] >= value


def without_covariates(design: Design) -> Design:
    """The same answers with the readers' columns only."""
    keep = slice(design.tested, None)
    return replace(
        design,
        x=design.x[:, keep],
        names=design.names[keep],
        centre=design.centre[keep],
        scale=design.scale[keep],
        tested=0,
    )


def coefficients(
    design: Design, parameters: Floats, covariance: Floats, level: float
) -> tuple[Coefficient, ...]:
    """Slopes per unit of the raw covariates from parameters (θ, β, …) of standardised ones."""
    from scipy.special import ndtr, ndtri

    z = float(ndtri(0.5 + level / 2))
    out = []
    for k, name in enumerate(design.names):
        at = design.cuts + k
        value = float(parameters[at] / design.scale[k])
        se = float(np.sqrt(covariance[at, at]) / design.scale[k])
        out.append(
            Coefficient(
                name=name,
                value=value,
                se=se,
                interval=(value - z * se, value + z * se),
                p_value=float(2 * ndtr(-abs(value / se))),
            )
        )
    return tuple(out)


def thresholds(design: Design, parameters: Floats) -> tuple[float, ...]:
    """θ for raw covariates: θ + β · centre / scale."""
    beta = parameters[design.cuts : design.cuts + design.x.shape[1]]
    shift = float(beta @ (design.centre / design.scale))
    return tuple(float(v) + shift for v in parameters[: design.cuts])


def likelihood_ratio_p(value: float, null_value: float, df: int) -> float:
    """p of twice the gain in log-likelihood against χ² with ``df`` degrees of freedom."""
    from scipy.special import chdtrc

    return float(chdtrc(df, max(0.0, 2 * (value - null_value))))


def inverse(information: Floats) -> Floats:
    """Covariance of the estimates from the observed information."""
    return np.asarray(np.linalg.inv(information), np.float64)
